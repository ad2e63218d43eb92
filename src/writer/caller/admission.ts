import type { EventEncoder } from '../record/encode'
import type { OversizeRecord } from '../ring/messages'
import {
  OVERSIZE_BYTES,
  OVERSIZE_ID_OFFSET,
  OVERSIZE_LENGTH_OFFSET,
  type OversizeStore,
} from '../ring/oversize'
import {
  type RecordBytes,
  recordBytes,
  TIME_OFFSET,
  TYPE_OFFSET,
  TYPE_OVERSIZE,
} from '../ring/record-header'
import { INSUFFICIENT_CAPACITY, type RingProducer } from '../ring/ring'
import type { Settle } from './promise-queue'
import type { Settlement } from './settlement'

/**
 * The cost of a waiting event beside its bytes: its entry and promise, with what settles it, and the
 * reaction by which its caller waits for it. test/writer/caller/memory.stress.test.ts measures it.
 */
const WAITING_OVERHEAD_BYTES = 640

/** Small waiting events share buffers of this size: one of its own costs 400 bytes beside its content. */
const SLAB_BYTES = 64 * 1024
/** A larger one has a buffer of its own, so that little of a slab's end is wasted. */
const SLAB_RECORD_BYTES_MAX = SLAB_BYTES / 16

/** An encoded event that waits for room in the ring. */
interface WaitingEvent {
  /** The memory in which its record lies, at `start`; alone, or among others. */
  readonly record: RecordBytes
  readonly start: number
  readonly length: number
  /** The record's memory, if it is too large for the ring and goes beside it. */
  readonly shared: SharedArrayBuffer | undefined
  readonly settle: Settle
}

/**
 * Back-pressure: puts an event into the ring, keeps it until there is room, or answers that there is
 * none. Once one event waits, all later ones do, so the order of the calls is kept.
 */
export class Admission {
  readonly #ring: RingProducer
  readonly #settlement: Settlement
  readonly #oversize: OversizeStore
  readonly #offer: (record: OversizeRecord) => void
  readonly #maxWaitingBytes: number
  #waiting: WaitingEvent[] = []
  /** Entries of `#waiting` before this one have left. */
  #waitingFirst = 0
  /** Where the next small event is kept, from `#slabUsed` on. */
  #slab: RecordBytes | undefined
  #slabUsed = 0
  #outsideBytes = 0
  #outsideBytesMax = 0
  #ringBytesMax = 0

  /** `offer` gives the drainer an oversize record before its reference is published. */
  constructor(
    ring: RingProducer,
    settlement: Settlement,
    oversize: OversizeStore,
    offer: (record: OversizeRecord) => void,
    maxWaitingBytes: number,
  ) {
    this.#ring = ring
    this.#settlement = settlement
    this.#oversize = oversize
    this.#offer = offer
    this.#maxWaitingBytes = maxWaitingBytes
  }

  /** Events that wait for room. */
  get waitingEvents(): number {
    return this.#waiting.length - this.#waitingFirst
  }

