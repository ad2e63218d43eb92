import { constants } from 'node:os'
import { types } from 'node:util'
import { copyBytes } from './bytes'
import { describe, shorten } from './describe'
import { I32_MAX, I32_MIN, U32_MAX, U64_MAX } from './integers'

/*
 * One check per kind of field. Each returns the field as a primitive or throws a TypeError (wrong type)
 * or a RangeError (wrong length or range) that names the field, what is allowed and what was given.
 * Texts never hold an argument's value: it may be a secret, and warnings go where logs go.
 */

type InvalidEvent = TypeError | RangeError

const NOT_HEX = -1
/** The value of an ASCII character as a hexadecimal digit. */
const HEX_VALUES = Int8Array.from({ length: 128 }, (_, code) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase())
  return value < 0 ? NOT_HEX : value
})

/** A mistake in an event; the message says which field, what is allowed and what was given. */
export interface InvalidEventError extends Error {
  /** Distinguishes it from other TypeErrors and RangeErrors. */
  readonly code: 'AUDIT_INVALID_EVENT'
  /** The field's path, such as `argv[2]`. */
  readonly field: string
}

/** The errors made here. A getter may throw anything, even something that looks like one of them. */
const made = new WeakSet<object>()

/** Makes the error for a mistake in an event. */
export function invalidEvent(error: InvalidEvent, field: string): InvalidEvent & InvalidEventError {
  made.add(error)
  return Object.assign(error, { code: 'AUDIT_INVALID_EVENT' as const, field })
}

/** Whether {@link invalidEvent} made this. Looks at none of its properties. */
export function isInvalidEvent(thrown: unknown): thrown is InvalidEvent & InvalidEventError {
  return typeof thrown === 'object' && thrown !== null && made.has(thrown)
}

function wrongType(field: string, expected: string, value: unknown): InvalidEvent {
  return invalidEvent(
    new TypeError(`${field}: expected ${expected}, got ${describe(value)}`),
    field,
  )
}

function wrongRange(field: string, expected: string, got: string): InvalidEvent {
  return invalidEvent(new RangeError(`${field}: expected ${expected}, got ${got}`), field)
}

/** The error for a value that is no number, or a number that is not allowed. */
function wrongNumber(field: string, expected: string, value: unknown): InvalidEvent {
  return typeof value === 'number'
    ? wrongRange(field, expected, describe(value))
    : wrongType(field, expected, value)
}

const byteLengthGetter = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  'byteLength',
)?.get

/** A subclass may lie about its length; then bytes of an earlier id would be written. */
function trueByteLength(array: Uint8Array): number {
  return Number(byteLengthGetter?.call(array))
}

/** Writes an id's bytes at `offset` of `target`. */
export function putId(
  target: Uint8Array,
  offset: number,
  byteLength: number,
  field: string,
  value: unknown,
): void {
  if (typeof value === 'string') {
    const digits = byteLength * 2
    if (value.length === digits && putHex(target, offset, value)) return
    if (byteLength === UUID_BYTES && putUuid(target, offset, value)) return
    const got = value.length === digits ? 'other characters' : `${value.length} characters`
    throw wrongRange(field, `${digits} hexadecimal digits${hintOn(byteLength)}`, got)
  }
  if (!types.isUint8Array(value)) {
    throw wrongType(
      field,
      `a Uint8Array of ${byteLength} bytes or ${byteLength * 2} hexadecimal digits${orUuid(byteLength)}`,
      value,
    )
  }
  const given = trueByteLength(value)
  if (given !== byteLength) {
    throw wrongRange(field, `a Uint8Array of ${byteLength} bytes`, `${given} bytes`)
  }
  copyBytes(value, target, offset)
}

const UUID_BYTES = 16
const UUID_CHARACTERS = 36
const UUID_DASHES = [8, 13, 18, 23]

/** What else a caller may have, for a string that is no id. */
function hintOn(byteLength: number): string {
  return orUuid(byteLength) || ' (idOf makes them of a name)'
}

function orUuid(byteLength: number): string {
  return byteLength === UUID_BYTES ? ' or a UUID with its dashes' : ''
}

