import { I32_MAX, I32_MIN, U32_MAX, U64_MAX } from '../base/integers'
import { CONTEXT_BYTES_MAX, CONTEXT_ENTRIES_MAX, contextBytes, isContextKey } from './context'
import { DENIAL_REASONS, type DenialReason, WARNING_KINDS, type WarningKind } from './events'
import { explainLine } from './explain-line'
import type { LineContext } from './line'
import { type AuditProblem, type AuditRecord, type LinePlace, problemAt, type U64 } from './records'

/*
 * A line is taken by its exact form, and not as whatever JSON it may be: that is faster, keeps every
 * digit of a u64, and leaves no room for a second spelling (spaces, a key twice, 1e3), which no writer
 * of this format has.
 */

const NUMBER = '(0|[1-9]\\d{0,19})'
const INTEGER_OR_NULL = '(null|0|-?[1-9]\\d{0,9})'

function head(event: string, rest: string): RegExp {
  return new RegExp(
    `^\\{"event":"${event}","ts_unix_ms":${NUMBER},"request_id":"([0-9a-f]{32})"${rest}`,
  )
}

const PARTIES = ',"agent_id":"([0-9a-f]{64})","machine_id":"([0-9a-f]{64})","argv":'
const REQUEST = head('request', PARTIES)
const REQUEST_TAIL = new RegExp(`^,"stdin_bytes":${NUMBER},"timeout_ms":${NUMBER}`)
const STARTED = head('started', `,"pid":${NUMBER}\\}$`)
const WARNING = head('warning', `,"kind":"([a-z_]+)","bytes":(?:null|${NUMBER})\\}$`)
const EXIT = head(
  'exit',
  `,"code":${INTEGER_OR_NULL},"signal":${INTEGER_OR_NULL},"duration_ms":${NUMBER},"stdout_bytes":${NUMBER},"stderr_bytes":${NUMBER},"truncated":(true|false)\\}$`,
)
const DENIAL = head('denial', PARTIES)
const DENIAL_TAIL = /^,"reason":"([a-z_]+)"/
/** Their second quote keeps these from being found inside a string, where it would be escaped. */
const ACL_KEY = ',"matched_acl":'
const STDIN_KEY = ',"stdin_bytes":'
const REASON_KEY = ',"reason":'
const LINE_END = '}'
const CONTEXT_START = ',"context":{'
/** What is before the value. */
const CONTEXT_KEY_LENGTH = CONTEXT_START.length - 1

/** The names, each as the table holds it: a name cut from a line would keep the line in memory. */
const KINDS = new Map<string, WarningKind>(WARNING_KINDS.map((name) => [name, name]))
const REASONS = new Map<string, DenialReason>(DENIAL_REASONS.map((name) => [name, name]))
const EVENT_AT = '{"event":"'.length

/** Any number of so few digits is a safe integer. */
const SAFE_DIGITS = 15
/** A string cut from a longer line is copied, so that keeping it does not keep the line. */
const CUT_FROM_MAX = 512

/**
 * Parses a line, without its newline. Pure.
 * @param place where it stands; by default it is the only line
 */
export function parseLine(
  text: string,
  place: LinePlace = { line: 1, offset: 0, length: Buffer.byteLength(text) },
): AuditRecord | AuditProblem {
  return parseExact(text, place) ?? problemAt(place, text, explainLine(text))
}

function parseExact(text: string, place: LinePlace): AuditRecord | undefined {
  switch (text[EVENT_AT]) {
    case 'r':
      return parseRequest(text, place)
    case 's':
      return parseStarted(text, place)
    case 'w':
      return parseWarning(text, place)
    case 'e':
      return parseExit(text, place)
    case 'd':
      return parseDenial(text, place)
    default:
      return undefined
  }
}

function parseRequest(text: string, { line, offset, length }: LinePlace): AuditRecord | undefined {
  const parties = REQUEST.exec(text)
  if (parties === null) return undefined
  const argvAt = parties[0].length
  const aclAt = text.indexOf(ACL_KEY, argvAt)
  // The first one: a context may have a key of this name.
  const stdinAt = text.indexOf(STDIN_KEY, aclAt + ACL_KEY.length)
  if (aclAt < 0 || stdinAt < 0) return undefined
  const tail = REQUEST_TAIL.exec(text.slice(stdinAt))
  if (tail === null) return undefined
  const context = parseContext(text.slice(stdinAt + tail[0].length))
  const tsUnixMs = safeInteger(parties[1])
  const argv = parseArgv(text.slice(argvAt, aclAt))
  const matchedAcl = parseAcl(text.slice(aclAt + ACL_KEY.length, stdinAt))
  const stdinBytes = u64(tail[1])
  const timeoutMs = u32(tail[2])
  if (tsUnixMs === undefined || argv === undefined || matchedAcl === undefined) return undefined
  if (stdinBytes === undefined || timeoutMs === undefined) return undefined
  if (context === undefined) return undefined
  const requestId = id(parties[2], text)
  const agentId = id(parties[3], text)
  const machineId = id(parties[4], text)
  return {
    event: 'request',
    tsUnixMs,
    requestId,
    agentId,
    machineId,
    argv,
    matchedAcl,
    stdinBytes,
    timeoutMs,
    ...context,
    line,
    offset,
    length,
  }
}

function parseStarted(text: string, { line, offset, length }: LinePlace): AuditRecord | undefined {
  const found = STARTED.exec(text)
  if (found === null) return undefined
  const tsUnixMs = safeInteger(found[1])
  const pid = u32(found[3])
  if (tsUnixMs === undefined || pid === undefined) return undefined
  return { event: 'started', tsUnixMs, requestId: id(found[2], text), pid, line, offset, length }
}

