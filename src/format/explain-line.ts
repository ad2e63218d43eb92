import { printable } from '../base/describe'
import { I32_MAX, I32_MIN, U32_MAX } from '../base/integers'
import { CONTEXT_BYTES_MAX, CONTEXT_ENTRIES_MAX, contextBytes, isContextKey } from './context'
import { DENIAL_REASONS, WARNING_KINDS } from './events'
import type { AuditProblem } from './records'

/** Why a line has not the exact form. Finding it is slow, and is done for such lines only. */
type Explanation = Pick<AuditProblem, 'kind' | 'field' | 'message'>

interface Rule {
  readonly expected: string
  readonly allows: (value: unknown) => boolean
  /** Names that a later version may have more of. */
  readonly isOpen?: true
}

const isString = (value: unknown): value is string => typeof value === 'string'
const isInteger = (min: number, max: number) => (value: unknown) =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
const orNull = ({ expected, allows }: Rule): Rule => ({
  expected: `${expected}, or null`,
  allows: (value) => value === null || allows(value),
})
const hex = (digits: number): Rule => {
  const pattern = new RegExp(`^[0-9a-f]{${digits}}$`)
  return {
    expected: `${digits} hexadecimal digits in lower case`,
    allows: (value) => isString(value) && pattern.test(value),
  }
}
const nameOf = (names: readonly string[]): Rule => ({
  expected: `one of ${names.join(', ')}`,
  allows: (value) => isString(value) && names.includes(value),
  isOpen: true,
})

const TIME: Rule = {
  expected: 'an integer from 0 to 2^53 - 1',
  allows: isInteger(0, Number.MAX_SAFE_INTEGER),
}
const U32: Rule = { expected: 'an integer from 0 to 2^32 - 1', allows: isInteger(0, U32_MAX) }
/** JSON.parse rounds the largest u64 to 2^64 itself. */
const U64: Rule = { expected: 'an integer from 0 to 2^64 - 1', allows: isInteger(0, 2 ** 64) }
const I32: Rule = {
  expected: 'an integer from -2^31 to 2^31 - 1',
  allows: isInteger(I32_MIN, I32_MAX),
}
const TEXT: Rule = {
  expected: 'a string of well-formed Unicode',
  allows: (value) => isString(value) && value.isWellFormed(),
}
const ARGV: Rule = {
  expected: 'an array of strings of well-formed Unicode',
  allows: (value) => Array.isArray(value) && value.every(TEXT.allows),
}
const CONTEXT: Rule = {
  expected: `an object of 1 to ${CONTEXT_ENTRIES_MAX} strings, 16 KiB in all`,
  allows: isContext,
}
/** The key that a line may have at its end, or not. */
const OPTIONAL_KEY = 'context'
const BOOLEAN: Rule = { expected: 'true or false', allows: (value) => typeof value === 'boolean' }

const COMMON: readonly [string, Rule][] = [
  ['event', { expected: 'a known event', allows: isString }],
  ['ts_unix_ms', TIME],
  ['request_id', hex(32)],
]
const PARTIES: readonly [string, Rule][] = [
  ...COMMON,
  ['agent_id', hex(64)],
  ['machine_id', hex(64)],
  ['argv', ARGV],
]

const EVENTS = new Map<unknown, readonly [string, Rule][]>([
  [
    'request',
    [
      ...PARTIES,
      ['matched_acl', orNull(TEXT)],
      ['stdin_bytes', U64],
      ['timeout_ms', U32],
      [OPTIONAL_KEY, CONTEXT],
    ],
  ],
  ['started', [...COMMON, ['pid', U32]]],
  ['warning', [...COMMON, ['kind', nameOf(WARNING_KINDS)], ['bytes', orNull(U64)]]],
  [
    'exit',
    [
      ...COMMON,
      ['code', orNull(I32)],
      ['signal', orNull(I32)],
      ['duration_ms', U64],
      ['stdout_bytes', U64],
      ['stderr_bytes', U64],
      ['truncated', BOOLEAN],
    ],
  ],
  ['denial', [...PARTIES, ['reason', nameOf(DENIAL_REASONS)], [OPTIONAL_KEY, CONTEXT]]],
])

