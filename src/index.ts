/// <reference types="node" preserve="true" />

export {
  type AuditFailure,
  type AuditFailureRecorder,
  type DiagnosticsSnapshot,
  ExecDiagnostics,
  type LastAuditFailure,
} from './diagnostics'
export type { EventName } from './encode'
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
export type { FailureKind } from './failure-counts'
export type { AuditGroup } from './group-channel'
export type { ExecAuditOptions, FsyncOptions, WarnLogger } from './options'
export type { ExecPolicy } from './policy'
export type { SyncMethod } from './sink'
export type { AuditStats, HistogramSummary, SyncBucket } from './stats'
