import { codeOf, textOf } from '../../base/describe'
import { isExiting } from '../exit-drain'
import type { WarnLogger } from '../options'
import type { AuditFailure, AuditFailureRecorder } from './diagnostics'
import { FailureCounts, type FailureKind } from './failure-counts'
import { WarningLimiter } from './warning-limiter'
import { type AuditWarning, type AuditWarningCode, noWarnings, recoveredWarning } from './warnings'

/** A failed event; without a kind, an error that is not one event's. */
interface Noted {
  readonly kind: FailureKind | undefined
  readonly error: Error
  /** Warnings of one subject are limited together: the text without its figures. */
  readonly subject: string
}

/** A period in which the file takes no events. */
interface Outage {
  readonly since: number
  failed: number
}

/** Failures of the file, and not of the event or the audit. */
const FILE_KINDS: ReadonlySet<FailureKind> = new Set(['folder', 'open', 'write', 'sync'])

/**
 * Rounds of reports per flush, if the logger and the diagnostics cause further ones themselves; the rest is
 * left to a later turn of the event loop, since they may never stop.
 */
const ROUNDS_MAX = 100

/**
 * Makes failures visible: each one counted, and warned about with a limit on the text alone. What
 * happens on the way (settling, admitting) is only noted; {@link flush} calls the diagnostics and the
 * logger, at a point where they may call back into the audit.
 */
export class FailureReporter {
  readonly #path: string
  readonly #recorder: AuditFailureRecorder
  readonly #logger: WarnLogger
  readonly #limiter = new WarningLimiter()
  readonly #counts = new FailureCounts()
  readonly #warnings: Record<AuditWarningCode, number> = noWarnings()
  #lastFailedAtMs: number | null = null
  #outage: Outage | undefined
  #pending: Noted[] = []
  #isFlushing = false

  /** @param path the log's, for the recorder */
  constructor(path: string, recorder: AuditFailureRecorder, logger: WarnLogger = PROCESS_WARNINGS) {
    this.#path = path
    this.#recorder = recorder
    this.#logger = logger
  }

  /** Failed events so far, by stage. */
  get counts(): Record<FailureKind, number> {
    return this.#counts.toRecord()
  }

  /** When an event failed last, in milliseconds since 1970. */
  get lastFailedAtMs(): number | null {
    return this.#lastFailedAtMs
  }

  /** Whether the file has failed events, and has taken none since. */
  get isFailing(): boolean {
    return this.#outage !== undefined
  }

  /** Warnings that were not one event's failure, by code, and how many of all were held back. */
  get warnings(): { suppressed: number; byCode: Record<AuditWarningCode, number> } {
    return { suppressed: this.#limiter.suppressed, byCode: { ...this.#warnings } }
  }

  /** Notes one failed event. */
  note(kind: FailureKind, error: Error): void {
    this.#counts.add(kind)
    this.#lastFailedAtMs = Date.now()
    this.#pending.push({ kind, error, subject: error.message })
    if (!FILE_KINDS.has(kind)) return
    this.#outage ??= { since: performance.now(), failed: 0 }
    this.#outage.failed++
  }

  /** Notes that the file has taken an event: reported once if it had failed others before. */
  noteSuccess(): void {
    const outage = this.#outage
    if (outage === undefined) return
    this.#outage = undefined
    const { failed, since } = outage
    const error = recoveredWarning(failed, performance.now() - since, this.#path)
    this.noteWarning(error, error.code)
  }

  /** Notes an error that is not one event's failure: warned about, not counted. */
  noteWarning(error: AuditWarning, subject = error.message): void {
    this.#warnings[error.code]++
    this.#pending.push({ kind: undefined, error, subject })
  }

  /** Reports the notes, unless it already does so further down the stack. Never throws. */
  flush(): void {
    if (this.#isFlushing || this.#pending.length === 0) return
    this.#isFlushing = true
    for (let round = 0; round < ROUNDS_MAX && this.#pending.length > 0; round++) this.#flushOnce()
    this.#isFlushing = false
    if (this.#pending.length > 0) setImmediate(() => this.flush()).unref()
  }

  #flushOnce(): void {
    const noted = this.#pending
    this.#pending = []
    for (const each of noted) {
      const { kind, error } = each
      if (kind !== undefined) this.#record({ stage: kind, error, path: this.#path })
      this.#warnThrough(this.#logger, each)
    }
  }

  #record(failure: AuditFailure): void {
    try {
      this.#recorder.recordAuditFailure(failure)
    } catch (thrown) {
      const error = new Error(`recordAuditFailure threw: ${textOf(thrown)}`)
      this.#warnThrough(PROCESS_WARNINGS, { kind: undefined, error, subject: error.message })
    }
  }

  /** The embedder's logger may throw: the warning must not be lost with it. */
  #warnThrough(logger: WarnLogger, { kind: stage, error: err, subject }: Noted): void {
    const suppressed = this.#limiter.pass(subject, performance.now())
    if (suppressed === undefined) return
    const more = suppressed > 0 ? ` (and ${suppressed} more like it)` : ''
    const message = `exec audit: ${err.message}${more}`
    const details = { err, code: codeOf(err), stage, suppressed }
    try {
      logger.warn(details, message)
    } catch (thrown) {
      PROCESS_WARNINGS.warn(
        details,
        `${message} [reported here because the logger threw: ${textOf(thrown)}]`,
      )
    }
  }
}

/** The default logger. At exit Node emits no more warnings, so they go to standard error there. */
const PROCESS_WARNINGS: WarnLogger = {
  warn({ code }, message) {
    if (isExiting()) process.stderr.write(`${message}\n`)
    else process.emitWarning(message, { type: 'ExecAuditWarning', code: String(code ?? '') })
  },
}
