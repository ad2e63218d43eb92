/// <reference types="node" preserve="true" />
/**
 * The audit writer, what runs a command under it, and what reads its log back.
 *
 * @module x0x-exec-audit
 */

export type { InvalidEventError } from './base/field-checks'
export type { InvalidOptionError } from './base/invalid-option'
export type { EventName } from './format/events'
export {
  type AuditOutcome,
  DENIAL_REASONS,
  type DenialEvent,
  type DenialReason,
  type EventContext,
  type ExitEvent,
  type IdInput,
  type RequestEvent,
  type StartedEvent,
  type U64Input,
  WARNING_KINDS,
  type WarningEvent,
  type WarningKind,
} from './format/events'
export { idOf } from './format/id-of'
export {
  type AuditProblem,
  AuditReadError,
  type AuditRecord,
  type BigintAuditRecord,
  type DenialRecord,
  type ExitRecord,
  type LinePlace,
  type ProblemKind,
  type RequestRecord,
  type StartedRecord,
  type U64,
  type WarningRecord,
} from './format/records'
export {
  PolicyFileError,
  type PolicyFileErrorCode,
  type PolicyFileMistake,
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
export { type BigintOption, type ReadOptions, readAudit } from './reader/read-audit'
export type { AuditSource } from './reader/source'
export { type RotateOptions, type RotateResult, rotateLog } from './rotation/rotate-log'
export {
  createRunner,
  type DenyOptions,
  type Runner,
  type RunnerCloseOptions,
  type RunnerOptions,
} from './runner/create-runner'
export { DEFAULT_RUN_LIMITS, type RunLimits } from './runner/limits'
export {
  type AuditedRun,
  type CancelledRun,
  type DeniedRun,
  type ExitedRun,
  runAudited,
} from './runner/run-audited'
export {
  type CancelKind,
  type OutputListener,
  type RunOptions,
  scrubbedEnvironment,
} from './runner/run-options'
export type { TrailEntry } from './runner/run-trail'
export type { FakeProcess, Spawner, SpawnerInput } from './runner/spawner'
export type { StopReason } from './runner/supervisor'
export type { AuditStats, HistogramSummary, SyncBucket } from './writer/audit-stats'
export type { AuditTrail, EventRecorder } from './writer/audit-trail'
export { ExecAudit } from './writer/exec-audit'
export { AuditError, type AuditErrorCode } from './writer/failure/audit-error'
export {
  type AuditFailure,
  type AuditFailureRecorder,
  type DiagnosticsSnapshot,
  ExecDiagnostics,
  type LastAuditFailure,
} from './writer/failure/diagnostics'
export type { FailureKind } from './writer/failure/failure-counts'
export type { AuditWarningCode } from './writer/failure/warnings'
export type { ExecAuditOptions, FsyncOptions, WarnLogger } from './writer/options'
export type { ExecPolicy } from './writer/policy'
export type { Stage } from './writer/ring/failure-word'
export type { AuditGroup, OnUnsafeFile, SyncMethod } from './writer/ring/messages'
