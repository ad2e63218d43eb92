/// <reference types="node" preserve="true" />
/**
 * The audit writer, what runs a command under it, and what reads its log back.
 *
 * @module x0x-exec-audit
 */

export type { AuditTrail, EventRecorder } from './audit-trail'
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
export type { OnUnsafeFile, SyncMethod } from './log-file'
export type { ExecAuditOptions, FsyncOptions, WarnLogger } from './options'
export type { ExecPolicy } from './policy'
export {
  PolicyFileError,
  type PolicyFileErrorCode,
  type PolicyFilePlace,
} from './policy-file/errors'
export {
  DEFAULT_EXEC_POLICY_PATH,
  type ExecPolicySummary,
  type LoadedExecPolicy,
  loadExecPolicy,
} from './policy-file/load-exec-policy'
export { type FollowOptions, followAudit } from './reader/follow-audit'
export type { PathChange } from './reader/path-watch'
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
export { DEFAULT_RUN_LIMITS, type RunLimits } from './runner/limits'
export { type AuditedRun, runAudited } from './runner/run-audited'
export {
  type CancelKind,
  type OutputListener,
  type RunOptions,
  scrubbedEnvironment,
} from './runner/run-options'
export type { StopReason } from './runner/supervisor'
export type { TrailEntry } from './runner/trail'
export type { AuditStats, HistogramSummary, SyncBucket } from './stats'
export type { AuditWarningCode } from './warnings'
