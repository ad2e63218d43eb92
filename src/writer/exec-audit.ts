import { checkTimeoutMs } from '../base/option-checks'
import type {
  AuditOutcome,
  DenialEvent,
  ExitEvent,
  RequestEvent,
  StartedEvent,
  WarningEvent,
} from '../format/events'
import { type AuditStats, disabledStats } from './audit-stats'
import type { AuditTrail } from './audit-trail'
import { AuditWriter } from './caller/audit-writer'
import { type AuditFailureRecorder, checkRecorder } from './failure/diagnostics'
import { checkOptions, type ExecAuditOptions } from './options'
import { checkPolicy, type ExecPolicy } from './policy'
import { lentEvents, RUN_LEASE, type RunLease, RunLeases } from './run-lease'

/** How long `drainSync` blocks by default, in milliseconds. */
const DRAIN_SYNC_MS = 10_000

const DISABLED = Promise.resolve<AuditOutcome>('disabled')

/**
 * The audit trail of an exec gateway: one JSON line per event, appended to a file, and acknowledged once
 * an fdatasync that began after the whole line was written has returned.
 *
 * The rules are those of x0x 0.19.47's `ExecAudit`. Each event method takes its event as it is at the
 * call and returns a promise of its {@link AuditOutcome}:
 *
 * - with `failureMode: 'open'` (default) it never throws and never rejects: a failure is counted in the
 *   diagnostics and warned about, and the outcome is `'failed'`;
 * - with `failureMode: 'closed'` it rejects with an AuditError if the event could not be made durable,
 *   and with a TypeError or RangeError if the event itself is wrong.
 *
 * The lines are in the order of the calls. Pending events keep the process alive; an idle
 * `ExecAudit` does not.
 *
 * @example
 * const policy = { enabled: true, auditLogPath }
 * await using audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
 * await audit.started({ requestId, pid: child.pid })
 */
export class ExecAudit implements AuditTrail {
  /** The policy's `auditTasklistId`; undefined if it has none or is disabled. Not acted on. */
  readonly tasklistId: string | undefined
  readonly #writer: AuditWriter | undefined
  readonly #failureMode: AuditStats['failureMode']
  readonly #leases = new RunLeases()
  #closing: Promise<void> | undefined

  /**
   * Starts the worker; the file is opened with the first event.
   * @param diagnostics records each failed event, once
   * @throws TypeError or RangeError for a mistake in the policy or the options, naming it
   */
  constructor(policy: ExecPolicy, diagnostics: AuditFailureRecorder, options?: ExecAuditOptions) {
    const { auditLogPath, tasklistId } = checkPolicy(policy)
    const checked = checkOptions(options)
    checkRecorder(diagnostics)
    this.tasklistId = tasklistId
    this.#failureMode = checked.failureMode
    if (auditLogPath !== undefined) {
      this.#writer = new AuditWriter(auditLogPath, checked, diagnostics)
    }
  }

  /** Records that a command was allowed and is about to run. Await it before spawning. */
  request(event: RequestEvent): Promise<AuditOutcome> {
    return this.#writer?.submit('request', event) ?? DISABLED
  }

  /** Records that the command's process exists. */
  started(event: StartedEvent): Promise<AuditOutcome> {
    return this.#writer?.submit('started', event) ?? DISABLED
  }

  /** Records something worth noting while the command runs: a cap hit, a lost peer, a cancellation. */
  warning(event: WarningEvent): Promise<AuditOutcome> {
    return this.#writer?.submit('warning', event) ?? DISABLED
  }

  /** Records how the command ended. */
  exit(event: ExitEvent): Promise<AuditOutcome> {
    return this.#writer?.submit('exit', event) ?? DISABLED
  }

  /** Records that a command was refused, and why. */
  denial(event: DenialEvent): Promise<AuditOutcome> {
    return this.#writer?.submit('denial', event) ?? DISABLED
  }

  /**
   * Resolves when every event accepted so far is settled, with whatever outcome. Ends the wait that
   * `fsync.maxDelayMs` asks for. Never rejects.
   */
  drain(): Promise<void> {
    return this.#writer?.drain() ?? Promise.resolve()
  }

  /**
   * As {@link drain}, but blocks the calling thread: for `process.on('exit')`, in which promises are no
   * longer settled. If the worker does not drain, this thread does.
   * @param timeoutMs milliseconds, from 0; default 10,000
   * @returns true when no event is pending, false when the time ran out
   * @throws RangeError if `timeoutMs` is not a number from 0
   */
  drainSync(timeoutMs: number = DRAIN_SYNC_MS): boolean {
    checkTimeoutMs(timeoutMs)
    return this.#writer?.drainSync(timeoutMs) ?? true
  }

  /**
   * Closes the file and opens the path afresh, creating the file if it is missing; for a SIGHUP
   * handler. It takes its place in the order of the calls. Rotation by rename does not need it, since the
   * path is followed anyway. It resolves and rejects as an event does.
   */
  reopen(): Promise<AuditOutcome> {
    return this.#writer?.submit('reopen') ?? DISABLED
  }

  /**
   * Settles every pending event, closes the file and ends the worker. Idempotent. Events that are
   * recorded after the call fail with `AUDIT_CLOSED`, but for those of commands that `runAudited` is running:
   * it waits until they have ended, so cancel them first to be quick. A listener of such a command must not wait
   * for it in turn: both would last until the command's time limit. Never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#leases.count > 0) {
      this.#writer?.takeRunsAlone()
      await this.#leases.ended()
    }
    await this.#writer?.close()
  }

  /** @internal */
  [RUN_LEASE](): RunLease {
    const writer = this.#writer
    if (writer === undefined || this.#closing !== undefined) {
      return { events: this, end: () => undefined }
    }
    const isOpen = () => this.#closing === undefined
    const events = lentEvents(this, isOpen, (name, event) => writer.submit(name, event, true))
    return { events, end: this.#leases.take() }
  }

  /** Calls {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Counters since construction, the events in flight, and histograms of groups and syncs. */
  stats(): AuditStats {
    return this.#writer?.stats() ?? disabledStats(this.#failureMode)
  }
}
