import { codeOf } from '../../base/describe'

/**
 * Why an event is not durable, as one 32-bit word that fits a record's header: the stage in the
 * high half, what went wrong in the low half. Shared by both threads.
 */

/** The five stages at which the reference counts a failure, in the order of the data. */
export const STAGES = ['folder', 'encode', 'open', 'write', 'sync'] as const

/** A stage on a line's way into the file. */
export type Stage = (typeof STAGES)[number]

/** Reasons beside the kernel's own error numbers, which are below 0x1000. */
export const REASON_NOT_A_FILE = 0x8001
export const REASON_UNLINKED = 0x8002
export const REASON_CORRUPT_RECORD = 0x8003
export const REASON_LINE_TOO_LONG = 0x8004
export const REASON_UNKNOWN = 0x8005
export const REASON_CORRUPT_RING = 0x8006
export const REASON_ACCESS_DENIED = 0x8007
export const REASON_HARD_LINK = 0x8008
export const REASON_FILE_OWNER = 0x8009
export const REASON_FILE_WRITABLE = 0x800a
export const REASON_FOLDER_OWNER = 0x800b
export const REASON_FOLDER_WRITABLE = 0x800c

/** A failure, unpacked. */
export interface Failure {
  readonly stage: Stage
  /** A positive errno, or one of the REASON constants. */
  readonly reason: number
}

/** Packs a failure into the word of a record's header. Never 0, which stands for none. */
export function packFailure(failure: Failure): number {
  return ((STAGES.indexOf(failure.stage) + 1) << 16) | failure.reason
}

/** Unpacks the word of a record's header. An impossible one counts as an encode failure. */
export function unpackFailure(word: number): Failure {
  const stage = STAGES[(word >>> 16) - 1]
  if (stage === undefined) return { stage: 'encode', reason: REASON_CORRUPT_RECORD }
  return { stage, reason: word & 0xffff }
}

/** The error of a system call, as a failure of `stage`. */
export function failureOf(stage: Stage, thrown: unknown): Failure {
  if (typeof thrown !== 'object' || thrown === null) return { stage, reason: REASON_UNKNOWN }
  if (codeOf(thrown) === 'ERR_ACCESS_DENIED') return { stage, reason: REASON_ACCESS_DENIED }
  const errno = 'errno' in thrown ? Number(thrown.errno) : Number.NaN
  return { stage, reason: errno < 0 && errno > -0x1000 ? -errno : REASON_UNKNOWN }
}
