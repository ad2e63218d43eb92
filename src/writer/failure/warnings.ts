import { textOf } from '../../base/describe'
import type { Alert } from '../ring/messages'
import { ownReason } from './remedies'

/*
 * Every warning that is not one event's failure, with its text.
 */

/** Codes of warnings that are not one event's failure; they come as the `code` of the warning. */
export type AuditWarningCode =
  | 'AUDIT_TORN_TAIL'
  | 'AUDIT_UNSAFE_FILE'
  | 'AUDIT_WORKER_LOST'
  | 'AUDIT_WORKER_BACK'
  | 'AUDIT_RECOVERED'
  | 'AUDIT_REDACT_FAILED'
  | 'AUDIT_EXIT_TIMEOUT'

/** The error behind a warning that is not one event's failure. */
export interface AuditWarning extends Error {
  readonly code: AuditWarningCode
}

/** A count per code, all 0. */
export function noWarnings(): Record<AuditWarningCode, number> {
  return {
    AUDIT_TORN_TAIL: 0,
    AUDIT_UNSAFE_FILE: 0,
    AUDIT_WORKER_LOST: 0,
    AUDIT_WORKER_BACK: 0,
    AUDIT_RECOVERED: 0,
    AUDIT_REDACT_FAILED: 0,
    AUDIT_EXIT_TIMEOUT: 0,
  }
}

/** Makes the error behind a warning. */
export function warning(code: AuditWarningCode, message: string, cause?: unknown): AuditWarning {
  return Object.assign(new Error(message, cause === undefined ? {} : { cause }), { code })
}

/** The drainer has found something wrong with the log at `path`. */
export function alertWarning(alert: Alert, path: string): AuditWarning {
  switch (alert.kind) {
    case 'torn-tail': {
      const { bytes, offset, mayBeLonger } = alert
      const text = `${path} had ${mayBeLonger ? 'at least ' : ''}${bytes} bytes without a newline at offset ${offset}, left by a crash or a full disk; they were closed with one and kept`
      return warning('AUDIT_TORN_TAIL', text)
    }
    case 'unsafe-file': {
      const reasons = alert.reasons.map((reason) => ownReason(reason, path)).join('; ')
      return warning('AUDIT_UNSAFE_FILE', `${path} can be tampered with: ${reasons}`)
    }
  }
}

/** The worker was given up. */
export function fallbackWarning(cause: unknown, path: string): AuditWarning {
  const text = `the worker cannot be used, so the calling thread writes ${path} itself and blocks for each group until a worker is back; see workerFile for bundles, --allow-worker for the permission model: ${textOf(cause)}`
  return warning('AUDIT_WORKER_LOST', text, cause)
}

/** A worker can be used again. */
export function returnWarning(path: string): AuditWarning {
  const text = `a worker writes ${path} again, and the calling thread no longer blocks for it`
  return warning('AUDIT_WORKER_BACK', text)
}

/** An event has succeeded after others had failed at the file. */
export function recoveredWarning(failed: number, forMs: number, path: string): AuditWarning {
  const time = forMs < 1_000 ? `${Math.ceil(forMs)} ms` : `${(forMs / 1_000).toFixed(1)} s`
  const text = `${path} takes events again: ${failed} failed within ${time}`
  return warning('AUDIT_RECOVERED', text)
}

/** No thread can run the drain loop. */
export function ringGivenUpWarning(cause: unknown, path: string): AuditWarning {
  const text = `neither a worker nor the calling thread can drain events into ${path}; restart the process: ${textOf(cause)}`
  return warning('AUDIT_WORKER_LOST', text, cause)
}

/** The option `redact` has failed; the failure mode decides what happens to the event. */
export function redactWarning(error: Error, failureMode: 'open' | 'closed'): AuditWarning {
  const fate = failureMode === 'open' ? 'argv was withheld from the log' : 'the event was refused'
  return warning('AUDIT_REDACT_FAILED', `${error.message}; ${fate}: fix redact`, error)
}

/** The process ends with events pending. */
export function exitTimeoutWarning(events: number, path: string, waitedMs: number): AuditWarning {
  const text = `${events} events are not known to be in ${path}: the process ended while the disk did not answer for ${waitedMs} ms`
  return warning('AUDIT_EXIT_TIMEOUT', text)
}
