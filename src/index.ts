export type { AuditTrail } from './audit-trail'
export { type AuditFailureRecorder, ExecDiagnostics } from './diagnostics'
export {
  AuditError,
  type AuditErrorCode,
  type AuditWarningCode,
  type InvalidEventError,
} from './errors'
export {
  type AuditOutcome,
  DENIAL_REASONS,
  type DenialEvent,
  type DenialReason,
  type ExitEvent,
  type IdInput,
  type RequestEvent,
  type StartedEvent,
  type U64Input,
  WARNING_KINDS,
  type WarningEvent,
  type WarningKind,
} from './events'
export { ExecAudit } from './exec-audit'
export type { Stage } from './failure'
export type { FailureKind } from './failure-reporter'
export type { AuditGroup } from './group-channel'
export type { ExecAuditOptions, FsyncOptions, WarnLogger } from './options'
export type { ExecPolicy } from './policy'
export { type FollowOptions, followAudit } from './reader/follow-audit'
export { type ReadOptions, readAudit } from './reader/read-audit'
export {
  type AuditProblem,
  AuditReadError,
  type AuditRecord,
  type DenialRecord,
  type ExitRecord,
  type LinePlace,
  type ProblemKind,
  type RequestRecord,
  type StartedRecord,
  type U64,
  type WarningRecord,
} from './reader/records'
export type { AuditSource } from './reader/source'
export type { SyncMethod } from './sink'
export type { AuditStats, HistogramSummary } from './stats'
