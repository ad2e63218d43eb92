import { positionDelta } from './memory-map'
import type { OversizeRecord } from './messages'

/** oversize: which buffer holds the record that was too large for the ring, and its length. */
export const OVERSIZE_ID_OFFSET = 40
export const OVERSIZE_LENGTH_OFFSET = 44
export const OVERSIZE_BYTES = 48

interface Outstanding extends OversizeRecord {
  /** Ring position of the reference. */
  readonly position: number
}

/**
 * Records too large for the ring, kept by the calling thread until they have their outcome, so that
 * a new worker gets them again. Bounded by the option `maxWaitingBytes`.
 */
export class OversizeStore {
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

function bytesOf(records: readonly Outstanding[]): number {
  return records.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
}
