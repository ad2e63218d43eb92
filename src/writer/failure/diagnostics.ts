import { codeOf, describe } from '../../base/describe'
import { invalidOption } from '../../base/invalid-option'
import { FailureCounts, type FailureKind } from './failure-counts'

/** One failed event, as {@link ExecAudit} reports it to its diagnostics. */
export interface AuditFailure {
  /** Where it failed; `encode` is the caller's mistake, `full` and `closed` are refusals. */
  readonly stage: FailureKind
  /**
   * An AuditError, or for a mistake in the event a TypeError or RangeError with a `field`. Events
   * of one outage share an error: do not write to it.
   */
  readonly error: Error
  /** Absolute path of the log. */
  readonly path: string
}

/** Counts failed events. This is all that {@link ExecAudit} needs of its diagnostics. */
export interface AuditFailureRecorder {
  /** Called once per failed event, whatever the reason. If it throws, that is warned about. */
  recordAuditFailure(failure?: AuditFailure): void
}

/** The failure that was recorded last, as plain data. */
export interface LastAuditFailure {
  /** Where it failed, as in {@link AuditFailure}. */
  readonly stage: FailureKind
  /** Such as `'AUDIT_SYNC_FAILED'`; `'AUDIT_INVALID_EVENT'` for a mistake in the event. */
  readonly code: string | null
  /** The kernel's name for the error, such as `'ENOSPC'`; null if it is not the kernel's. */
  readonly cause: string | null
  /** For people; compare `code`. It names types and lengths, never an argument. */
  readonly message: string
  /** Absolute path of the log. */
  readonly path: string
  /** When it was recorded, in ISO 8601, by the system's clock. */
  readonly at: string
}

/** The result of {@link ExecDiagnostics.snapshot}: plain data without a bigint, ready for JSON. */
export interface DiagnosticsSnapshot {
  /** Events that failed so far. */
  readonly auditFailures: number
  /** Failed events by stage; one that was recorded without its failure is in none. */
  readonly auditFailuresByStage: Readonly<Record<FailureKind, number>>
  /** Null when there was none. */
  readonly lastAuditFailure: LastAuditFailure | null
}

/** The gateway's counters, as x0x's `ExecDiagnostics`. One may be shared by several `ExecAudit`s. */
export class ExecDiagnostics implements AuditFailureRecorder {
  #auditFailures = 0
  readonly #byStage = new FailureCounts()
  #last: { readonly failure: AuditFailure; readonly atMs: number } | undefined

  /** Events that failed so far. */
  get auditFailures(): number {
    return this.#auditFailures
  }

  /** The failure that was recorded last; null when there was none. */
  get lastAuditFailure(): LastAuditFailure | null {
    return this.#last === undefined ? null : plain(this.#last.failure, this.#last.atMs)
  }

  /** Counts one failed event. Without its failure the event still counts, but in no stage. */
  recordAuditFailure(failure?: AuditFailure): void {
    this.#auditFailures++
    if (failure === undefined) return
    this.#byStage.add(failure.stage)
    this.#last = { failure, atMs: Date.now() }
  }

  /** The counters and the last failure as they are now, as plain data. */
  snapshot(): DiagnosticsSnapshot {
    return {
      auditFailures: this.#auditFailures,
      auditFailuresByStage: this.#byStage.toRecord(),
      lastAuditFailure: this.lastAuditFailure,
    }
  }

  /** Same as {@link snapshot}, for JSON.stringify. */
  toJSON(): DiagnosticsSnapshot {
    return this.snapshot()
  }
}

/** Throws a TypeError for an object that failures cannot be reported to. */
export function checkRecorder(diagnostics: unknown): void {
  const isRecorder =
    typeof diagnostics === 'object' &&
    diagnostics !== null &&
    'recordAuditFailure' in diagnostics &&
    typeof diagnostics.recordAuditFailure === 'function'
  if (isRecorder) return
  throw invalidOption(
    'diagnostics',
    `expected an object with recordAuditFailure(), got ${describe(diagnostics)}`,
  )
}

function plain({ stage, error, path }: AuditFailure, atMs: number): LastAuditFailure {
  return {
    stage,
    code: codeOf(error) ?? null,
    cause: codeOf(error.cause) ?? null,
    message: error.message,
    path,
    at: new Date(atMs).toISOString(),
  }
}
