import { createHash } from 'node:crypto'
import { invalidEvent } from './fields'
import { STRING_LENGTH_BYTES, STRING_LENGTHS_OFFSET } from './layout'

/** UTF-8 takes at most three bytes for a UTF-16 unit. */
export const UTF8_BYTES_PER_UNIT = 3
/** Room for the last element of a cut argv: its text and its length word. */
const CUT_MARK_BYTES = 256
const NUL = '\0'

/** Length of a string in bytes of UTF-8. */
export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}

/**
 * Argv, or where the event would be larger than `maxEventBytes`, its leading arguments that fit and a
 * last element that says what was cut. An event is never dropped for its size: a huge argv would then
 * evade the audit. Throws a RangeError where `matchedAcl` alone is too large.
 */
export function cutToSize(
  argv: readonly string[],
  matchedAcl: string | null,
  maxEventBytes: number,
): readonly string[] {
  let units = matchedAcl?.length ?? 0
  for (const argument of argv) units += argument.length
  const lengths = STRING_LENGTHS_OFFSET + (argv.length + 1) * STRING_LENGTH_BYTES
  if (lengths + units * UTF8_BYTES_PER_UNIT <= maxEventBytes) return argv

  const aclBytes = matchedAcl === null ? 0 : encodedBytes(matchedAcl)
  const room = maxEventBytes - STRING_LENGTHS_OFFSET - aclBytes
  if (room < CUT_MARK_BYTES) {
    const allowed = room + aclBytes - CUT_MARK_BYTES - STRING_LENGTH_BYTES
    const text = `matchedAcl: expected at most ${allowed} bytes of UTF-8 (maxEventBytes=${maxEventBytes}), got ${aclBytes - STRING_LENGTH_BYTES}`
    throw invalidEvent(new RangeError(text), 'matchedAcl')
  }
  if (leading(argv, room) === argv.length) return argv
  const kept = leading(argv, room - CUT_MARK_BYTES)
  return [...argv.slice(0, kept), cutMark(argv.slice(kept))]
}

/** How many bytes a string takes in a record: its text and its length word. */
function encodedBytes(text: string): number {
  return STRING_LENGTH_BYTES + utf8Bytes(text)
}

/** How many leading arguments fit into `room` bytes of a record. */
function leading(argv: readonly string[], room: number): number {
  let used = 0
  const tooMany = argv.findIndex((argument) => {
    used += encodedBytes(argument)
    return used > room
  })
  return tooMany < 0 ? argv.length : tooMany
}

/** The last element of a cut argv. The hash is over the cut arguments in UTF-8, joined by NULs. */
function cutMark(cut: readonly string[]): string {
  const hash = createHash('sha256')
  let bytes = 0
  cut.forEach((argument, i) => {
    if (i > 0) hash.update(NUL)
    hash.update(argument, 'utf8')
    bytes += utf8Bytes(argument)
  })
  return `[x0x-exec-audit: cut ${cut.length} arguments, ${bytes} bytes, sha256 ${hash.digest('hex')}]`
}
