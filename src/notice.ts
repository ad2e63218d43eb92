import type { AuditGroup } from './group-channel'

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

/** A group has its outcome; told while GROUPS_WATCHED is set. */
export interface GroupNotice extends Omit<AuditGroup, 'path'> {
  readonly kind: 'group'
}

/** What an operator is warned of. */
export type Alert = TornTail | UnsafeFile

export type Notice = Alert | GroupNotice
