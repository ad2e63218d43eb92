import { COUNTERS } from './counters'
import { type RecordBytes, recordBytes } from './record-header'

/**
 * The memory that both threads share: which word stands where, and who writes and reads it. This file
 * has no algorithm.
 *
 * One SharedArrayBuffer holds, in this order:
 *
 *     +---------------+----------------+----------------+----------+---------+------------------+
 *     | ring words    | session words  | journal words  | place    | counts  | record area,     |
 *     | 7 x 128 bytes | 4 x 128 bytes  | 9 x 128 bytes  | 5 x 8    | 29 x 8  | `capacity` bytes |
 *     +---------------+----------------+----------------+----------+---------+------------------+
 *
 * Each part has a view of its own, so that a class gets no more than it may touch.
 *
 * A *position* counts the bytes of the record area for ever and wraps at 2^32; an *index* is
 * `position & (capacity - 1)`, an offset into the record area. Positions are compared only through
 * {@link positionDelta}. At any moment, in that arithmetic:
 *
 *     head <= durable <= read <= tail <= head + capacity
 *
 * The producer has acknowledged everything below `head`. Space is therefore reused only after the
 * line is safe *and* its outcome was read, and a new drainer can resume from the ring alone.
 * (`read` is the drainer's own: how far it has decoded.)
 */

/** Each word has a cache line (and the line the prefetcher pairs with it) of its own. */
const STRIDE = 128 / Int32Array.BYTES_PER_ELEMENT

/**
 * The ring's words, as indexes into {@link RingView.words}.
 *
 * | word         | written by           | read by  | meaning                                    |
 * |--------------|----------------------|----------|--------------------------------------------|
 * | TAIL         | producer             | drainer  | end of the published records               |
 * | HEAD         | producer             | producer | everything before it is acknowledged       |
 * | FLUSH_UP_TO  | producer             | drainer  | before it, do not wait for more events     |
 * | DURABLE      | drainer              | both     | everything before it has its outcome       |
 * | CORRUPTIONS  | drainer              | producer | how often the ring's bytes were no record  |
 * | CORRUPT_END  | drainer              | producer | end of the stretch given up for that       |
 * | PARKED       | both, see wake-up.ts | both     | 1 while the drainer sleeps                 |
 */
export const TAIL = 0 * STRIDE
export const HEAD = 1 * STRIDE
export const FLUSH_UP_TO = 2 * STRIDE
export const DURABLE = 3 * STRIDE
export const CORRUPTIONS = 4 * STRIDE
export const CORRUPT_END = 5 * STRIDE
export const PARKED = 6 * STRIDE
const RING_WORDS = 7 * STRIDE

/**
 * The session's words, as indexes into {@link SessionView.session}.
 *
 * | word            | written by             | read by  | meaning                                 |
 * |-----------------|------------------------|----------|-----------------------------------------|
 * | DRAINER         | both, compare-and-swap | both     | which thread owns the drainer's words   |
 * | GROUPS_WATCHED  | producer               | drainer  | 1: send a GroupNotice per group         |
 * | CLOSING         | producer               | drainer  | 1: close the file once the ring is empty|
 * | SESSION_VERSION | worker; producer: 0    | producer | the version of the worker that has taken|
 * |                 |                        |          | up the session, see version.ts          |
 */
export const DRAINER = 0 * STRIDE
export const GROUPS_WATCHED = 1 * STRIDE
export const CLOSING = 2 * STRIDE
export const SESSION_VERSION = 3 * STRIDE
const SESSION_WORDS = 4 * STRIDE

/**
 * Values of the DRAINER word. Only its holder may touch the words that the drainer writes. A worker's value is
 * the kernel's id of its thread, so that a dead holder is known by the word itself, or
 * {@link DRAINER_UNKNOWN} if it cannot know its id.
 */
export const DRAINER_NONE = 0
export const DRAINER_CALLER = -1
export const DRAINER_UNKNOWN = 1

/**
 * The words that a drainer leaves to its successor, as indexes into {@link JournalView.words}: the note
 * of the group that is being written, see log/group-journal.ts, and the descriptors that the worker has
 * open, see log/open-descriptors.ts. The holder of DRAINER writes and reads them.
 */
export const JOURNAL_STATE = 0 * STRIDE
/** First position of the group that is being written, and its end position. */
export const JOURNAL_START = 1 * STRIDE
export const JOURNAL_END = 2 * STRIDE
export const JOURNAL_DESCRIPTOR = 3 * STRIDE
export const JOURNAL_PROBE = 4 * STRIDE
/** 1 while the end of the file may be lost, though it can be read back. */
export const JOURNAL_TAIL_AT_RISK = 5 * STRIDE
export const OPEN_DESCRIPTOR = 6 * STRIDE
export const OPEN_PROBE = 7 * STRIDE
export const OPEN_FOLDER = 8 * STRIDE
const JOURNAL_WORDS = 9 * STRIDE

