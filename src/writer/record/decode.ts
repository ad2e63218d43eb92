import { decodeText } from '../../base/bytes'
import { isContextKey } from '../../format/context'
import { DENIAL_REASONS, WARNING_KINDS } from '../../format/events'
import type {
  AuditLine,
  DenialLine,
  ExitLine,
  LineContext,
  RequestLine,
  StartedLine,
  WarningLine,
} from '../../format/line'
import {
  CODE_OFFSET,
  FLAGS_OFFSET,
  RECORD_HEADER_BYTES,
  REQUEST_ID_OFFSET,
  type RecordBytes,
  TIME_OFFSET,
  TYPE_DENIAL,
  TYPE_EXIT,
  TYPE_OFFSET,
  TYPE_REQUEST,
  TYPE_STARTED,
  TYPE_WARNING,
} from '../ring/record-header'
import {
  AGENT_ID_OFFSET,
  ALL_IDS_BYTES,
  EXIT_BYTES,
  EXIT_CODE_OFFSET,
  EXIT_DURATION_OFFSET,
  EXIT_SIGNAL_OFFSET,
  EXIT_STDERR_OFFSET,
  EXIT_STDOUT_OFFSET,
  FLAG_BYTES,
  FLAG_EXIT_CODE,
  FLAG_EXIT_SIGNAL,
  FLAG_TRUNCATED,
  getU64,
  MACHINE_ID_OFFSET,
  REQUEST_ID_BYTES,
  REQUEST_STDIN_OFFSET,
  REQUEST_TIMEOUT_OFFSET,
  SHAPE_OFFSET,
  STARTED_BYTES,
  STARTED_PID_OFFSET,
  STRING_COUNT_OFFSET,
  STRING_LENGTH_BYTES,
  STRING_LENGTHS_OFFSET,
  type StringsShape,
  TEXT_BYTES_OFFSET,
  unpackShape,
  WARNING_BYTES,
  WARNING_BYTES_OFFSET,
} from './record-layout'

/** The bytes of a record do not follow the layout, so none of them is used. */
export class CorruptRecordError extends Error {}

/**
 * Reads the record of `length` bytes at `index`. The twin of encode.ts.
 * Throws {@link CorruptRecordError} if the bytes contradict the layout.
 */
export function decode(record: RecordBytes, index: number, length: number): AuditLine {
  if (length < RECORD_HEADER_BYTES) throw new CorruptRecordError('shorter than a record')
  switch (record.view.getUint8(index + TYPE_OFFSET)) {
    case TYPE_REQUEST:
      return decodeRequest(record, index, length)
    case TYPE_STARTED:
      return decodeStarted(record, index, length)
    case TYPE_WARNING:
      return decodeWarning(record, index, length)
    case TYPE_EXIT:
      return decodeExit(record, index, length)
    case TYPE_DENIAL:
      return decodeDenial(record, index, length)
    default:
      throw new CorruptRecordError('unknown record type')
  }
}

function decodeRequest(record: RecordBytes, index: number, length: number): RequestLine {
  const { view, bytes } = record
  const ids = decodeIds(bytes, index)
  flagsOf(view, index, 0)
  const shape = shapeOf(view, index, length)
  const argv = decodeStrings(record, index, length, shape)
  const context = takeContext(argv, shape)
  const matchedAcl = shape.hasRule ? argv.shift() : null
  if (matchedAcl === undefined) throw new CorruptRecordError('matched_acl is missing')
  return {
    event: 'request',
    ts_unix_ms: timeOf(view, index),
    request_id: ids.slice(0, AGENT_AT),
    agent_id: ids.slice(AGENT_AT, MACHINE_AT),
    machine_id: ids.slice(MACHINE_AT),
    argv,
    matched_acl: matchedAcl,
    stdin_bytes: getU64(view, index + REQUEST_STDIN_OFFSET),
    timeout_ms: view.getUint32(index + REQUEST_TIMEOUT_OFFSET, true),
    context,
  }
}

function decodeStarted({ view, bytes }: RecordBytes, index: number, length: number): StartedLine {
  expectLength(length, STARTED_BYTES)
  flagsOf(view, index, 0)
  return {
    event: 'started',
    ts_unix_ms: timeOf(view, index),
    request_id: decodeRequestId(bytes, index),
    pid: view.getUint32(index + STARTED_PID_OFFSET, true),
  }
}

function decodeWarning({ view, bytes }: RecordBytes, index: number, length: number): WarningLine {
  expectLength(length, WARNING_BYTES)
  const isCounted = (flagsOf(view, index, FLAG_BYTES) & FLAG_BYTES) !== 0
  return {
    event: 'warning',
    ts_unix_ms: timeOf(view, index),
    request_id: decodeRequestId(bytes, index),
    kind: nameOf(WARNING_KINDS, view.getUint8(index + CODE_OFFSET)),
    bytes: isCounted ? getU64(view, index + WARNING_BYTES_OFFSET) : null,
  }
}

function decodeExit({ view, bytes }: RecordBytes, index: number, length: number): ExitLine {
  expectLength(length, EXIT_BYTES)
  const flags = flagsOf(view, index, FLAG_EXIT_CODE | FLAG_EXIT_SIGNAL | FLAG_TRUNCATED)
  return {
    event: 'exit',
    ts_unix_ms: timeOf(view, index),
    request_id: decodeRequestId(bytes, index),
    code: flags & FLAG_EXIT_CODE ? view.getInt32(index + EXIT_CODE_OFFSET, true) : null,
    signal: flags & FLAG_EXIT_SIGNAL ? view.getInt32(index + EXIT_SIGNAL_OFFSET, true) : null,
    duration_ms: getU64(view, index + EXIT_DURATION_OFFSET),
    stdout_bytes: getU64(view, index + EXIT_STDOUT_OFFSET),
    stderr_bytes: getU64(view, index + EXIT_STDERR_OFFSET),
    truncated: (flags & FLAG_TRUNCATED) !== 0,
  }
}

