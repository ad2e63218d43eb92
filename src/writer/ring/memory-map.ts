/**
 * The memory map: every byte number and every control word of this package, and no algorithm.
 *
 * One SharedArrayBuffer holds, in this order:
 *
 *     +--------------------+-----------------+------------------------------------------+
 *     | control words      | counters        | record area, `capacity` bytes            |
 *     | 25 x 128 bytes     | 32 x 8 bytes    | a power of two                           |
 *     +--------------------+-----------------+------------------------------------------+
 *
 * A *position* counts the bytes of the record area for ever and wraps at 2^32; an *index* is
 * `position & (capacity - 1)`, an offset into the record area. Positions are compared only through
 * {@link positionDelta}. At any moment, in that arithmetic:
 *
 *     head <= durable <= read <= tail <= head + capacity
 *
 * The producer has acknowledged everything below `head`; so space is reused only after the line is
 * safe *and* its outcome was read, and a new drainer can resume from the ring alone.
 */

/** Each control word has a cache line (and the line the prefetcher pairs with it) of its own. */
const CONTROL_WORD_STRIDE = 128 / Int32Array.BYTES_PER_ELEMENT

/**
 * The control words, as indexes into `RingMemory.control`.
 *
 * | word               | written by             | read by  | meaning                                   |
 * |--------------------|------------------------|----------|-------------------------------------------|
 * | TAIL               | producer               | drainer  | end of the published records              |
 * | HEAD               | producer               | producer | everything before it is acknowledged      |
 * | HURRY              | producer               | drainer  | do not linger for company before here     |
 * | CLOSING            | producer               | drainer  | 1: end the session once the ring is empty |
 * | GROUPS_WATCHED     | producer               | drainer  | 1: a GroupNotice is wanted of each group  |
 * | READ               | drainer                | tests    | end of what was decoded                   |
 * | DURABLE            | drainer                | both     | everything before it has its outcome      |
 * | CORRUPTIONS        | drainer                | producer | times the ring's bytes were no record     |
 * | CORRUPT_END        | drainer                | producer | end of what was given up for that         |
 * | DRAINER            | both, compare-and-swap | both     | which thread owns the drainer's words     |
 * | PARKED             | both, see wake-up.ts   | both     | 1 while the drainer sleeps                |
 * | SLEEP              | nobody                 | nobody   | a word to sleep on that is never notified |
 * | WORKER_THREAD      | worker                 | producer | the kernel's id of the worker's thread    |
 * | SESSIONS_BEGUN     | worker                 | producer | sessions that a worker has taken up       |
 * | JOURNAL_STATE      | drainer                | drainer  | see journal.ts                            |
 * | JOURNAL_START      | drainer                | drainer  | first position of the group being written |
 * | JOURNAL_END        | drainer                | drainer  | end position of that group                |
 * | JOURNAL_DESCRIPTOR | drainer                | drainer  | see journal.ts                            |
 * | JOURNAL_WITNESS    | drainer                | drainer  | see journal.ts                            |
 * | JOURNAL_SPARE      | drainer                | drainer  | see journal.ts                            |
 * | JOURNAL_TAIL       | drainer                | drainer  | see journal.ts                            |
 * | OPEN_DESCRIPTOR    | worker                 | both     | see descriptors.ts                        |
 * | OPEN_WITNESS       | worker                 | both     | see descriptors.ts                        |
 * | OPEN_SPARE         | worker                 | both     | see descriptors.ts                        |
 * | OPEN_FOLDER        | worker                 | both     | see descriptors.ts                        |
 */
export const TAIL = 0 * CONTROL_WORD_STRIDE
export const HEAD = 1 * CONTROL_WORD_STRIDE
export const HURRY = 2 * CONTROL_WORD_STRIDE
export const CLOSING = 3 * CONTROL_WORD_STRIDE
export const GROUPS_WATCHED = 4 * CONTROL_WORD_STRIDE
export const READ = 5 * CONTROL_WORD_STRIDE
export const DURABLE = 6 * CONTROL_WORD_STRIDE
export const CORRUPTIONS = 7 * CONTROL_WORD_STRIDE
export const CORRUPT_END = 8 * CONTROL_WORD_STRIDE
export const DRAINER = 9 * CONTROL_WORD_STRIDE
export const PARKED = 10 * CONTROL_WORD_STRIDE
export const SLEEP = 11 * CONTROL_WORD_STRIDE
export const WORKER_THREAD = 12 * CONTROL_WORD_STRIDE
export const SESSIONS_BEGUN = 13 * CONTROL_WORD_STRIDE
export const JOURNAL_STATE = 14 * CONTROL_WORD_STRIDE
export const JOURNAL_START = 15 * CONTROL_WORD_STRIDE
export const JOURNAL_END = 16 * CONTROL_WORD_STRIDE
export const JOURNAL_DESCRIPTOR = 17 * CONTROL_WORD_STRIDE
export const JOURNAL_WITNESS = 18 * CONTROL_WORD_STRIDE
export const JOURNAL_SPARE = 19 * CONTROL_WORD_STRIDE
export const JOURNAL_TAIL = 20 * CONTROL_WORD_STRIDE
export const OPEN_DESCRIPTOR = 21 * CONTROL_WORD_STRIDE
export const OPEN_WITNESS = 22 * CONTROL_WORD_STRIDE
export const OPEN_SPARE = 23 * CONTROL_WORD_STRIDE
export const OPEN_FOLDER = 24 * CONTROL_WORD_STRIDE
const CONTROL_BYTES = 25 * CONTROL_WORD_STRIDE * Int32Array.BYTES_PER_ELEMENT

