import {
  CORRUPT_END,
  CORRUPTIONS,
  DURABLE,
  HEAD,
  maxInlineRecordBytes,
  positionDelta,
  type RingView,
  TAIL,
} from './memory-map'
import {
  align,
  FAILURE_OFFSET,
  LENGTH_OFFSET,
  PADDING_STAMP,
  RECORD_HEADER_BYTES,
  type RecordBytes,
  recordBytes,
  STAMP_OFFSET,
  stampOf,
  TIME_OFFSET,
  TYPE_OFFSET,
} from './record-header'
import { TextWindow } from './text-window'
import { moveDurable } from './wake-up'

/*
 * Why a published record is whole.
 *
 * The producer writes a record with plain stores and then moves the tail past it with
 * `Atomics.store`. The drainer loads the tail with `Atomics.load` before it looks at any byte below
 * it. Both are sequentially consistent, so the load that sees the new tail also sees every plain
 * store that came before the store of it: the drainer meets whole records or none. It never looks at
 * or past the tail. In the other direction the drainer writes a record's failure word with a plain
 * store and then moves `durable` with `Atomics.store`; the producer loads `durable` before it reads
 * that word. And the producer reuses a slot only after it has itself moved `head` past it, which it
 * does only for positions at or below `durable`; the drainer does not read below `durable` again.
 */

/** Returned by {@link RingProducer.tryClaim} if the record does not fit now. */
export const INSUFFICIENT_CAPACITY = -1

/** The calling thread's end of the ring. One thread may hold it. */
export class RingProducer {
  readonly records: RecordBytes
  readonly capacity: number
  /** The longest record in bytes that {@link tryClaim} takes; a longer one goes beside the ring. */
  readonly maxRecordBytes: number
  readonly #words: Int32Array
  #tail: number
  #head: number
  #claimed = INSUFFICIENT_CAPACITY
  #claimedBytes = 0
  #corruptions = 0

  constructor({ words, records, capacity }: RingView) {
    this.records = records
    this.capacity = capacity
    this.maxRecordBytes = maxInlineRecordBytes(capacity)
    this.#words = words
    this.#tail = Atomics.load(words, TAIL)
    this.#head = Atomics.load(words, HEAD)
  }

  /** Position up to which records are published. */
  get tailPosition(): number {
    return this.#tail
  }

  /** Position below which space is free again. */
  get headPosition(): number {
    return this.#head
  }