function decodeDenial(record: RecordBytes, index: number, length: number): DenialLine {
  const { view, bytes } = record
  const ids = decodeIds(bytes, index)
  flagsOf(view, index, 0)
  const shape = shapeOf(view, index, length)
  if (shape.hasRule) throw new CorruptRecordError('a denial with a rule')
  const argv = decodeStrings(record, index, length, shape)
  const context = takeContext(argv, shape)
  return {
    event: 'denial',
    ts_unix_ms: timeOf(view, index),
    request_id: ids.slice(0, AGENT_AT),
    agent_id: ids.slice(AGENT_AT, MACHINE_AT),
    machine_id: ids.slice(MACHINE_AT),
    argv,
    reason: nameOf(DENIAL_REASONS, view.getUint8(index + CODE_OFFSET)),
    context,
  }
}

/** Offsets of the second and third id in the hexadecimal text of all three. */
const AGENT_AT = (AGENT_ID_OFFSET - REQUEST_ID_OFFSET) * 2
const MACHINE_AT = (MACHINE_ID_OFFSET - REQUEST_ID_OFFSET) * 2

function decodeIds(bytes: Buffer, index: number): string {
  const start = index + REQUEST_ID_OFFSET
  return decodeText(bytes, 'hex', start, start + ALL_IDS_BYTES)
}

function decodeRequestId(bytes: Buffer, index: number): string {
  const start = index + REQUEST_ID_OFFSET
  return decodeText(bytes, 'hex', start, start + REQUEST_ID_BYTES)
}

function timeOf(view: DataView, index: number): number {
  const time = view.getFloat64(index + TIME_OFFSET, true)
  if (!Number.isSafeInteger(time) || time < 0) throw new CorruptRecordError('impossible time')
  return time
}

function flagsOf(view: DataView, index: number, allowed: number): number {
  const flags = view.getUint8(index + FLAGS_OFFSET)
  if ((flags & ~allowed) !== 0) throw new CorruptRecordError('unknown flags')
  return flags
}

function shapeOf(view: DataView, index: number, length: number): StringsShape {
  if (length < STRING_LENGTHS_OFFSET) throw new CorruptRecordError('too short for its type')
  const shape = unpackShape(view.getUint32(index + SHAPE_OFFSET, true))
  if (shape === undefined) throw new CorruptRecordError('a shape that contradicts itself')
  return shape
}

function nameOf(names: readonly string[], code: number): string {
  const name = names[code]
  if (name === undefined) throw new CorruptRecordError('unknown kind or reason')
  return name
}

function expectLength(length: number, expected: number): void {
  if (length !== expected) throw new CorruptRecordError(`length=${length}, expected=${expected}`)
}

/** All strings of a record, decoded at once and cut apart by their lengths in UTF-16 units. */
function decodeStrings(
  record: RecordBytes,
  index: number,
  length: number,
  { isAscii }: StringsShape,
): string[] {
  const { view } = record
  const count = view.getUint32(index + STRING_COUNT_OFFSET, true)
  const textBytes = view.getUint32(index + TEXT_BYTES_OFFSET, true)
  const textAt = STRING_LENGTHS_OFFSET + count * STRING_LENGTH_BYTES
  if (textAt + textBytes !== length) throw new CorruptRecordError('text does not end the record')

  const text = textOf(record, index + textAt, index + length, isAscii)
  const strings: string[] = []
  let unit = 0
  for (let i = 0; i < count; i++) {
    const lengthAt = index + STRING_LENGTHS_OFFSET + i * STRING_LENGTH_BYTES
    const end = unit + view.getUint32(lengthAt, true)
    const string = text.slice(unit, end)
    // Two strings can meet in a surrogate pair that neither has alone: both halves are lone then.
    const isPairCut = !isAscii && (isLowSurrogate(text, unit) || isLowSurrogate(text, end))
    strings.push(isPairCut ? string.toWellFormed() : string)
    unit = end
  }
  if (unit !== text.length) throw new CorruptRecordError('string lengths do not add up')
  return strings
}

function textOf({ bytes, window }: RecordBytes, start: number, end: number, isAscii: boolean) {
  if (isAscii && window !== undefined) return window.slice(start, end)
  return decodeText(bytes, 'utf8', start, end)
}

/** Takes the context's keys and values from the end of the strings. */
function takeContext(strings: string[], shape: StringsShape): LineContext | undefined {
  if (shape.contextEntries === 0) return undefined
  const first = strings.length - 2 * shape.contextEntries
  if (first < 0) throw new CorruptRecordError('context is missing')
  const context: Record<string, string> = {}
  for (let i = first; i < strings.length; i += 2) {
    const key = strings[i] ?? ''
    if (!isContextKey(key)) throw new CorruptRecordError('no key of a context')
    context[key] = strings[i + 1] ?? ''
  }
  strings.length = first
  return context
}

function isLowSurrogate(text: string, unit: number): boolean {
  return (text.charCodeAt(unit) & 0xfc00) === 0xdc00
}
