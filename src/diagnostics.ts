/** Counts one failed audit event. What {@link ExecAudit} needs of its diagnostics. */
export interface AuditFailureRecorder {
  /** Called once for each event that failed, whatever the reason. */
  recordAuditFailure(): void
}

/** The gateway's counters, as x0x's `ExecDiagnostics`. One may be shared by several `ExecAudit`s. */
export class ExecDiagnostics implements AuditFailureRecorder {
  #auditFailures = 0

  /** Events that failed so far. */
  get auditFailures(): number {
    return this.#auditFailures
  }

  recordAuditFailure(): void {
    this.#auditFailures++
  }

  /** The counters as plain data: `auditFailures`. */
  toJSON(): {
    /** Events that failed so far. */
    auditFailures: number
  } {
    return { auditFailures: this.#auditFailures }
  }
}
