import { constants } from 'node:buffer'
import { createHash } from 'node:crypto'
import { utf8Bytes } from '../../base/bytes'
import { invalidEvent } from '../../base/field-checks'
import { STRING_LENGTH_BYTES, STRING_LENGTHS_OFFSET } from './record-layout'

/** UTF-8 takes at most three bytes per UTF-16 unit. */
export const UTF8_BYTES_PER_UNIT = 3
/** Room for the last element of a cut argv: its text and its length word. */
const CUT_MARK_BYTES = 256
const NUL = '\0'
const SPACE = 0x20
const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Room for a line's parts beside its strings, and some to spare, in UTF-16 units. */
const LINE_REST_UNITS = 1024
/** Room for all strings of a line, escaped: the line must be a string itself. */
const LINE_UNITS_MAX = constants.MAX_STRING_LENGTH - LINE_REST_UNITS
/** A control character takes six units in a line, `\u0001`; no other byte takes more. */
const LINE_UNITS_PER_BYTE = 6
/**
 * The line of an event that is no larger than this, at {@link UTF8_BYTES_PER_UNIT}, can be made, whatever
 * is escaped in it.
 */
export const LINE_SAFE_BYTES = safeBytes(LINE_UNITS_MAX)

function safeBytes(lineUnitsMax: number): number {
  return Math.floor((lineUnitsMax * UTF8_BYTES_PER_UNIT) / LINE_UNITS_PER_BYTE)
}

/** The strings of an event beside its argv, which are never cut. */
export interface Uncut {
  readonly matchedAcl: string | null
  /** Its keys and values, in turn. */
  readonly context: readonly string[]
}

/**
 * Argv; if the event would be larger than `maxEventBytes`, its leading arguments that fit and a last element
 * that says how much was cut. An event is never dropped for its size, since a huge argv would then evade the
 * audit, and nor is one whose line would be longer than a string can be. Throws a RangeError if `matchedAcl`
 * alone is too large. A context that leaves no room leaves argv its last element alone: it has a limit of its own.
 */
export function cutToSize(
  argv: readonly string[],
  { matchedAcl, context }: Uncut,
  maxEventBytes: number,
  lineUnitsMax = LINE_UNITS_MAX,
): readonly string[] {
  let units = (matchedAcl?.length ?? 0) + unitsOf(context)
  for (const argument of argv) units += argument.length
  const strings = argv.length + 1 + context.length
  const lengths = STRING_LENGTHS_OFFSET + strings * STRING_LENGTH_BYTES
  if (lengths + units * UTF8_BYTES_PER_UNIT <= Math.min(maxEventBytes, safeBytes(lineUnitsMax))) {
    return argv
  }

  const aclBytes = matchedAcl === null ? 0 : encodedBytes(matchedAcl)
  const argvRoom = maxEventBytes - STRING_LENGTHS_OFFSET - aclBytes
  if (argvRoom < CUT_MARK_BYTES) {
    const allowed = argvRoom + aclBytes - CUT_MARK_BYTES - STRING_LENGTH_BYTES
    const text = `matchedAcl: expected at most ${allowed} bytes of UTF-8 (maxEventBytes=${maxEventBytes}), got ${aclBytes - STRING_LENGTH_BYTES}`
    throw invalidEvent(new RangeError(text), 'matchedAcl')
  }
  const room = context.reduce((left, text) => left - encodedBytes(text), argvRoom)
  const isLineSafe = maxEventBytes * LINE_UNITS_PER_BYTE <= lineUnitsMax
  const uncut = matchedAcl === null ? context : [matchedAcl, ...context]
  const uncutUnits = isLineSafe ? 0 : uncut.reduce((sum, text) => sum + lineUnits(text), 0)
  const lineRoom = isLineSafe ? Infinity : lineUnitsMax - uncutUnits
  if (leading(argv, room, lineRoom) === argv.length) return argv
  const kept = leading(argv, room - CUT_MARK_BYTES, lineRoom - CUT_MARK_BYTES)
  return [...argv.slice(0, kept), cutMark(argv.slice(kept))]
}

/** The length of the strings in UTF-16 units. */
export function unitsOf(strings: readonly string[]): number {
  return strings.reduce((sum, { length }) => sum + length, 0)
}

/** The bytes of a string in a record: its text and its length word. */
function encodedBytes(text: string): number {
  return STRING_LENGTH_BYTES + utf8Bytes(text)
}

/** How many units a string takes in a line at most, with its quotes, a comma and its escapes. */
function lineUnits(text: string): number {
  let units = text.length + 3
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < SPACE) units += LINE_UNITS_PER_BYTE - 1
    else if (unit === QUOTE || unit === BACKSLASH) units++
  }
  return units
}

/** How many leading arguments fit into `room` bytes of a record and `lineRoom` units of a line. */
function leading(argv: readonly string[], room: number, lineRoom: number): number {
  let bytes = 0
  let units = 0
  const tooMany = argv.findIndex((argument) => {
    bytes += encodedBytes(argument)
    if (bytes > room) return true
    if (lineRoom !== Infinity) units += lineUnits(argument)
    return units > lineRoom
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
