import type { TextWindow } from './text-window'

/**
 * A record. Its first 16 bytes belong to the ring, the rest to the codec. The encoded text stands
 * at the end, in one run, so that one native call writes it and one decodes it.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *   0 | length of the record in bytes, header included, padding not   |
 *   4 | stamp: length and position, so that a stale slot shows        |
 *   8 | failure: 0, or why it is not durable (written by the drainer) |
 *  12 | type (8 bits) | flags (8 bits)| code: kind or reason (8 bits) |
 *     +---------------------------------------------------------------+
 *  16 | time, milliseconds since 1970, float64                        |
 *  24 | request id, 16 bytes                                          |
 *     +---------------------------------------------------------------+
 *  40 | fields of the event's type, below                             |
 *     +---------------------------------------------------------------+
 *
 * A padding record has only a length and {@link PADDING_STAMP}: it fills the end of the record area if
 * the next record does not fit there.
 */
const RECORD_ALIGNMENT = 8
export const LENGTH_OFFSET = 0
export const STAMP_OFFSET = 4
export const FAILURE_OFFSET = 8
export const TYPE_OFFSET = 12
export const FLAGS_OFFSET = 13
export const CODE_OFFSET = 14
export const TIME_OFFSET = 16
export const REQUEST_ID_OFFSET = 24
/** The shortest record: a reopen, or an oversize reference without its fields. */
export const RECORD_HEADER_BYTES = 40

/**
 * Record types. None is zero, so that an empty slot is never taken for a record; each has an even number of bits, so
 * that one changed bit makes no record of another type.
 */
export const TYPE_REQUEST = 3
export const TYPE_STARTED = 5
export const TYPE_WARNING = 6
export const TYPE_EXIT = 9
export const TYPE_DENIAL = 10
export const TYPE_REOPEN = 12
export const TYPE_OVERSIZE = 15
export const RECORD_TYPES = 16

const STAMP = 0x5eb1a9d3
export const PADDING_STAMP = 0x0fadd1f6

/** The stamp of a record of `length` bytes at `position`. A stale slot has another one. */
export function stampOf(length: number, position: number): number {
  return (length ^ position ^ STAMP) >>> 0
}

/** `length` rounded up to the record alignment: the bytes a record takes in the ring. */
export function align(length: number): number {
  return (length + (RECORD_ALIGNMENT - 1)) & -RECORD_ALIGNMENT
}

/** Bytes, with the two views through which the codec and the ring read and write them. */
export interface RecordBytes {
  readonly view: DataView
  readonly bytes: Buffer
  /** For records that are read one after another. */
  readonly window?: TextWindow
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