  /** Bytes between head and tail: published, and not yet acknowledged. */
  get usedBytes(): number {
    return positionDelta(this.#tail, this.#head)
  }

  /**
   * Claims room for one record of at most `length` bytes, header included.
   * Returns the record's index, or {@link INSUFFICIENT_CAPACITY}. Nothing is visible to the drainer
   * before {@link commit}; a claim that is not committed is replaced by the next one.
   */
  tryClaim(length: number): number {
    if (length > this.maxRecordBytes) {
      throw new RangeError(`length=${length} exceeds maxRecordBytes=${this.maxRecordBytes}`)
    }
    const recordBytes = align(length)
    this.#claimedBytes = recordBytes
    const free = this.capacity - this.usedBytes
    const index = this.#tail & (this.capacity - 1)
    const bytesToEnd = this.capacity - index
    if (recordBytes <= bytesToEnd) {
      this.#claimed = recordBytes <= free ? index : INSUFFICIENT_CAPACITY
    } else {
      this.#claimed = bytesToEnd + recordBytes <= free ? 0 : INSUFFICIENT_CAPACITY
    }
    return this.#claimed
  }

  /**
   * Publishes the claimed record, of which `length` bytes (header included) were written.
   * Returns the record's position.
   */
  commit(length: number): number {
    const index = this.#claimed
    if (index === INSUFFICIENT_CAPACITY) throw new Error('commit without a claim')
    if (length > this.#claimedBytes) {
      throw new RangeError(`length=${length} exceeds claimedBytes=${this.#claimedBytes}`)
    }
    const position = this.#pad(index)
    const { view } = this.records
    view.setUint32(index + LENGTH_OFFSET, length, true)
    view.setUint32(index + STAMP_OFFSET, stampOf(length, position), true)
    view.setInt32(index + FAILURE_OFFSET, 0, true)
    this.#claimed = INSUFFICIENT_CAPACITY
    this.#tail = (position + align(length)) | 0
    Atomics.store(this.#words, TAIL, this.#tail)
    return position
  }

  /** Fills the end of the record area if the claim wrapped to its start; returns the position. */
  #pad(claimedIndex: number): number {
    const index = this.#tail & (this.capacity - 1)
    if (index === claimedIndex) return this.#tail
    const { view } = this.records
    const length = this.capacity - index
    view.setUint32(index + LENGTH_OFFSET, length, true)
    view.setUint32(index + STAMP_OFFSET, PADDING_STAMP, true)
    return (this.#tail + length) | 0
  }

  /** The drainer's durable position: every record before it has its outcome. */
  get durablePosition(): number {
    return Atomics.load(this.#words, DURABLE)
  }

  /** Whether `position` lies between head and tail, either end included. */
  isPublished(position: number): boolean {
    const distance = positionDelta(position, this.#head)
    return distance >= 0 && distance <= this.usedBytes
  }

  /** The failure word of the record at `position`, valid once `durable` has passed it; 0 is none. */
  failureAt(position: number): number {
    return this.records.view.getInt32((position & (this.capacity - 1)) + FAILURE_OFFSET, true)
  }

  /** The type of the published record at `position`. */
  typeAt(position: number): number {
    return this.records.view.getUint8((position & (this.capacity - 1)) + TYPE_OFFSET)
  }

  /** The time of the published record at `position`. */
  timeAt(position: number): number {
    return this.records.view.getFloat64((position & (this.capacity - 1)) + TIME_OFFSET, true)
  }

  /**
   * Whether the drainer gave up a stretch of the ring that ends after `head`. It is then unknown which
   * records below `durable` were written. `durable` is to be read before this call.
   */
  corruption(durable: number): boolean {
    const corruptions = Atomics.load(this.#words, CORRUPTIONS)
    if (corruptions === this.#corruptions) return false
    // The count can be seen before `durable` has passed the stretch: then it still counts next time.
    const end = Atomics.load(this.#words, CORRUPT_END)
    if (positionDelta(durable, end) >= 0) this.#corruptions = corruptions
    return true
  }

  /** Frees the space before `position`, whose outcomes have been read. Never moves back. */
  release(position: number): void {
    if (positionDelta(position, this.#head) <= 0) return
    this.#head = position
    Atomics.store(this.#words, HEAD, position)
  }
}

/** Returned by {@link RingConsumer.next} if there is no record to read. */
export const EMPTY = -1
/** Returned by {@link RingConsumer.next} if the bytes at its position are no record. */
export const CORRUPT = -2

/**
 * The drainer's end of the ring. It reads from a private copy. Decoding UTF-8 from bytes that another
 * thread changes crashes the process, and not even a bug may make that possible.
 */
export class RingConsumer {
  /** The private copy; indexes are those of the ring. */
  readonly records: RecordBytes
  readonly #ring: RingView
  readonly #mask: number
  readonly #window: TextWindow
  #read: number
  #copied: number

  /** Starts at the durable position, up to which the previous drainer came. */
  constructor(ring: RingView) {
    this.#ring = ring
    this.#mask = ring.capacity - 1
    const { view, bytes } = recordBytes(new ArrayBuffer(ring.capacity))
    this.#window = new TextWindow(bytes)
    this.records = { view, bytes, window: this.#window }
    this.#read = this.durablePosition
    this.#copied = this.#read
  }

  /** Moves, in either direction, to the durable position: every record before it has its outcome. */
  restart(): void {
    this.#read = this.durablePosition
    this.#copied = this.#read
  }

  /** Position up to which records have been decoded. */
  get readPosition(): number {
    return this.#read
  }

  /** Position up to which every record has its outcome. */
  get durablePosition(): number {
    return Atomics.load(this.#ring.words, DURABLE)
  }

  /** The tail that the last {@link refill} saw. */
  get copiedPosition(): number {
    return this.#copied
  }

  /** Copies what was published since the last call; returns whether there was anything. */
  refill(): boolean {
    const tail = Atomics.load(this.#ring.words, TAIL)
    const fresh = positionDelta(tail, this.#copied)
    const { capacity, records } = this.#ring
    const from = this.#copied & this.#mask
    this.#copied = tail
    // `next` refuses positions that contradict each other.
    if (fresh <= 0 || fresh > capacity) return fresh !== 0
    const first = Math.min(fresh, capacity - from)
    records.bytes.copy(this.records.bytes, from, from, from + first)
    if (fresh > first) records.bytes.copy(this.records.bytes, 0, 0, fresh - first)
    this.#window.renew(tail & this.#mask)
    return true
  }

  /**
   * Index of the record at the read position, {@link EMPTY} or {@link CORRUPT}. Steps over padding.
   * Does not advance: a second call returns the same.
   */
  next(): number {
    for (;;) {
      const available = positionDelta(this.#copied, this.#read)
      if (available === 0) return EMPTY
      if (available < 0 || available > this.#ring.capacity) return CORRUPT
      const index = this.#read & this.#mask
      const length = this.records.view.getUint32(index + LENGTH_OFFSET, true)
      const bytesToEnd = this.#ring.capacity - index
      if (this.#isPadding(index)) {
        if (length > available) return CORRUPT
        this.#read = (this.#read + length) | 0
        continue
      }
      const isPlausible =
        length >= RECORD_HEADER_BYTES && length <= bytesToEnd && align(length) <= available
      if (!isPlausible) return CORRUPT
      const stamp = this.records.view.getUint32(index + STAMP_OFFSET, true)
      return stamp === stampOf(length, this.#read) ? index : CORRUPT
    }
  }

  /**
   * Whether padding starts at `index`. Its stamp alone does not prove it, since a record can have that
   * stamp at one position in 2^32. But padding ends where the record area does, and the length of such a
   * record is odd.
   */
  #isPadding(index: number): boolean {
    const { view } = this.records
    const isStamped = view.getUint32(index + STAMP_OFFSET, true) === PADDING_STAMP
    return isStamped && view.getUint32(index + LENGTH_OFFSET, true) === this.#ring.capacity - index
  }

  /** Steps over the record that {@link next} returned. */
  advance(): void {
    const length = this.records.view.getUint32((this.#read & this.#mask) + LENGTH_OFFSET, true)
    this.#read = (this.#read + align(length)) | 0
  }

  /**
   * Gives up everything up to the copied tail, after {@link CORRUPT}: without a length there is no
   * next record. The producer fails all records there, see {@link RingProducer.corruption}.
   */
  skipToTail(): void {
    this.#read = this.#copied
    Atomics.store(this.#ring.words, CORRUPT_END, this.#copied)
    Atomics.add(this.#ring.words, CORRUPTIONS, 1)
  }

  /**
   * Records why the record at `position` is not durable, unless an earlier reason stands there.
   * The producer sees it after {@link publish}.
   */
  markFailed(position: number, failure: number): void {
    const index = (position & this.#mask) + FAILURE_OFFSET
    const { view } = this.#ring.records
    if (view.getInt32(index, true) === 0) view.setInt32(index, failure, true)
  }

  /** Calls `mark` for each record from `start` to `end`, which have been read. */
  forEachRecord(start: number, end: number, mark: (position: number) => void): void {
    let position = start
    while (positionDelta(end, position) > 0) {
      const index = position & this.#mask
      const length = this.records.view.getUint32(index + LENGTH_OFFSET, true)
      if (!this.#isPadding(index)) mark(position)
      position = (position + align(length)) | 0
    }
  }

  /** Moves the durable position, and wakes the producer if it waits for it. */
  publish(position: number): void {
    moveDurable(this.#ring, position)
  }
}
