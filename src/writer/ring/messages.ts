import type { RecordableHistogram } from 'node:perf_hooks'
import type { MessagePort } from 'node:worker_threads'

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

/** How a group is made durable; `none` leaves that to the kernel. */
export type SyncMethod = 'fdatasync' | 'fsync' | 'none'

/** What is done about a file that others could tamper with. */
export type OnUnsafeFile = 'warn' | 'fail'

/** What the drainer needs to know of the options and the policy to open and sync the log. */
export interface LogFileOptions {
  /** Absolute. */
  readonly path: string
  readonly fileMode: number
  readonly dirMode: number
  readonly onUnsafeFile: OnUnsafeFile
  readonly syncMethod: SyncMethod
  /**
   * Whether what a worker has open stays open when it ends. It does if the calling thread is the main
   * one. Below a thread that tracks its descriptors Node closes them, and their numbers become other
   * files': they are worth nothing then.
   */
  readonly descriptorsOutlive: boolean
}

/** What a drainer needs, in a form that can be posted to a worker. */
export interface DrainConfig {
  readonly ring: SharedArrayBuffer
  readonly sink: LogFileOptions
  /** Events a group at most. */
  readonly maxEvents: number
  /** Bytes of lines a group at most; a single longer line is a group of its own. */
  readonly maxBytes: number
  /** Milliseconds to wait for company. */
  readonly maxDelayMs: number
  /** Milliseconds to go on trying after an I/O failure. */
  readonly retryForMs: number
  /** Events a group; recorded once a group. */
  readonly groupEvents: RecordableHistogram
  /** Nanoseconds a sync. */
  readonly syncNs: RecordableHistogram
}

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
  /** Whether it starts before `offset`: its start is looked for in the last mebibyte alone. */
  readonly isLonger: boolean
}

/** The file was opened and is written to, but others could tamper with it. */
interface UnsafeFile {
  readonly kind: 'unsafe-file'
  /** REASON constants of failure.ts. */
  readonly reasons: readonly number[]
}

/** The `diagnostics_channel` on which each {@link AuditGroup} is published. */
export const GROUP_CHANNEL = 'x0x-exec-audit:group'

/** What `diagnostics_channel` publishes on `x0x-exec-audit:group`: one group of one audit. */
export interface AuditGroup {
  /** Absolute path of the log. */
  readonly path: string
  /** Events of the group; a `reopen()` is a group of its own, of one event and 0 bytes. */
  readonly events: number
  /** Bytes of its lines. */
  readonly bytes: number
  /** Nanoseconds spent in the syncs of the log for it, over all tries; 0 with `fsync.method: 'none'`. */
  readonly syncNs: number
  /** `'failed'`: none of its events is known to be durable. */
  readonly outcome: 'durable' | 'written' | 'failed'
}

/** A group has its outcome; sent while GROUPS_WATCHED is set. */
export interface GroupNotice extends Omit<AuditGroup, 'path'> {
  readonly kind: 'group'
}

/** What an operator is warned of. */
export type Alert = TornTail | UnsafeFile

/** What the drainer tells that is not about one event. */
export type Notice = Alert | GroupNotice
