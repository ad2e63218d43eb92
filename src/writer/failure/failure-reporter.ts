import { performance } from 'node:perf_hooks'
import { codeOf } from '../../base/describe'
import { setImmediate } from '../../base/timers'
import { isExiting } from '../exit-drain'
import type { WarnLogger } from '../options'
import type { AuditFailure, AuditFailureRecorder } from './diagnostics'
import { FailureCounts, type FailureKind } from './failure-counts'
import { ForeignCode, hasStackLeft } from './foreign-code'
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

/** Who reports now. At exit the report starts anew: the logger itself may have ended the process. */
const NOBODY = 0
const RUNNING = 1
const EXITING = 2

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
  readonly #foreign: ForeignCode
  #pending: Noted[] = []
  /** How many of them were handed out; one leaves before it is reported, so none is reported twice. */
  #taken = 0
  #reporting = NOBODY

  /** @param path the log's, for the recorder */
  constructor(
    path: string,
    recorder: AuditFailureRecorder,
    logger: WarnLogger = PROCESS_WARNINGS,
    foreign = new ForeignCode(),
  ) {
    this.#path = path
    this.#recorder = recorder
    this.#logger = logger
    this.#foreign = foreign
  }

  /** Failed events so far, by stage. */
  get counts(): Record<FailureKind, number> {
    return this.#counts.toRecord()
  }

  /** When an event failed last, in milliseconds since 1970. */
  get lastFailedAtMs(): number | null {
    return this.#lastFailedAtMs
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

  /**
   * Reports the notes, unless it already does so further down the stack. Never throws: if the stack is
   * nearly used up, they are reported in a later turn, or with the next failure.
   */
  flush(): void {
    const reporting = isExiting() ? EXITING : RUNNING
    if (this.#reporting >= reporting || this.#pending.length === 0) return
    const before = this.#reporting
    try {
      this.#reporting = reporting
      if (hasStackLeft()) this.#report()
      if (this.#pending.length > 0) setImmediate(() => this.flush()).unref()
    } catch {
      // Only the end of the stack comes here. What was not handed out stays noted.
    } finally {
      this.#reporting = before
    }
  }

  #report(): void {
    for (let round = 0; round < ROUNDS_MAX && this.#pending.length > 0; round++) {
      const { length } = this.#pending
      for (let each = this.#take(length); each !== undefined; each = this.#take(length)) {
        this.#reportOne(each)
      }
    }
  }

  /** The next note of those before `end`. */
  #take(end: number): Noted | undefined {
    const each = this.#taken < end ? this.#pending[this.#taken++] : undefined
    if (each !== undefined) return each
    this.#pending = this.#pending.slice(this.#taken)
    this.#taken = 0
    return undefined
  }

  #reportOne(each: Noted): void {
    const { kind, error } = each
    if (kind !== undefined) this.#record({ stage: kind, error, path: this.#path })
    this.#warn(each)
  }

  #record(failure: AuditFailure): void {
    const onFailure = (how: string) => {
      const message = `recordAuditFailure ${how}`
      const suppressed = this.#limiter.pass(message, performance.now())
      if (suppressed === undefined) return
      const err = new Error(message)
      this.#warnProcess({ err, code: undefined, suppressed }, textOfWarning(err, suppressed))
    }
    this.#foreign.call(() => this.#recorder.recordAuditFailure(failure), onFailure)
  }

  /** The embedder's logger may fail: the warning must not be lost with it. */
  #warn({ kind: stage, error: err, subject }: Noted): void {
    const suppressed = this.#limiter.pass(subject, performance.now())
    if (suppressed === undefined) return
    const details = { err, code: codeOf(err), stage, suppressed }
    const message = textOfWarning(err, suppressed)
    if (this.#logger === PROCESS_WARNINGS) this.#warnProcess(details, message)
    else {
      const onFailure = (how: string) =>
        this.#warnProcess(details, `${message} [reported here because the logger ${how}]`)
      this.#foreign.call(() => this.#logger.warn(details, message), onFailure)
    }
  }

  /** The last resort, and a function that others replace, too. */
  #warnProcess(details: Record<string, unknown>, message: string): void {
    const onFailure = (how: string) =>
      this.#foreign.call(
        () => toStandardError(`${message} [reported here because process.emitWarning ${how}]`),
        () => undefined,
      )
    this.#foreign.call(() => PROCESS_WARNINGS.warn(details, message), onFailure)
  }
}

function textOfWarning(error: Error, suppressed: number): string {
  const more = suppressed > 0 ? ` (and ${suppressed} more like it)` : ''
  return `exec audit: ${error.message}${more}`
}

function toStandardError(message: string): void {
  process.stderr.write(`${message}\n`)
}

/** The default logger. At exit Node emits no more warnings, so they go to standard error there. */
const PROCESS_WARNINGS: WarnLogger = {
  warn({ code }, message) {
    if (isExiting()) return toStandardError(message)
    return process.emitWarning(message, { type: 'ExecAuditWarning', code: String(code ?? '') })
  },
}
