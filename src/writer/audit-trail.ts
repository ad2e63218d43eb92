import type {
  AuditOutcome,
  DenialEvent,
  ExitEvent,
  RequestEvent,
  StartedEvent,
  WarningEvent,
} from '../format/events'
import type { AuditStats } from './audit-stats'

/** The five events of a command, one method each, documented at `ExecAudit`. */
export interface EventRecorder {
  /** A command was allowed and is about to run; await it before spawning. */
  request(event: RequestEvent): Promise<AuditOutcome>
  /** Its process exists. */
  started(event: StartedEvent): Promise<AuditOutcome>
  /** Something worth noting happened while it ran. */
  warning(event: WarningEvent): Promise<AuditOutcome>
  /** It ended. */
  exit(event: ExitEvent): Promise<AuditOutcome>
  /** A command was refused. */
  denial(event: DenialEvent): Promise<AuditOutcome>
}

/**
 * All that a gateway needs of its audit: type against this, and pass an `ExecAudit`, or in unit tests the
 * `MemoryAudit` of `x0x-exec-audit/testing`. Each method is documented at `ExecAudit`.
 */
export interface AuditTrail extends EventRecorder, AsyncDisposable {
  /** The policy's `auditTasklistId`; carried, not acted on. */
  readonly tasklistId: string | undefined
  /** Resolves when every event accepted so far is settled. Never rejects. */
  drain(): Promise<void>
  /** As {@link drain}, but blocks, for at most `timeoutMs` milliseconds; true if no event is pending. */
  drainSync(timeoutMs?: number): boolean
  /** Opens the path afresh, in the order of the calls; resolves and rejects as an event does. */
  reopen(): Promise<AuditOutcome>
  /** Settles every pending event and ends; idempotent. Never rejects. */
  close(): Promise<void>
  /** The counts so far and the events in flight now, as plain data. */
  stats(): AuditStats
}
