import type { AuditOutcome } from '../../format/events'
import { positionDelta } from '../ring/memory-map'

/** Settles one event's promise with its outcome. */
export type Settle = (outcome: AuditOutcome) => void

const CAPACITY_FIRST = 1024

/**
 * The promises of the records in the ring, first in, first out. The ring bounds it: there is one entry
 * per record. A circular buffer of positions beside one of functions, so that an event in
 * flight costs no object of its own.
 */
export class PromiseQueue {
  #positions = new Int32Array(CAPACITY_FIRST)
  #settles: (Settle | undefined)[] = new Array(CAPACITY_FIRST)
  #first = 0
  #size = 0

  /** Events in the ring whose promise is pending. */
  get size(): number {
    return this.#size
  }

  /** Adds the promise of the record at `position`. */
  push(position: number, settle: Settle): void {
    if (this.#size === this.#positions.length) this.#grow()
    const slot = (this.#first + this.#size) & (this.#positions.length - 1)
    this.#positions[slot] = position
    this.#settles[slot] = settle
    this.#size++
  }

  /** Position of the oldest record. */
  get firstPosition(): number {
    return this.#positions[this.#first] ?? 0
  }

  /**
   * Whether the oldest record lies before `durable`. That moves from the end of one record to the
   * end of another, so a record that starts before it also ends at or before it.
   */
  hasBefore(durable: number): boolean {
    return this.#size > 0 && positionDelta(durable, this.firstPosition) > 0
  }

  /** Takes the oldest promise out. */
  shift(): Settle {
    const settle = this.#settles[this.#first]
    if (settle === undefined) throw new Error('shift of an empty queue')
    this.#settles[this.#first] = undefined
    this.#first = (this.#first + 1) & (this.#positions.length - 1)
    this.#size--
    return settle
  }

  /** Doubles the buffers, laying the entries out from the start. */
  #grow(): void {
    const { length } = this.#positions
    const positions = new Int32Array(length * 2)
    const settles: (Settle | undefined)[] = new Array(length * 2)
    for (let i = 0; i < this.#size; i++) {
      const slot = (this.#first + i) & (length - 1)
      positions[i] = this.#positions[slot] ?? 0
      settles[i] = this.#settles[slot]
    }
    this.#positions = positions
    this.#settles = settles
    this.#first = 0
  }
}
