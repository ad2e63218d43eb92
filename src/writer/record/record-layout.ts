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
 * request and denial: the ids follow the request id (80 bytes in a row), then numbers, then
 * a u32 for each string with its length in UTF-16 units, then all text as UTF-8. The strings are the matched
 * rule, if any, argv, and the context's keys and values in turn; the word of their shape tells them apart.
 */
export const AGENT_ID_OFFSET = 40
export const MACHINE_ID_OFFSET = 72
export const TEXT_BYTES_OFFSET = 104
export const STRING_COUNT_OFFSET = 108
export const REQUEST_STDIN_OFFSET = 112
export const REQUEST_TIMEOUT_OFFSET = 120
export const SHAPE_OFFSET = 124
export const STRING_LENGTHS_OFFSET = 128
export const STRING_LENGTH_BYTES = 4

export const REQUEST_ID_BYTES = 16
export const PARTY_ID_BYTES = 32
export const ALL_IDS_BYTES = REQUEST_ID_BYTES + 2 * PARTY_ID_BYTES

/** Flags, by type: the field is present (not null), or the boolean is true. */
export const FLAG_BYTES = 1
export const FLAG_EXIT_CODE = 1
export const FLAG_EXIT_SIGNAL = 2
export const FLAG_TRUNCATED = 4

/** What the strings of a request or denial are. */
export interface StringsShape {
  /** Whether the first one is the matched rule. */
  readonly hasRule: boolean
  /** Whether all of their text is ASCII: then it has as many bytes as UTF-16 units. */
  readonly isAscii: boolean
  /** Pairs of a key and a value at their end: 0 to 64. */
  readonly contextEntries: number
}

/** A shape as a u32: the same 16 bits twice, so that no changed bit makes an argument a rule or a principal. */
export function packShape({ hasRule, isAscii, contextEntries }: StringsShape): number {
  return ((contextEntries << 2) | (Number(isAscii) << 1) | Number(hasRule)) * 0x1_0001
}

/** Undefined if the two halves differ. */
export function unpackShape(word: number): StringsShape | undefined {
  const half = word & 0xffff
  if (word >>> 16 !== half) return undefined
  return { hasRule: (half & 1) !== 0, isAscii: (half & 2) !== 0, contextEntries: half >> 2 }
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

/** Reads an unsigned 64-bit integer: a number if that is exact, else a bigint. */
export function getU64(view: DataView, offset: number): number | bigint {
  const low = view.getUint32(offset, true)
  const high = view.getUint32(offset + HIGH_WORD, true)
  return high < 2 ** 21 ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low)
}