/** Values of the DRAINER word. Only its holder may touch the words that the drainer writes. */
export const DRAINER_NONE = 0
export const DRAINER_WORKER = 1
export const DRAINER_CALLER = 2

/** The words that hold a descriptor, and what they hold when there is none. */
export const DESCRIPTOR_WORDS = [OPEN_DESCRIPTOR, OPEN_WITNESS, OPEN_SPARE, OPEN_FOLDER] as const
export const NO_DESCRIPTOR = -1

/** 64-bit words written by the drainer alone, as indexes into `RingMemory.counters`. */
export const COUNT_GROUPS = 0
export const COUNT_BYTES = 1
export const COUNT_RETRIES = 2
export const COUNT_SYNCS = 3
/** Nanoseconds of all syncs together. */
export const COUNT_SYNC_NS = 4
export const COUNT_OPENS = 5
export const COUNT_ROTATIONS = 6
export const COUNT_TORN_TAILS = 7
/** Milliseconds since 1970 when a group last succeeded; 0 before the first. */
export const LAST_SUCCESS_AT = 8
/** Where the drainer's last line ended in its file, in bytes. */
export const FILE_END = 9
/** See journal.ts. */
export const JOURNAL_DEVICE = 10
export const JOURNAL_INODE = 11
export const JOURNAL_OFFSET = 12
/** The first of the counts of syncs by duration, see sync-buckets.ts; they go to the end. */
export const SYNC_BUCKETS = 13
const COUNTER_BYTES = 32 * BigInt64Array.BYTES_PER_ELEMENT

/**
 * A record. Its first 16 bytes belong to the ring, the rest to the codec. The encoded text stands
 * at the end, in one run, so that it is written and decoded by one native call each.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *   0 | length of the record in bytes, header included, padding not   |
 *   4 | seal: length and position, so that a stale slot is recognised |
 *   8 | failure: 0, or why it is not durable (written by the drainer) |
 *  12 | type (8 bits) | flags (8 bits)| code: kind or reason (8 bits) |
 *     +---------------------------------------------------------------+
 *  16 | time, milliseconds since 1970, float64                        |
 *  24 | request id, 16 bytes                                          |
 *     +---------------------------------------------------------------+
 *  40 | fields of the event's type, below                             |
 *     +---------------------------------------------------------------+
 *
 * A padding record is only its length and {@link PADDING_SEAL}: it fills the end of the record area
 * when the next record does not fit there.
 */
const RECORD_ALIGNMENT = 8
export const LENGTH_OFFSET = 0
export const SEAL_OFFSET = 4
export const FAILURE_OFFSET = 8
export const TYPE_OFFSET = 12
export const FLAGS_OFFSET = 13
export const CODE_OFFSET = 14
export const TIME_OFFSET = 16
export const REQUEST_ID_OFFSET = 24
/** The shortest record: a reopen, or an oversize reference without its fields. */
export const RECORD_HEADER_BYTES = 40

/** started: the process id. */
export const STARTED_PID_OFFSET = 40
export const STARTED_BYTES = 48

/** warning: the byte count, u64. */
export const WARNING_BYTES_OFFSET = 40
export const WARNING_BYTES = 48

/** exit: code and signal i32; duration and byte counts u64. */
export const EXIT_CODE_OFFSET = 40
export const EXIT_SIGNAL_OFFSET = 44
export const EXIT_DURATION_OFFSET = 48
export const EXIT_STDOUT_OFFSET = 56
export const EXIT_STDERR_OFFSET = 64
export const EXIT_BYTES = 72

/**
 * request and denial: the ids stand beside the request id (80 bytes in a row), then numbers, then
 * a u32 for each string with its length in UTF-16 units, then all text as UTF-8.
 */
export const AGENT_ID_OFFSET = 40
export const MACHINE_ID_OFFSET = 72
export const TEXT_BYTES_OFFSET = 104
export const STRING_COUNT_OFFSET = 108
export const REQUEST_STDIN_OFFSET = 112
export const REQUEST_TIMEOUT_OFFSET = 120
export const STRING_LENGTHS_OFFSET = 128
export const STRING_LENGTH_BYTES = 4

/** oversize: which buffer holds the record that was too large for the ring, and its length. */
export const OVERSIZE_ID_OFFSET = 40
export const OVERSIZE_LENGTH_OFFSET = 44
export const OVERSIZE_BYTES = 48

export const REQUEST_ID_BYTES = 16
export const PARTY_ID_BYTES = 32
export const ALL_IDS_BYTES = REQUEST_ID_BYTES + 2 * PARTY_ID_BYTES

