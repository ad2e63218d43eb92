import { textOf } from '../base/describe'
import { isInvalidEvent } from '../base/field-checks'
import { checkTimeoutMs, refuse } from '../base/option-checks'
import type {
  AuditOutcome,
  DenialEvent,
  EventName,
  ExitEvent,
  RequestEvent,
  StartedEvent,
  WarningEvent,
} from '../format/events'
import { parseLine } from '../format/parse-line'
import { type AuditRecord, isProblem } from '../format/records'
import { serialize } from '../format/serialize-line'
import { type AuditStats, disabledStats } from '../writer/audit-stats'
import type { AuditTrail } from '../writer/audit-trail'
import { closedError } from '../writer/failure/audit-error'
import {
  type AuditFailureRecorder,
  checkRecorder,
  ExecDiagnostics,
} from '../writer/failure/diagnostics'
import type { FailureKind } from '../writer/failure/failure-counts'
import { FailureReporter } from '../writer/failure/failure-reporter'
import { redactWarning } from '../writer/failure/warnings'
import { type CheckedOptions, checkOptions, type ExecAuditOptions } from '../writer/options'
import { type CheckedPolicy, checkPolicy, type ExecPolicy } from '../writer/policy'
import { decode } from '../writer/record/decode'
import { EventEncoder, reentryError } from '../writer/record/encode'
import { recordBytes } from '../writer/ring/record-header'
import { lentEvents, RUN_LEASE, type RunLease, RunLeases } from '../writer/run-lease'
import { checkCount, type Failing, type FailOptions, PlannedFailures } from './planned-failures'

/** Options of {@link MemoryAudit}: those of `ExecAudit`, and its policy. */
export interface MemoryAuditOptions extends ExecAuditOptions {
  /**
   * As for `ExecAudit`; default an enabled one. With a disabled one each event's outcome is `'disabled'`,
   * and nothing is kept. The path appears only in messages.
   */
  policy?: ExecPolicy | undefined
  /** Warnings are counted in `stats()`, and printed nowhere; default false. */
  quiet?: boolean | undefined
}

/** An event that was recorded and failed, see {@link MemoryAudit.failed}. */
export interface FailedEvent {
  /** Which method was called. */
  readonly event: EventName
  /**
   * The line for the file, without its newline; undefined if there was none to write: the event was
   * wrong, or the audit closed.
   */
  readonly line: string | undefined
  /** The stage at which it failed; `'encode'` for a wrong event, `'full'` and `'closed'` for a refusal. */
  readonly stage: FailureKind
  /** The reason that the promise was rejected with, or would have been without `failureMode: 'open'`. */
  readonly error: Error
}

/** An event's promise, and what settles it. */
interface Made {
  readonly promise: Promise<AuditOutcome>
  readonly settle: (outcome: AuditOutcome) => void
  readonly reject: (error: Error) => void
}

interface Pending extends Pick<Made, 'settle' | 'reject'> {
  readonly event: EventName
  readonly line: string
  readonly failure: Failing | undefined
}

const IN_MEMORY: CheckedPolicy = { auditLogPath: '(memory)', tasklistId: undefined }
const SILENT = { warn: () => undefined }
const DISABLED = Promise.resolve<AuditOutcome>('disabled')

/**
 * An audit for unit tests: the events stay in memory, with no worker and no file. Events are checked,
 * cut, redacted and made into lines by the code of `ExecAudit` itself, so that a wrong event is treated
 * as there in both failure modes.
 *
 * @example
 * const audit = new MemoryAudit({ failureMode: 'closed' })
 * await runCommand(audit, ['ls'])
 * assert.deepEqual(audit.events.map(({ event }) => event), ['request', 'started', 'exit'])
 */
export class MemoryAudit implements AuditTrail {
  /** The policy's `auditTasklistId`; undefined when it has none or is disabled. */
  readonly tasklistId: string | undefined
  readonly #isDisabled: boolean
  readonly #options: CheckedOptions
  readonly #encoder: EventEncoder
  readonly #reporter: FailureReporter
  readonly #outcome: AuditOutcome
  readonly #accepted = { request: 0, started: 0, warning: 0, exit: 0, denial: 0 }
  #lines: string[] = []
  #failed: FailedEvent[] = []
  #pending: Pending[] = []
  #waiters: (() => void)[] = []
  #isHeld = false
  #closing: Promise<void> | undefined
  /** No event is taken any more, not even of a command under way. */
  #isClosed = false
  readonly #leases = new RunLeases()
  readonly #planned: PlannedFailures
  #settled = 0
  #succeeded = 0

