import type { RecordableHistogram } from 'node:perf_hooks'
import type { MessagePort } from 'node:worker_threads'
import { VERSION } from './version'

/*
 * What crosses between the threads beside the ring's memory: to the worker the task of its session and
 * oversize records, from the drainer notices.
 *
 * A worker has one *session*: from the task that gives it the ring to its end. The task returns at once: one
 * that never returned would keep the process alive for ever.
 */

/**
 * How long the worker waits for an event in a blocking wait before it waits in its event loop, where it has
 * nothing else to do: longer than a gateway's usual pauses. After one of 100 ms, a call that only has to end a
 * blocking wait takes 0.9 times as long, and so does its event until it is durable (6 alternating runs of
 * `bench idle-call`).
 */
export const IDLE_LINGER_MS = 1_000

/** The task that gives a worker its session, and the field with the ring: those of another version differ. */
export const SESSION_TASK = `serve@${VERSION}` as const
export const RING_FIELD = `ring@${VERSION}` as const

/** How a group is made durable; `none` leaves that to the kernel. */
export type SyncMethod = 'fdatasync' | 'fsync' | 'none'

/** How to treat a file that others could tamper with. */
export type OnUnsafeFile = 'warn' | 'fail'

/** The options and the policy, as far as the drainer needs them to open and sync the log. */
export interface LogFileOptions {
  /** Absolute. */
  readonly path: string
  readonly fileMode: number
  readonly dirMode: number
  readonly onUnsafeFile: OnUnsafeFile
  readonly syncMethod: SyncMethod
  /**
   * Whether a worker's descriptors stay open when it ends. They do if the calling thread is the main
   * one. Below a thread that tracks its descriptors Node closes them, and their numbers become those of
   * other files.
   */
  readonly descriptorsOutlive: boolean
}

/** The drainer's configuration, in a form that can be posted to a worker. */
export interface DrainConfig {
  readonly sink: LogFileOptions
  /** Events per group at most. */
  readonly maxEvents: number
  /** Bytes of lines per group at most; a single longer line is a group of its own. */
  readonly maxBytes: number
  /** Milliseconds to wait for more events. */
  readonly maxDelayMs: number
  /** Milliseconds to go on trying after an I/O failure. */
  readonly retryForMs: number
  /** Events per group; recorded once per group. */
  readonly groupEvents: RecordableHistogram
  /** Nanoseconds per sync. */
  readonly syncNs: RecordableHistogram
}

/** A record that is too large for the ring; the ring holds a reference with its id. */
export interface OversizeRecord {
  readonly id: number
  readonly buffer: SharedArrayBuffer
}

/** The task that starts a session. */
export interface SessionTask {
  readonly [RING_FIELD]: SharedArrayBuffer
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
  /** Whether it may start before `offset`: its start is looked for in the last mebibyte alone. */
  readonly mayBeLonger: boolean
}

/** The file was opened and is written to, but others could tamper with it. */
interface UnsafeFile {
  readonly kind: 'unsafe-file'
  /** REASON constants of failure-word.ts. */
  readonly reasons: readonly number[]
}

/** The `diagnostics_channel` on which each {@link AuditGroup} is published. */
export const GROUP_CHANNEL = 'x0x-exec-audit:group'

/** The message of `diagnostics_channel` on `x0x-exec-audit:group`: one group of one audit. */
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

/** A notice that an operator is warned about. */
export type Alert = TornTail | UnsafeFile

/** A report of the drainer that is not about one event. */
export type Notice = Alert | GroupNotice