/** Record types. Zero is none of them, so that an empty slot is never taken for a record. */
export const TYPE_REQUEST = 1
export const TYPE_STARTED = 2
export const TYPE_WARNING = 3
export const TYPE_EXIT = 4
export const TYPE_DENIAL = 5
export const TYPE_REOPEN = 6
export const TYPE_OVERSIZE = 7
export const RECORD_TYPES = 8

/** Flags, by type: the field is present (not null), or the boolean is true. */
export const FLAG_MATCHED_ACL = 1
export const FLAG_BYTES = 1
export const FLAG_EXIT_CODE = 1
export const FLAG_EXIT_SIGNAL = 2
export const FLAG_TRUNCATED = 4

const SEAL = 0x5eb1a9d3
export const PADDING_SEAL = 0x0fadd1f6

/** The seal of a record of `length` bytes at `position`. A slot that was not rewritten has another. */
export function sealOf(length: number, position: number): number {
  return (length ^ position ^ SEAL) >>> 0
}

/** How far position `a` is past position `b`, in bytes; negative when it is before. */
export function positionDelta(a: number, b: number): number {
  return (a - b) | 0
}

/** `length` rounded up to the record alignment: the bytes a record takes in the ring. */
export function align(length: number): number {
  return (length + (RECORD_ALIGNMENT - 1)) & -RECORD_ALIGNMENT
}

/** Bytes with the two views that the codec and the ring read and write them through. */
export interface RecordBytes {
  readonly view: DataView
  readonly bytes: Buffer
}

/** Views `byteLength` bytes of `buffer` from `byteOffset` as records. */
export function recordBytes(
  buffer: ArrayBufferLike,
  byteOffset = 0,
  byteLength = buffer.byteLength - byteOffset,
): RecordBytes {
  return {
    view: new DataView(buffer, byteOffset, byteLength),
    bytes: Buffer.from(buffer, byteOffset, byteLength),
  }
}

const MASK_32 = 0xffff_ffffn
const HIGH_WORD = 4

/** Writes an unsigned 64-bit integer, low word first. */
export function putU64(view: DataView, offset: number, value: number | bigint): void {
  if (typeof value === 'bigint') {
    view.setUint32(offset, Number(value & MASK_32), true)
    view.setUint32(offset + HIGH_WORD, Number(value >> 32n), true)
    return
  }
  view.setUint32(offset, value >>> 0, true)
  view.setUint32(offset + HIGH_WORD, Math.floor(value / 2 ** 32), true)
}

/** Reads an unsigned 64-bit integer: a number where that is exact, else a bigint. */
export function getU64(view: DataView, offset: number): number | bigint {
  const low = view.getUint32(offset, true)
  const high = view.getUint32(offset + HIGH_WORD, true)
  return high < 2 ** 21 ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low)
}

/** The views of one ring's shared memory. Each thread makes its own over the same buffer. */
export interface RingMemory {
  readonly buffer: SharedArrayBuffer
  readonly control: Int32Array
  readonly counters: BigInt64Array
  readonly records: RecordBytes
  /** Size of the record area in bytes: a power of two. */
  readonly capacity: number
}

/** Views a ring's shared memory. */
export function viewRing(buffer: SharedArrayBuffer): RingMemory {
  const recordArea = CONTROL_BYTES + COUNTER_BYTES
  return {
    buffer,
    control: new Int32Array(buffer, 0, CONTROL_BYTES / Int32Array.BYTES_PER_ELEMENT),
    counters: new BigInt64Array(
      buffer,
      CONTROL_BYTES,
      COUNTER_BYTES / BigInt64Array.BYTES_PER_ELEMENT,
    ),
    records: recordBytes(buffer, recordArea),
    capacity: buffer.byteLength - recordArea,
  }
}

/** Beyond the upper one, the difference of two positions would not fit in 31 bits. */
const CAPACITY_MIN = 2 ** 10
const CAPACITY_MAX = 2 ** 30

/**
 * Allocates a ring.
 * @param capacity size of the record area in bytes: a power of two, 1 KiB to 1 GiB
 * @param initialPosition where the positions start: a multiple of 8, for tests of the wrap at 2^32
 */
export function allocateRing(capacity: number, initialPosition = 0): RingMemory {
  const isPowerOfTwo = Number.isInteger(Math.log2(capacity))
  if (!isPowerOfTwo || capacity < CAPACITY_MIN || capacity > CAPACITY_MAX) {
    throw new RangeError(`capacity=${capacity} is not a power of two from 2^10 to 2^30`)
  }
  const memory = viewRing(new SharedArrayBuffer(CONTROL_BYTES + COUNTER_BYTES + capacity))
  for (const word of [TAIL, HEAD, READ, DURABLE, HURRY]) {
    Atomics.store(memory.control, word, initialPosition | 0)
  }
  for (const word of DESCRIPTOR_WORDS) Atomics.store(memory.control, word, NO_DESCRIPTOR)
  return memory
}

/** The largest record that goes through the ring itself; a larger one travels beside it. */
export function maxInlineRecordBytes(capacity: number): number {
  return capacity / 4
}
