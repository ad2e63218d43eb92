import { performance } from 'node:perf_hooks'
import { writeUtf8 } from '../../base/bytes'
import { positionDelta } from '../ring/memory-map'

/** An output buffer larger than this many times `maxBytes` is not kept. */
const KEPT_BUFFER_FACTOR = 4
const OUTPUT_BYTES_MIN = 64 * 1024
/**
 * Text is encoded in pieces of this length, in UTF-16 units: a group's text as one string of hundreds of
 * kilobytes would be flattened in the space for large objects.
 */
const PIECE_UNITS = 8 * 1024
/** UTF-8 takes at most this many bytes per UTF-16 unit. */
const BYTES_PER_UNIT_MAX = 3

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
  /** Lines that are not encoded yet, and how many bytes of the output the others take. */
  #piece = ''
  #encodedBytes = 0
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
    this.#piece = ''
    this.#encodedBytes = 0
    this.#lines = undefined
    const keptBytesMax = Math.max(this.#limits.maxBytes * KEPT_BUFFER_FACTOR, OUTPUT_BYTES_MIN)
    if (this.#output.length > keptBytesMax) this.#output = Buffer.alloc(0)
  }

  /** Whether it takes no more; `read` is the ring position after its last record. */
  isFull(read: number): boolean {
    if (this.until !== undefined) return this.isAtEnd(read)
    const { maxEvents, maxBytes } = this.#limits
    return this.events >= maxEvents || this.isReopen || !this.#hasRoom('', maxBytes - 1)
  }

  /** Whether all of a group that another drainer had begun has been read. */
  isAtEnd(read: number): boolean {
    return this.until !== undefined && positionDelta(this.until, read) <= 0
  }

  /** Adds an event's line, empty if it has none; false if it belongs to the next group. */
  tryAdd(line: string): boolean {
    const isFirst = this.#encodedBytes === 0 && this.#piece === ''
    const mayStay = isFirst || this.until !== undefined
    if (!mayStay && !this.#hasRoom(line, this.#limits.maxBytes)) return false
    this.#count()
    this.#piece += line
    if (this.#piece.length >= PIECE_UNITS) this.#encodePiece()
    return true
  }

  /** Makes it a reopen; false if it has events already. */
  tryReopen(): boolean {
    if (this.events > 0) return false
    this.#count()
    this.isReopen = true
    return true
  }

  /** Stops collecting. Returns its lines as bytes, which are valid until it begins anew. */
  complete(): Buffer {
    this.#encodePiece()
    this.#lines = this.#output.subarray(0, this.#encodedBytes)
    return this.#lines
  }

  #count(): void {
    if (this.events === 0) this.firstAt = performance.now()
    this.events++
  }

  /** Whether it has at most `limit` bytes with the line. Measures only if the lengths leave that open. */
  #hasRoom(line: string, limit: number): boolean {
    const units = this.#piece.length + line.length
    if (this.#encodedBytes + units * BYTES_PER_UNIT_MAX <= limit) return true
    this.#encodePiece()
    return this.#encodedBytes + Buffer.byteLength(line, 'utf8') <= limit
  }

  #encodePiece(): void {
    const bytesMax = this.#encodedBytes + this.#piece.length * BYTES_PER_UNIT_MAX
    if (bytesMax > this.#output.length) this.#growOutput(bytesMax)
    this.#encodedBytes += writeUtf8(this.#piece, this.#output, this.#encodedBytes)
    this.#piece = ''
  }

  #growOutput(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes * 2, OUTPUT_BYTES_MIN))
    this.#output.copy(grown, 0, 0, this.#encodedBytes)
    this.#output = grown
  }
}