function parseWarning(text: string, { line, offset, length }: LinePlace): AuditRecord | undefined {
  const found = WARNING.exec(text)
  if (found === null) return undefined
  const tsUnixMs = safeInteger(found[1])
  const kind = KINDS.get(found[3] ?? '')
  const bytes = found[4] === undefined ? null : u64(found[4])
  if (tsUnixMs === undefined || kind === undefined || bytes === undefined) return undefined
  const requestId = id(found[2], text)
  return { event: 'warning', tsUnixMs, requestId, kind, bytes, line, offset, length }
}

function parseExit(text: string, { line, offset, length }: LinePlace): AuditRecord | undefined {
  const found = EXIT.exec(text)
  if (found === null) return undefined
  const tsUnixMs = safeInteger(found[1])
  const code = optionalI32(found[3])
  const signal = optionalI32(found[4])
  const durationMs = u64(found[5])
  const stdoutBytes = u64(found[6])
  const stderrBytes = u64(found[7])
  if (tsUnixMs === undefined || code === undefined || signal === undefined) return undefined
  if (durationMs === undefined || stdoutBytes === undefined) return undefined
  if (stderrBytes === undefined) return undefined
  return {
    event: 'exit',
    tsUnixMs,
    requestId: id(found[2], text),
    code,
    signal,
    durationMs,
    stdoutBytes,
    stderrBytes,
    truncated: found[8] === 'true',
    line,
    offset,
    length,
  }
}

function parseDenial(text: string, { line, offset, length }: LinePlace): AuditRecord | undefined {
  const parties = DENIAL.exec(text)
  if (parties === null) return undefined
  const argvAt = parties[0].length
  const reasonAt = text.indexOf(REASON_KEY, argvAt)
  if (reasonAt < 0) return undefined
  const tail = DENIAL_TAIL.exec(text.slice(reasonAt))
  if (tail === null) return undefined
  const context = parseContext(text.slice(reasonAt + tail[0].length))
  const tsUnixMs = safeInteger(parties[1])
  const argv = parseArgv(text.slice(argvAt, reasonAt))
  const reason = REASONS.get(tail[1] ?? '')
  if (tsUnixMs === undefined || argv === undefined || reason === undefined) return undefined
  if (context === undefined) return undefined
  return {
    event: 'denial',
    tsUnixMs,
    requestId: id(parties[2], text),
    agentId: id(parties[3], text),
    machineId: id(parties[4], text),
    argv,
    reason,
    ...context,
    line,
    offset,
    length,
  }
}

function id(digits: string | undefined, line: string): string {
  const cut = digits ?? ''
  return line.length > CUT_FROM_MAX ? Buffer.from(cut, 'latin1').toString('latin1') : cut
}

function safeInteger(digits = ''): number | undefined {
  const value = Number(digits)
  return Number.isSafeInteger(value) ? value : undefined
}

function u32(digits = ''): number | undefined {
  const value = Number(digits)
  return value <= U32_MAX ? value : undefined
}

function u64(digits = ''): U64 | undefined {
  if (digits.length <= SAFE_DIGITS) return Number(digits)
  const value = BigInt(digits)
  if (value > U64_MAX) return undefined
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

/** Undefined if it is out of range. */
function optionalI32(digits = ''): number | null | undefined {
  if (digits === 'null') return null
  const value = Number(digits)
  return value >= I32_MIN && value <= I32_MAX ? value : undefined
}

/** Undefined if a writer would write it differently. */
function parseArgv(json: string): readonly string[] | undefined {
  const value = parseJson(json)
  if (!Array.isArray(value)) return undefined
  const argv: string[] = []
  for (const element of value) {
    if (typeof element !== 'string') return undefined
    argv.push(element)
  }
  return isWritten(json, argv) ? argv : undefined
}

function parseAcl(json: string): string | null | undefined {
  if (json === 'null') return null
  const value = parseJson(json)
  return typeof value === 'string' && isWritten(json, value) ? value : undefined
}

/** A record's property for the rest of its line, `,"context":{…}}` or `}`; undefined if neither is there. */
function parseContext(rest: string): { context?: LineContext } | undefined {
  if (rest === LINE_END) return NO_CONTEXT
  if (!rest.startsWith(CONTEXT_START)) return undefined
  const json = rest.slice(CONTEXT_KEY_LENGTH, -LINE_END.length)
  const value = parseJson(json)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const context: Record<string, string> = {}
  const strings: string[] = []
  for (const [key, text] of Object.entries(value)) {
    if (!isContextKey(key) || typeof text !== 'string') return undefined
    context[key] = text
    strings.push(key, text)
  }
  const entries = strings.length / 2
  if (entries === 0 || entries > CONTEXT_ENTRIES_MAX) return undefined
  if (contextBytes(strings) > CONTEXT_BYTES_MAX || !strings.every(isWellFormed)) return undefined
  return JSON.stringify(context) + LINE_END === rest.slice(CONTEXT_KEY_LENGTH)
    ? { context }
    : undefined
}

const NO_CONTEXT = {}

function isWellFormed(text: string): boolean {
  return text.isWellFormed()
}

/** Whether a writer writes the strings like this: no other escapes, and no half of a surrogate pair. */
function isWritten(json: string, value: string | readonly string[]): boolean {
  // Without an escape only spaces could be different, and they show in the length.
  if (!json.includes('\\')) return json.length === plainLength(value) && json.isWellFormed()
  if (JSON.stringify(value) !== json) return false
  return typeof value === 'string' ? value.isWellFormed() : value.every(isWellFormed)
}

/** The length of the strings' JSON if nothing in them is escaped. */
function plainLength(value: string | readonly string[]): number {
  if (typeof value === 'string') return value.length + 2
  if (value.length === 0) return 2
  return value.reduce((sum, { length }) => sum + length + 3, 1)
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
