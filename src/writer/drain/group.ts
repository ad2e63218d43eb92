import { constants } from 'node:buffer'
import { performance } from 'node:perf_hooks'
import { positionDelta } from '../ring/memory-map'

/** An output buffer larger than this many times `maxBytes` is not kept. */
const KEPT_BUFFER_FACTOR = 4
const OUTPUT_BYTES_MIN = 64 * 1024

/** Limits of a group. */
export interface GroupLimits {
  /** Events at most. */
  readonly maxEvents: number
  /** Bytes of lines at most; a single longer line is a group of its own. */
  readonly maxBytes: number
}

/**
 * The lines that are written and synced together: collected event by event, then complete, then begun
 * anew for the next group. A group may also be a `reopen()`, which has no line.
 */
export class Group {
  /** Ring position of its first record. */
  start = 0
  /** Ring position at which it must end, if another drainer had begun it. */
  until: number | undefined
  /** Events in it so far. */
  events = 0
  /** When its first event was added, in milliseconds of `performance.now()`. */
  firstAt = 0
  /** Whether it asks for the path to be opened afresh. */
  isReopen = false
  /** Nanoseconds spent in its syncs. */
  syncNs = 0
  readonly #limits: GroupLimits
  #text = ''
  #textBytes = 0
  #lines: Buffer | undefined
  #output = Buffer.alloc(0)

  constructor(limits: GroupLimits) {
    this.#limits = limits
  }

  /** Its lines, once it is complete. */
  get lines(): Buffer | undefined {
    return this.#lines
  }

  /** Whether nothing has been added since it began. */
  get isEmpty(): boolean {
    return this.events === 0 && this.#lines === undefined
  }

  /** Begins anew at `start`. */
  begin(start: number, until?: number): void {
    this.start = start
    this.until = until
    this.events = 0
    this.isReopen = false
    this.syncNs = 0
    this.#text = ''
    this.#textBytes = 0
    this.#lines = undefined
  }

  /** Whether it takes no more; `read` is the ring position after its last record. */
  isFull(read: number): boolean {
    if (this.until !== undefined) return this.isAtEnd(read)
    const { maxEvents, maxBytes } = this.#limits
    return this.events >= maxEvents || this.#textBytes >= maxBytes || this.isReopen
  }

  /** Whether all of a group that another drainer had begun has been read. */
  isAtEnd(read: number): boolean {
    return this.until !== undefined && positionDelta(this.until, read) <= 0
  }

  /** Adds an event's line, empty if it has none; false if it belongs to the next group. */
  tryAdd(line: string): boolean {
    const lineBytes = Buffer.byteLength(line, 'utf8')
    const isTooMuch = this.#textBytes + lineBytes > this.#limits.maxBytes
    const isTooLong = this.#text.length + line.length > constants.MAX_STRING_LENGTH
    if ((isTooMuch || isTooLong) && this.#textBytes > 0 && this.until === undefined) return false
    this.#count()
    this.#text += line
    this.#textBytes += lineBytes
    return true
  }

  /** Makes it a reopen; false if it has events already. */
  tryReopen(): boolean {
    if (this.events > 0) return false
    this.#count()
    this.isReopen = true
    return true
  }

  /** Stops collecting: its lines become bytes, which are valid until it begins anew. */
  complete(): Buffer {
    const output = this.#outputFor(this.#textBytes)
    this.#lines = output.subarray(0, output.write(this.#text, 0, 'utf8'))
    this.#text = ''
    return this.#lines
  }

  #count(): void {
    if (this.events === 0) this.firstAt = performance.now()
    this.events++
  }

  #outputFor(bytes: number): Buffer {
    const isKept = this.#output.length <= this.#limits.maxBytes * KEPT_BUFFER_FACTOR
    if (bytes > this.#output.length || !isKept) {
      this.#output = Buffer.allocUnsafeSlow(Math.max(bytes * 2, OUTPUT_BYTES_MIN))
    }
    return this.#output
  }
}
