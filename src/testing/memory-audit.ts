import { constants } from 'node:os'
import type { AuditTrail } from '../audit-trail'
import { decode } from '../decode'
import { type AuditFailureRecorder, ExecDiagnostics } from '../diagnostics'
import { EventEncoder, type EventName } from '../encode'
import { type AuditError, closedError, ioError, textOf } from '../errors'
import type {
  AuditOutcome,
  DenialEvent,
  ExitEvent,
  RequestEvent,
  StartedEvent,
  WarningEvent,
} from '../events'
import type { Stage } from '../failure'
import type { FailureKind } from '../failure-counts'
import { FailureReporter } from '../failure-reporter'
import { isInvalidEvent } from '../fields'
import { recordBytes } from '../layout'
import { type CheckedOptions, checkOptions, type ExecAuditOptions } from '../options'
import { parseLine } from '../reader/parse-line'
import { type AuditRecord, isProblem } from '../reader/records'
import { serialize } from '../serialize'
import { type AuditStats, disabledStats } from '../stats'
import { redactWarning } from '../warnings'

/** How the next events fail, see {@link MemoryAudit.failNext}. */
export interface FailOptions {
  /** How many events; `Infinity` for all from now on. Default 1. */
  readonly count?: number
  /** Where, and so which code the `AuditError` has; default `'write'`. */
  readonly stage?: Stage
  /** The kernel's error behind it; default `'ENOSPC'`. */
  readonly errno?: keyof typeof constants.errno
}

interface StageFailure {
  readonly stage: Stage
  readonly error: AuditError
}

interface Pending {
  readonly line: string
  readonly failure: StageFailure | undefined
  readonly settle: (outcome: AuditOutcome) => void
  readonly reject: (error: AuditError) => void
}

const PATH = '(memory)'

/**
 * An audit for unit tests: the events stay in memory, with no worker and no file. Events are checked,
 * cut, redacted and written as lines by the very code of `ExecAudit`, so that a wrong event is treated
 * just as there in both failure modes.
 *
 * @example
 * const audit = new MemoryAudit({ failureMode: 'closed' })
 * await runCommand(audit, ['ls'])
 * assert.deepEqual(audit.events.map(({ event }) => event), ['request', 'started', 'exit'])
 */
export class MemoryAudit implements AuditTrail {
  /** There is no policy that could have one. */
  readonly tasklistId = undefined
  readonly #options: CheckedOptions
  readonly #encoder: EventEncoder
  readonly #reporter: FailureReporter
  readonly #outcome: AuditOutcome
  readonly #accepted = { request: 0, started: 0, warning: 0, exit: 0, denial: 0 }
  #lines: string[] = []
  #pending: Pending[] = []
  #waiters: (() => void)[] = []
  #isHeld = false
  #isClosed = false
  #failures: (StageFailure & { left: number }) | undefined
  #settled = 0
  #failed = 0

