import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { positionDelta } from './memory-map'
import type { OversizeRecord, SessionTask } from './messages'

/** oversize: which buffer holds the record that was too large for the ring, and its length. */
export const OVERSIZE_ID_OFFSET = 40
export const OVERSIZE_LENGTH_OFFSET = 44
export const OVERSIZE_BYTES = 48

/** Where a drainer finds the records that were too large for the ring. */
export interface OversizeSource {
  /** The bytes of the record, by the id in its reference; undefined when there is none such. */
  get(id: number): SharedArrayBuffer | undefined
}

interface Outstanding extends OversizeRecord {
  /** Ring position of the reference. */
  readonly position: number
}

/**
 * Records too large for the ring, kept by the calling thread until they have their outcome, so that
 * a new worker gets them again. Bounded by the option `maxWaitingBytes`.
 */
export class OversizeStore implements OversizeSource {
  #outstanding: Outstanding[] = []
  #nextId = 1

  /** The id that the next added record gets. */
  get nextId(): number {
    return this.#nextId
  }

  /** Keeps a record whose reference stands at `position`. */
  add(buffer: SharedArrayBuffer, position: number): void {
    this.#outstanding.push({ id: this.#nextId, buffer, position })
    this.#nextId = (this.#nextId + 1) >>> 0
  }

  get(id: number): SharedArrayBuffer | undefined {
    return this.#outstanding.find((record) => record.id === id)?.buffer
  }

  /** Those without an outcome, in order. */
  all(): readonly OversizeRecord[] {
    return this.#outstanding.map(({ id, buffer }) => ({ id, buffer }))
  }

  /** Lets go of the records before `durable`; returns their bytes. */
  releaseBefore(durable: number): number {
    if (this.#outstanding.length === 0) return 0
    const kept = this.#outstanding.filter(({ position }) => positionDelta(durable, position) <= 0)
    const bytes = bytesOf(this.#outstanding) - bytesOf(kept)
    this.#outstanding = kept
    return bytes
  }
}

/** The worker's oversize records: those that came with its session, and those that its port has brought since. */
export class OversizeInbox implements OversizeSource {
  readonly #records = new Map<number, SharedArrayBuffer>()
  readonly #port: MessagePort

  constructor({ port, oversize }: Pick<SessionTask, 'port' | 'oversize'>) {
    this.#port = port
    for (const { id, buffer } of oversize) this.#records.set(id, buffer)
  }

  get(id: number): SharedArrayBuffer | undefined {
    // The producer posts a record before it publishes the reference: what we need is here.
    for (let message = this.#receive(); message !== undefined; message = this.#receive()) {
      this.#records.set(message.id, message.buffer)
    }
    const found = this.#records.get(id)
    // A damaged id must not cost the records that others refer to.
    if (found === undefined) return undefined
    for (const known of this.#records.keys()) if (known < id) this.#records.delete(known)
    return found
  }

  #receive(): OversizeRecord | undefined {
    const received: { message: OversizeRecord } | undefined = receiveMessageOnPort(this.#port)
    return received?.message
  }
}

function bytesOf(records: readonly Outstanding[]): number {
  return records.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
}