/** The words that hold a descriptor, and what they hold when there is none. */
export const DESCRIPTOR_WORDS = [OPEN_DESCRIPTOR, OPEN_PROBE, OPEN_FOLDER] as const
export const NO_DESCRIPTOR = -1

/**
 * Where the noted group starts, as indexes into {@link JournalView.place}: its file and the offset; and
 * which file the worker's open descriptors are of, both 0 until that is known.
 */
export const PLACE_DEVICE = 0
export const PLACE_INODE = 1
export const PLACE_OFFSET = 2
export const OPEN_DEVICE = 3
export const OPEN_INODE = 4
const PLACE_WORDS = 5

/** How far position `a` is past position `b`, in bytes; negative when it is before. */
export function positionDelta(a: number, b: number): number {
  return (a - b) | 0
}

/** Positions, and the records between them. */
export interface RingView {
  readonly words: Int32Array
  readonly records: RecordBytes
  /** Size of the record area in bytes: a power of two. */
  readonly capacity: number
}

/** Who drains. */
export interface SessionView {
  readonly session: Int32Array
}

/** The words that a drainer leaves to its successor. */
export interface JournalView {
  readonly words: Int32Array
  readonly place: BigInt64Array
}

/** The drainer's counts, see counters.ts. */
export interface CountersView {
  readonly counts: BigInt64Array
}

/** The views of the shared memory. Each thread makes its own over the same buffer. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer
  readonly ring: RingView
  readonly session: SessionView
  readonly journal: JournalView
  readonly counters: CountersView
}

const CONTROL_WORDS = RING_WORDS + SESSION_WORDS + JOURNAL_WORDS
const CONTROL_BYTES = CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT
const PLACE_BYTES = PLACE_WORDS * BigInt64Array.BYTES_PER_ELEMENT
const COUNTER_BYTES = COUNTERS * BigInt64Array.BYTES_PER_ELEMENT
const RECORD_AREA = CONTROL_BYTES + PLACE_BYTES + COUNTER_BYTES

/** Makes the views over `buffer`. */
export function viewMemory(buffer: SharedArrayBuffer): SharedMemory {
  const wordsFrom = (start: number, length: number) =>
    new Int32Array(buffer, start * Int32Array.BYTES_PER_ELEMENT, length)
  return {
    buffer,
    ring: {
      words: wordsFrom(0, RING_WORDS),
      records: recordBytes(buffer, RECORD_AREA),
      capacity: buffer.byteLength - RECORD_AREA,
    },
    session: { session: wordsFrom(RING_WORDS, SESSION_WORDS) },
    journal: {
      words: wordsFrom(RING_WORDS + SESSION_WORDS, JOURNAL_WORDS),
      place: new BigInt64Array(buffer, CONTROL_BYTES, PLACE_WORDS),
    },
    counters: { counts: new BigInt64Array(buffer, CONTROL_BYTES + PLACE_BYTES, COUNTERS) },
  }
}

/** Above CAPACITY_MAX the difference of two positions would not fit in 31 bits. */
const CAPACITY_MIN = 2 ** 10
const CAPACITY_MAX = 2 ** 30

/**
 * Allocates the memory of one writer.
 * @param capacity size of the record area in bytes: a power of two, 1 KiB to 1 GiB
 * @param initialPosition where the positions start: a multiple of 8, for tests of the wrap at 2^32
 */
export function allocateMemory(capacity: number, initialPosition = 0): SharedMemory {
  const isPowerOfTwo = Number.isInteger(Math.log2(capacity))
  if (!isPowerOfTwo || capacity < CAPACITY_MIN || capacity > CAPACITY_MAX) {
    throw new RangeError(`capacity=${capacity} is not a power of two from 2^10 to 2^30`)
  }
  const memory = viewMemory(new SharedArrayBuffer(RECORD_AREA + capacity))
  for (const word of [TAIL, HEAD, DURABLE, FLUSH_UP_TO]) {
    Atomics.store(memory.ring.words, word, initialPosition | 0)
  }
  for (const word of DESCRIPTOR_WORDS) Atomics.store(memory.journal.words, word, NO_DESCRIPTOR)
  return memory
}

/** The largest record that goes through the ring itself; a larger one travels beside it. */
export function maxInlineRecordBytes(capacity: number): number {
  return capacity / 4
}
