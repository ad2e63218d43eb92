import type { MessagePort } from 'node:worker_threads'
import type { DrainConfig } from './drain-loop'

/*
 * What crosses between the threads beside the ring's memory.
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
  /** Brings further {@link OversizeRecord}s to the worker, and notices (see notice.ts) back. */
  readonly port: MessagePort
  /** Every oversize record that has no outcome yet. */
  readonly oversize: readonly OversizeRecord[]
}