/** Writes the bytes of a UUID with its dashes. False, with the target spoilt, if it is none. */
function putUuid(target: Uint8Array, offset: number, text: string): boolean {
  if (text.length !== UUID_CHARACTERS) return false
  const digits = text.replaceAll('-', '')
  const hasDashes = UUID_DASHES.every((at) => text[at] === '-')
  return hasDashes && digits.length === 2 * UUID_BYTES && putHex(target, offset, digits)
}

/** Writes the bytes of the digits. False, with the target spoilt, if there is another character. */
function putHex(target: Uint8Array, offset: number, digits: string): boolean {
  let all = 0
  // Faster than Buffer's own 'hex' (bench call-cost), which would take U+0130 for 0 as well.
  for (let i = 0; i < digits.length; i += 2) {
    const high = HEX_VALUES[digits.charCodeAt(i)] ?? NOT_HEX
    const low = HEX_VALUES[digits.charCodeAt(i + 1)] ?? NOT_HEX
    const byte = (high << 4) | low
    all |= byte
    target[offset + (i >> 1)] = byte
  }
  return all >= 0
}

/** An unsigned 64-bit integer: a safe integer from 0, or a bigint. */
export function u64(field: string, value: unknown): number | bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  if (typeof value === 'bigint') {
    if (value >= 0n && value <= U64_MAX) return value
    throw wrongRange(field, 'a bigint from 0 to 2^64 - 1', describe(value))
  }
  throw wrongNumber(field, 'an integer from 0 to 2^53 - 1, or a bigint to 2^64 - 1', value)
}

/** An unsigned 32-bit integer. */
export function u32(field: string, value: unknown): number {
  const isU32 =
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= U32_MAX
  if (isU32) return value
  throw wrongNumber(field, 'an integer from 0 to 2^32 - 1', value)
}

/** A signed 32-bit integer or null; undefined counts as null. */
export function optionalI32(field: string, value: unknown): number | null {
  if (value === null || value === undefined) return null
  const isI32 =
    typeof value === 'number' && Number.isInteger(value) && value >= I32_MIN && value <= I32_MAX
  if (isI32) return value
  throw wrongNumber(field, 'an integer from -2^31 to 2^31 - 1, or null', value)
}

const SIGNAL_NUMBERS = new Map<string, number>(Object.entries(constants.signals))

/** A signal's number, null, or its name on this system. */
export function optionalSignal(field: string, value: unknown): number | null {
  if (typeof value !== 'string') return optionalI32(field, value)
  const number = SIGNAL_NUMBERS.get(value)
  if (number !== undefined) return number
  throw wrongRange(
    field,
    'a signal name such as SIGTERM, an integer or null',
    JSON.stringify(shorten(value)),
  )
}

/** An optional unsigned 64-bit integer; undefined counts as null. */
export function optionalU64(field: string, value: unknown): number | bigint | null {
  return value === null || value === undefined ? null : u64(field, value)
}

/** A boolean. */
export function boolean(field: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw wrongType(field, 'a boolean', value)
}

/** An optional string; undefined counts as null. */
export function optionalString(field: string, value: unknown): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  throw wrongType(field, 'a string or null', value)
}

/** An array. */
export function array(field: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw wrongType(field, 'an array of strings', value)
}

/** One string of an array. */
export function element(field: string, index: number, value: unknown): string {
  if (typeof value === 'string') return value
  throw wrongType(`${field}[${index}]`, 'a string', value)
}

/** An array of strings, copied, each element read once. */
export function strings(field: string, value: unknown): string[] {
  const list = array(field, value)
  const copy: string[] = []
  const { length } = list
  for (let i = 0; i < length; i++) copy.push(element(field, i, list[i]))
  return copy
}

/** The code that `names` has for a name. */
export function nameCode(
  field: string,
  names: ReadonlyMap<string, number>,
  value: unknown,
): number {
  const code = typeof value === 'string' ? names.get(value) : undefined
  if (code !== undefined) return code
  const allowed = `one of ${[...names.keys()].join(', ')}`
  if (typeof value !== 'string') throw wrongType(field, allowed, value)
  throw wrongRange(field, allowed, JSON.stringify(shorten(value)))
}