const LINE_START = '{"event":"'
const SHOWN_CHARACTERS = 40

/** Says what is wrong with a line. */
export function explainLine(text: string): Explanation {
  if (text.endsWith('\r')) return foreign('it ends with a carriage return (CRLF)')
  if (text.startsWith('\ufeff')) return foreign('it begins with a byte order mark')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return explainText(text)
  }
  if (isObject(value)) return explainObject(value)
  return foreign(`expected a JSON object, got ${typeName(value)}`)
}

function explainText(text: string): Explanation {
  if (text.includes('\0')) return torn('it holds zero bytes, as a power cut leaves them')
  const isOurs = text.startsWith(LINE_START) || LINE_START.startsWith(text)
  if (!isOurs) return foreign('it is no JSON')
  const next = text.indexOf(LINE_START, 1)
  if (next < 0) return torn('a fragment of an event')
  return torn(`a fragment of an event, with another one behind it at character ${next}`)
}

function explainObject(value: Record<string, unknown>): Explanation {
  const keys = Object.keys(value)
  if (keys[0] !== 'event') return wrongKey(keys, COMMON, 0, 'event')
  const fields = EVENTS.get(value.event)
  if (fields === undefined) return explainEvent(value, keys)
  for (let i = 0; i < Math.max(fields.length, keys.length); i++) {
    const field = fields[i]
    if (field?.[0] === OPTIONAL_KEY && keys.length === i) break
    if (field?.[0] !== keys[i]) return wrongKey(keys, fields, i, String(value.event))
    const wrong = field && wrongValue(field, value[field[0]])
    if (wrong) return wrong
  }
  return foreign(
    'it has other spaces, digits or escapes than a writer writes, a number out of range, or a key twice',
  )
}

function explainEvent(value: Record<string, unknown>, keys: readonly string[]): Explanation {
  const message = `event: unknown to this version: ${shown(value.event)}`
  const isNewer =
    isString(value.event) &&
    COMMON.every(([key, rule], i) => keys[i] === key && rule.allows(value[key]))
  return { kind: isNewer ? 'newer' : 'foreign', field: 'event', message }
}

function wrongValue([key, { allows, expected, isOpen }]: [string, Rule], value: unknown) {
  if (allows(value)) return undefined
  if (isOpen && isString(value)) {
    const message = `${key}: unknown to this version: ${shown(value)}`
    return { kind: 'newer', field: key, message } as const
  }
  return foreign(`${key}: expected ${expected}, got ${shown(value)}`, key)
}

function wrongKey(
  keys: readonly string[],
  fields: readonly [string, Rule][],
  at: number,
  event: string,
): Explanation {
  const expected = fields[at]?.[0]
  const found = keys[at]
  if (expected !== undefined && expected !== OPTIONAL_KEY && !keys.includes(expected)) {
    return foreign(`${expected}: missing`, expected)
  }
  if (found !== undefined && !fields.some(([key]) => key === found)) {
    return foreign(`${shown(found)}: not a key of ${event}`, found.slice(0, SHOWN_CHARACTERS))
  }
  const key = expected ?? found
  return foreign(`${key}: not at its place in the order of the keys`, key)
}

function isContext(value: unknown): boolean {
  if (!isObject(value)) return false
  const strings = Object.entries(value).flat()
  const isWhole = Object.keys(value).every(isContextKey) && strings.every(TEXT.allows)
  const entries = strings.length / 2
  if (!isWhole || entries === 0 || entries > CONTEXT_ENTRIES_MAX) return false
  return contextBytes(strings.map(String)) <= CONTEXT_BYTES_MAX
}

function foreign(message: string, field?: string): Explanation {
  return { kind: 'foreign', field, message }
}

function torn(message: string): Explanation {
  return { kind: 'torn', field: undefined, message }
}

/** A value, short and in printable ASCII. */
function shown(value: unknown): string {
  if (isString(value)) return printable(value)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeName(value)
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