  /** Events that wait, and the bytes outside the ring: theirs, and those of oversize records. */
  get outsideUse(): { events: number; bytes: number; bytesMax: number } {
    const bytesMax = this.#outsideBytesMax
    return { events: this.waitingEvents, bytes: this.#outsideBytes, bytesMax }
  }

  /** The bytes of the ring: all, those in use, and the most that ever were. */
  get ringUse(): { capacityBytes: number; usedBytes: number; usedBytesMax: number } {
    const { capacity, usedBytes } = this.#ring
    return { capacityBytes: capacity, usedBytes, usedBytesMax: this.#ringBytesMax }
  }

  /** Publishes the prepared event if there is room now and none waits before it. */
  tryPublish(event: EventEncoder, settle: Settle): boolean {
    if (this.waitingEvents > 0) return false
    const { maxRecordBytes, records } = this.#ring
    const index = this.#tryClaim(event, maxRecordBytes)
    if (index === INSUFFICIENT_CAPACITY) return false
    if (index !== undefined) {
      this.#commit(event.write(records, index), settle, event.type)
      return true
    }
    return this.#tryPublishOversize(event, settle)
  }

  /** Keeps a copy of the prepared event until there is room; false when the limit is reached. */
  tryWait(event: EventEncoder, settle: Settle): boolean {
    const length = event.exactBytes
    if (!this.#hasRoomOutside(length + WAITING_OVERHEAD_BYTES)) return false
    const waiting = this.#keep(event, length, settle)
    this.#addOutside(length + WAITING_OVERHEAD_BYTES)
    this.#settlement.countWaiting(event.type)
    // Last, and no call of ours: the stack may end in each of those before.
    this.#waiting.push(waiting)
    return true
  }

  /** A copy of the prepared event, in memory of its own or in a slab. */
  #keep(event: EventEncoder, length: number, settle: Settle): WaitingEvent {
    if (length > SLAB_RECORD_BYTES_MAX || length > this.#ring.maxRecordBytes) {
      const isOversize = length > this.#ring.maxRecordBytes
      const shared = isOversize ? new SharedArrayBuffer(length) : undefined
      const record = recordBytes(shared ?? new ArrayBuffer(length))
      event.write(record, 0)
      return { record, start: 0, length, shared, settle }
    }
    if (this.#slab === undefined || this.#slabUsed + length > SLAB_BYTES) {
      this.#slab = recordBytes(new ArrayBuffer(SLAB_BYTES))
      this.#slabUsed = 0
    }
    const [record, start] = [this.#slab, this.#slabUsed]
    event.write(record, start)
    this.#slabUsed += length
    return { record, start, length, shared: undefined, settle }
  }

  /** Moves waiting events into the room that has come free; returns whether any moved. */
  promote(): boolean {
    const before = this.#waitingFirst
    for (;;) {
      const event = this.#waiting[this.#waitingFirst]
      if (event === undefined || !this.#tryPromote(event)) break
      this.#waitingFirst++
    }
    const hasMoved = this.#waitingFirst > before
    this.#forgetPromoted()
    return hasMoved
  }

  /** Lets go of oversize records before `durable`. */
  releaseBefore(durable: number): void {
    this.#outsideBytes -= this.#oversize.releaseBefore(durable)
  }

  /** A record's index, INSUFFICIENT_CAPACITY, or undefined when it must go beside the ring. */
  #tryClaim(event: EventEncoder, maxRecordBytes: number): number | undefined {
    // The bound costs nothing and nearly always fits; the text is measured only when it does not.
    if (event.maxBytes <= maxRecordBytes) {
      const index = this.#ring.tryClaim(event.maxBytes)
      if (index !== INSUFFICIENT_CAPACITY) return index
    }
    return event.exactBytes <= maxRecordBytes ? this.#ring.tryClaim(event.exactBytes) : undefined
  }

  #tryPublishOversize(event: EventEncoder, settle: Settle): boolean {
    const { exactBytes } = event
    if (!this.#hasRoomOutside(exactBytes)) return false
    const index = this.#ring.tryClaim(OVERSIZE_BYTES)
    if (index === INSUFFICIENT_CAPACITY) return false
    const shared = new SharedArrayBuffer(exactBytes)
    event.write(recordBytes(shared), 0)
    this.#addOutside(exactBytes)
    this.#commitReference(index, shared, settle, event.type)
    return true
  }

  #tryPromote({ record, start, length, shared, settle }: WaitingEvent): boolean {
    const index = this.#ring.tryClaim(shared === undefined ? length : OVERSIZE_BYTES)
    if (index === INSUFFICIENT_CAPACITY) return false
    this.#outsideBytes -= WAITING_OVERHEAD_BYTES
    if (shared !== undefined) {
      this.#commitReference(index, shared, settle)
      return true
    }
    record.bytes.copy(this.#ring.records.bytes, index, start, start + length)
    this.#commit(length, settle)
    this.#outsideBytes -= length
    return true
  }

  /** Publishes, at the claimed `index`, a reference to a record beside the ring. */
  #commitReference(index: number, shared: SharedArrayBuffer, settle: Settle, type?: number): void {
    const id = this.#oversize.nextId
    this.#offer({ id, buffer: shared })
    const { view } = this.#ring.records
    view.setUint8(index + TYPE_OFFSET, TYPE_OVERSIZE)
    const time = new DataView(shared).getFloat64(TIME_OFFSET, true)
    view.setFloat64(index + TIME_OFFSET, time, true)
    view.setUint32(index + OVERSIZE_ID_OFFSET, id, true)
    view.setUint32(index + OVERSIZE_LENGTH_OFFSET, shared.byteLength, true)
    this.#oversize.add(shared, this.#commit(OVERSIZE_BYTES, settle, type))
  }

  /** Publishes the claimed record; with its `type` if it is accepted only by this. */
  #commit(length: number, settle: Settle, type?: number): number {
    const position = this.#ring.commit(length)
    this.#settlement.expect(position, settle, type)
    this.#ringBytesMax = Math.max(this.#ringBytesMax, this.#ring.usedBytes)
    return position
  }

  /** A single event always has room, however large: it could never be written otherwise. */
  #hasRoomOutside(bytes: number): boolean {
    return this.#outsideBytes === 0 || this.#outsideBytes + bytes <= this.#maxWaitingBytes
  }

  #addOutside(bytes: number): void {
    this.#outsideBytes += bytes
    this.#outsideBytesMax = Math.max(this.#outsideBytesMax, this.#outsideBytes)
  }

  /** Drops the entries that have left, when they are the greater part. */
  #forgetPromoted(): void {
    if (this.waitingEvents === 0) this.#slab = undefined
    if (this.#waitingFirst * 2 < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#waitingFirst)
    this.#waitingFirst = 0
  }
}
