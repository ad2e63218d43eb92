import type {
  AuditOutcome,
  DenialEvent,
  ExitEvent,
  RequestEvent,
  StartedEvent,
  WarningEvent,
} from './events'
import type { AuditStats } from './stats'

/**
 * What a gateway needs of its audit: type against this, and pass an `ExecAudit`, or in unit tests the
 * `MemoryAudit` of `x0x-exec-audit/testing`. Each method is documented at `ExecAudit`.
 */
export interface AuditTrail extends AsyncDisposable {
  readonly tasklistId: string | undefined
  request(event: RequestEvent): Promise<AuditOutcome>
  started(event: StartedEvent): Promise<AuditOutcome>
  warning(event: WarningEvent): Promise<AuditOutcome>
  exit(event: ExitEvent): Promise<AuditOutcome>
  denial(event: DenialEvent): Promise<AuditOutcome>
  drain(): Promise<void>
  drainSync(timeoutMs?: number): boolean
  reopen(): Promise<AuditOutcome>
  close(): Promise<void>
  stats(): AuditStats
}
