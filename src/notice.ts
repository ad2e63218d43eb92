import { type AuditWarning, ownReason, warning } from './errors'
import type { AuditOutcome } from './events'

/*
 * What the drainer tells that is not about one event. It crosses between the threads.
 */

/** A fragment without its newline was found at the end of the file, and closed with one. */
export interface TornTail {
  readonly kind: 'torn-tail'
  /** Where the fragment starts, in bytes from the file's start. */
  readonly offset: number
  /** Length of the fragment in bytes. */
  readonly bytes: number
}

/** The file was opened and is written to, but others could tamper with it. */
interface UnsafeFile {
  readonly kind: 'unsafe-file'
  /** REASON constants of failure.ts. */
  readonly reasons: readonly number[]
}

/** A group has its outcome; told while GROUPS_WATCHED is set. See group-channel.ts for the fields. */
export interface GroupNotice {
  readonly kind: 'group'
  readonly events: number
  readonly bytes: number
  readonly syncNs: number
  readonly outcome: Exclude<AuditOutcome, 'disabled'>
}

/** What an operator is warned of. */
export type Alert = TornTail | UnsafeFile

export type Notice = Alert | GroupNotice

/** The alert as a warning about the log at `path`. */
export function alertWarning(alert: Alert, path: string): AuditWarning {
  switch (alert.kind) {
    case 'torn-tail': {
      const { bytes, offset } = alert
      const text = `${path} had ${bytes} bytes without a newline at offset ${offset}, left by a crash or a full disk; they were closed with one and kept`
      return warning('AUDIT_TORN_TAIL', text)
    }
    case 'unsafe-file': {
      const reasons = alert.reasons.map((reason) => ownReason(reason, path)).join('; ')
      return warning('AUDIT_UNSAFE_FILE', `${path} can be tampered with: ${reasons}`)
    }
  }
}
