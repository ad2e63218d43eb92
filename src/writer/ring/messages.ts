import type { MessagePort } from 'node:worker_threads'
import type { AuditGroup } from '../caller/group-channel'
import type { DrainConfig } from '../drain/drain-loop'

/*
 * What crosses between the threads beside the ring's memory: to the worker the tasks of its sessions
 * and oversize records, from the drainer notices.
 *
 * The worker drains in *sessions*: a piscina task that runs while there are events and for a linger
 * after the last one, then returns. A task that never returned would keep the process alive for
 * ever; between sessions an idle writer holds nothing. Inside a session a wake-up costs a notify,
 * starting one costs a message and half a millisecond.
 */

/** How long a session outlives its last event. */
export const SESSION_LINGER_MS = 50

/** A record that is too large for the ring; the ring holds a reference with its id. */
export interface OversizeRecord {
  readonly id: number
  readonly buffer: SharedArrayBuffer
}

/** What a session is started with. */
export interface SessionTask {
  readonly config: DrainConfig
  /** Brings further {@link OversizeRecord}s to the worker, and each {@link Notice} back. */
  readonly port: MessagePort
  /** Every oversize record that has no outcome yet. */
  readonly oversize: readonly OversizeRecord[]
}

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

/** What the drainer tells that is not about one event. */
export type Notice = Alert | GroupNotice