  /**
   * @param options those of `ExecAudit`, of which those about the file, the ring and the worker change
   *   nothing; and its policy
   * @param diagnostics records each failed event, once
   * @throws TypeError or RangeError for a mistake in the options, naming it
   */
  constructor(
    options?: MemoryAuditOptions,
    diagnostics: AuditFailureRecorder = new ExecDiagnostics(),
  ) {
    this.#options = checkOptions(options, ['policy', 'quiet'])
    const { policy, quiet } = options ?? {}
    if (quiet !== undefined && typeof quiet !== 'boolean')
      refuse('options.quiet', quiet, 'a boolean')
    const { auditLogPath, tasklistId } = policy === undefined ? IN_MEMORY : checkPolicy(policy)
    checkRecorder(diagnostics)
    this.tasklistId = tasklistId
    this.#isDisabled = auditLogPath === undefined
    const path = auditLogPath ?? ''
    this.#planned = new PlannedFailures(path, this.#options)
    const { maxEventBytes, redact, clock, failureMode, logger, fsync } = this.#options
    this.#reporter = new FailureReporter(path, diagnostics, quiet ? SILENT : logger)
    this.#outcome = fsync.method === 'none' ? 'written' : 'durable'
    this.#encoder = new EventEncoder({
      maxEventBytes,
      redact,
      clock,
      withholdOnRedactError: failureMode === 'open',
      onRedactError: (error) => this.#reporter.noteWarning(redactWarning(error, failureMode)),
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

  /** How many events are held back, see {@link hold}. */
  get heldEvents(): number {
    return this.#pending.length
  }

  /** The events that failed, in the order of their outcomes: on demand, or since they were wrong. */
  get failed(): readonly FailedEvent[] {
    return [...this.#failed]
  }

  /** Forgets the events so far, including those that failed. */
  clear(): void {
    this.#lines = []
    this.#failed = []
  }

  /**
   * Makes the next events fail: resolve `'failed'`, or reject with an AuditError. Wrong events are not
   * counted. Further calls add to the plan: an event takes the first planned failure that matches its name.
   * @throws TypeError or RangeError for a mistake in the options, naming it
   */
  failNext(options: FailOptions = {}): void {
    this.#planned.add(options)
  }

  /** Drops the planned failures that have not happened yet: the disk works again. */
  clearFailures(): void {
    this.#planned.clear()
  }

  /** Holds back the acknowledgements of the events that follow, as a slow disk does. */
  hold(): void {
    this.#isHeld = true
  }

  /**
   * Settles the first `count` held events, in order; without a count, all of them, which ends the hold.
   * @throws TypeError or RangeError if `count` is neither an integer from 0 nor Infinity
   */
  release(count: number = Number.POSITIVE_INFINITY): void {
    checkCount('count', count)
    if (count === Number.POSITIVE_INFINITY) this.#isHeld = false
    // One by one: an async hook may record an event meanwhile, whose place is behind those that wait.
    for (let left = count; left > 0; left--) {
      const pending = this.#pending.shift()
      if (pending === undefined) break
      this.#settle(pending)
    }
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
  drainSync(timeoutMs = 0): boolean {
    checkTimeoutMs(timeoutMs)
    return this.#pending.length === 0
  }

  reopen(): Promise<AuditOutcome> {
    if (this.#isDisabled) return DISABLED
    if (this.#closing !== undefined) {
      return this.#refuse({ stage: 'closed', error: closedError() })
    }
    if (this.#encoder.isTaken) return this.#refuse({ stage: 'encode', error: reentryError() })
    return Promise.resolve<AuditOutcome>(this.#outcome)
  }

  /**
   * Takes no more events, but for those of commands that `runAudited` is running: it waits until they have ended, and
   * until nothing is held back. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#leases.count > 0) await this.#leases.ended()
    this.#isClosed = true
    await this.drain()
  }

  /** @internal */
  [RUN_LEASE](): RunLease {
    if (this.#closing !== undefined) return { events: this, end: () => undefined }
    const isOpen = () => this.#closing === undefined
    const events = lentEvents(this, isOpen, (name, event) => this.#submit(name, event, true))
    return { events, end: this.#leases.take() }
  }

  /** Same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The counts of events; the figures of ring, file and worker stay 0. */
  stats(): AuditStats {
    const none = disabledStats(this.#options.failureMode)
    if (this.#isDisabled) return none
    const accepted = sum(this.#accepted)
    return {
      ...none,
      state: this.#closing === undefined ? 'open' : 'closed',
      events: {
        ...none.events,
        accepted,
        byType: { ...this.#accepted },
        settled: this.#settled,
        pending: accepted - this.#settled,
        succeeded: this.#succeeded,
        failed: sum(this.#reporter.counts),
        lastFailedAtMs: this.#reporter.lastFailedAtMs,
      },
      failures: this.#reporter.counts,
      warnings: this.#reporter.warnings,
    }
  }

  /** @param isOfRun it is a lent event, which `close()` waits for */
  #submit(event: EventName, input: unknown, isOfRun = false): Promise<AuditOutcome> {
    if (this.#isDisabled) return DISABLED
    const isRefused = () => this.#isClosed || (this.#closing !== undefined && !isOfRun)
    if (isRefused()) return this.#refuse({ stage: 'closed', error: closedError() }, event)
    if (this.#encoder.isTaken)
      return this.#refuse({ stage: 'encode', error: reentryError() }, event)
    let line: string
    let made: Made
    try {
      this.#encoder.prepare(event, input)
      // Made as in ExecAudit, while the encoder is taken: what an async hook records now is refused.
      made = newPromise()
      line = this.#encode()
    } catch (thrown) {
      this.#encoder.release()
      const error = isInvalidEvent(thrown) ? thrown : new Error(textOf(thrown))
      return this.#refuse({ stage: 'encode', error }, event)
    }
    // Asked again here: a getter of the event, or `redact`, may have closed the audit meanwhile.
    if (isRefused()) return this.#refuse({ stage: 'closed', error: closedError() }, event)
    const failure = this.#planned.take(event)
    if (failure?.stage === 'closed') return this.#refuse(failure, event)
    if (failure?.stage === 'full') return this.#refuse(failure, event, line)
    this.#accepted[event]++
    const { promise, settle, reject } = made
    this.#pending.push({ event, line, failure, settle, reject })
    if (!this.#isHeld) this.release()
    return promise
  }

  /** The line of the prepared event. */
  #encode(): string {
    const encoder = this.#encoder
    const record = recordBytes(new ArrayBuffer(encoder.exactBytes))
    const length = encoder.write(record, 0)
    return serialize(decode(record, 0, length)).slice(0, -1)
  }

  #settle({ event, line, failure, settle, reject }: Pending): void {
    this.#settled++
    if (failure === undefined) {
      this.#succeeded++
      this.#reporter.noteSuccess()
      this.#lines.push(line)
      settle(this.#outcome)
      return
    }
    this.#fail(failure, event, line)
    if (this.#rejects) reject(failure.error)
    else settle('failed')
  }

  #refuse(failing: Failing, event?: EventName, line?: string): Promise<AuditOutcome> {
    this.#fail(failing, event, line)
    this.#reporter.flush()
    return this.#rejects ? Promise.reject(failing.error) : Promise.resolve('failed')
  }

  /** Notes a failure; without an event, that of a `reopen()`. */
  #fail({ stage, error }: Failing, event: EventName | undefined, line: string | undefined): void {
    if (event !== undefined) this.#failed.push({ event, line, stage, error })
    this.#reporter.note(stage, error)
  }

  get #rejects(): boolean {
    return this.#options.failureMode === 'closed'
  }
}

function newPromise(): Made {
  let settle: Made['settle'] = () => undefined
  let reject: Made['reject'] = () => undefined
  const promise = new Promise<AuditOutcome>((resolveIt, rejectIt) => {
    settle = resolveIt
    reject = rejectIt
  })
  return { promise, settle, reject }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