  /**
   * @param options those of `ExecAudit`; those about the file, the ring and the worker change nothing
   * @param diagnostics told of each failed event, once
   * @throws TypeError or RangeError for a mistake in the options, naming it
   */
  constructor(
    options?: ExecAuditOptions,
    diagnostics: AuditFailureRecorder = new ExecDiagnostics(),
  ) {
    this.#options = checkOptions(options)
    const { maxEventBytes, redact, clock, failureMode, logger, fsync } = this.#options
    this.#reporter = new FailureReporter(PATH, diagnostics, logger)
    this.#outcome = fsync.method === 'none' ? 'written' : 'durable'
    this.#encoder = new EventEncoder({
      maxEventBytes,
      redact,
      clock,
      withholdOnRedactError: failureMode === 'open',
      onRedactError: (thrown) => this.#reporter.noteWarning(redactWarning(thrown)),
    })
  }

  /** The events that succeeded, as a reader of the log would get them. */
  get events(): readonly AuditRecord[] {
    let offset = 0
    return this.#lines.map((text, i) => {
      const length = Buffer.byteLength(text)
      const parsed = parseLine(text, { line: i + 1, offset, length })
      offset += length + 1
      if (isProblem(parsed)) throw new Error(`a line of this writer is no event: ${parsed.message}`)
      return parsed
    })
  }

  /** Their lines, byte for byte as they would be in the file, without newlines. */
  get lines(): readonly string[] {
    return [...this.#lines]
  }

  /** Events that are held back, see {@link hold}. */
  get heldEvents(): number {
    return this.#pending.length
  }

  /** Forgets the events so far. */
  clear(): void {
    this.#lines = []
  }

  /** Has the next events fail as on a broken disk: resolve `'failed'`, or reject with an AuditError. */
  failNext({ count = 1, stage = 'write', errno = 'ENOSPC' }: FailOptions = {}): void {
    const error = ioError({ stage, reason: constants.errno[errno] }, PATH)
    this.#failures = count > 0 ? { left: count, stage, error } : undefined
  }

  /** Holds the acknowledgements of the events that follow back, as a slow disk does. */
  hold(): void {
    this.#isHeld = true
  }

  /** Settles the first `count` events that are held, in their order; all of them ends the hold. */
  release(count: number = Number.POSITIVE_INFINITY): void {
    if (count === Number.POSITIVE_INFINITY) this.#isHeld = false
    for (const pending of this.#pending.splice(0, count)) this.#settle(pending)
    if (this.#pending.length === 0) for (const wake of this.#waiters.splice(0)) wake()
    this.#reporter.flush()
  }

  request(event: RequestEvent): Promise<AuditOutcome> {
    return this.#submit('request', event)
  }

  started(event: StartedEvent): Promise<AuditOutcome> {
    return this.#submit('started', event)
  }

  warning(event: WarningEvent): Promise<AuditOutcome> {
    return this.#submit('warning', event)
  }

  exit(event: ExitEvent): Promise<AuditOutcome> {
    return this.#submit('exit', event)
  }

  denial(event: DenialEvent): Promise<AuditOutcome> {
    return this.#submit('denial', event)
  }

  /** Resolves when nothing is held back any more. */
  drain(): Promise<void> {
    if (this.#pending.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** Whether nothing is held back; does not wait. */
  drainSync(_timeoutMs?: number): boolean {
    return this.#pending.length === 0
  }

  reopen(): Promise<AuditOutcome> {
    return this.#isClosed
      ? this.#refuse('closed', closedError())
      : Promise.resolve<AuditOutcome>(this.#outcome)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.drain()
  }

  /** Same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The counts of events; the figures of ring, file and worker stay 0. */
  stats(): AuditStats {
    const none = disabledStats()
    const accepted = sum(this.#accepted)
    return {
      ...none,
      state: this.#isClosed ? 'closed' : 'open',
      events: {
        ...none.events,
        accepted,
        byType: { ...this.#accepted },
        settled: this.#settled,
        pending: accepted - this.#settled,
        succeeded: this.#settled - this.#failed,
        failed: sum(this.#reporter.counts),
        lastFailedAtMs: this.#reporter.lastFailedAtMs,
      },
      failures: this.#reporter.counts,
      warnings: this.#reporter.warnings,
    }
  }

  #submit(name: EventName, input: unknown): Promise<AuditOutcome> {
    if (this.#isClosed) return this.#refuse('closed', closedError())
    let line: string
    try {
      line = this.#encode(name, input)
    } catch (thrown) {
      const isKnown = isInvalidEvent(thrown) && thrown instanceof Error
      return this.#refuse('encode', isKnown ? thrown : new Error(textOf(thrown)))
    }
    if (this.#isClosed) return this.#refuse('closed', closedError())
    this.#accepted[name]++
    return new Promise((settle, reject) => {
      this.#pending.push({ line, failure: this.#nextFailure(), settle, reject })
      if (!this.#isHeld) this.release()
    })
  }

  #encode(name: EventName, input: unknown): string {
    const encoder = this.#encoder.idle()
    encoder.prepare(name, input)
    const record = recordBytes(new ArrayBuffer(encoder.exactBytes))
    const length = encoder.write(record, 0)
    return serialize(decode(record, 0, length)).slice(0, -1)
  }

  #nextFailure(): StageFailure | undefined {
    const failures = this.#failures
    if (failures === undefined) return undefined
    if (--failures.left <= 0) this.#failures = undefined
    return failures
  }

  #settle({ line, failure, settle, reject }: Pending): void {
    this.#settled++
    if (failure === undefined) {
      this.#lines.push(line)
      settle(this.#outcome)
      return
    }
    this.#failed++
    this.#reporter.note(failure.stage, failure.error)
    if (this.#options.failureMode === 'closed') reject(failure.error)
    else settle('failed')
  }

  #refuse(kind: FailureKind, error: Error): Promise<AuditOutcome> {
    this.#reporter.note(kind, error)
    this.#reporter.flush()
    return this.#options.failureMode === 'closed'
      ? Promise.reject(error)
      : Promise.resolve<AuditOutcome>('failed')
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
