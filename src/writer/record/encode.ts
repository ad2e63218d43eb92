import { copyBytes, utf8Bytes, writeUtf8 } from '../../base/bytes'
import {
  array,
  boolean,
  type InvalidEventError,
  invalidEvent,
  isInvalidEvent,
  nameCode,
  optionalI32,
  optionalSignal,
  optionalString,
  optionalU64,
  putId,
  strings,
  u32,
  u64,
} from '../../base/field-checks'
import { contextStrings } from '../../format/context-strings'
import { DENIAL_REASONS, type EventName, WARNING_KINDS } from '../../format/events'
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
  TYPE_REOPEN,
  TYPE_REQUEST,
  TYPE_STARTED,
  TYPE_WARNING,
} from '../ring/record-header'
import { cutToSize, LINE_SAFE_BYTES, UTF8_BYTES_PER_UNIT, unitsOf } from './cut-argv'
import {
  DENIAL_FIELDS,
  EXIT_FIELDS,
  fieldsOf,
  REQUEST_FIELDS,
  STARTED_FIELDS,
  WARNING_FIELDS,
} from './own-fields'
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
  MACHINE_ID_OFFSET,
  PARTY_ID_BYTES,
  packShape,
  putU64,
  REQUEST_ID_BYTES,
  REQUEST_STDIN_OFFSET,
  REQUEST_TIMEOUT_OFFSET,
  SHAPE_OFFSET,
  STARTED_BYTES,
  STARTED_PID_OFFSET,
  STRING_COUNT_OFFSET,
  STRING_LENGTH_BYTES,
  STRING_LENGTHS_OFFSET,
  TEXT_BYTES_OFFSET,
  WARNING_BYTES,
  WARNING_BYTES_OFFSET,
} from './record-layout'
import { type RedactOptions, redactArgv } from './redact-argv'
import { StringRun } from './string-run'

/** Numbers of the names, as they travel in a record's code byte. */
function codesOf(names: readonly string[]): ReadonlyMap<string, number> {
  return new Map(names.map((name, code) => [name, code]))
}

/** The records of the ring: events, and the request that the drainer open the path afresh. */
export type RecordName = EventName | 'reopen'

const KIND_CODES = codesOf(WARNING_KINDS)
const REASON_CODES = codesOf(DENIAL_REASONS)

const TYPES = {
  request: TYPE_REQUEST,
  started: TYPE_STARTED,
  warning: TYPE_WARNING,
  exit: TYPE_EXIT,
  denial: TYPE_DENIAL,
  reopen: TYPE_REOPEN,
} as const
/** Makes the error for an event, or a reopen, that meets the encoder taken. */
export function reentryError(): InvalidEventError {
  const text =
    'event: recorded from within a getter, redact, the clock or an async hook of another event; record it once the call for that one has returned'
  return invalidEvent(new TypeError(text), 'event')
}

/** The options that the encoder needs. */
export interface EncoderOptions extends RedactOptions {
  readonly maxEventBytes: number
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/**
 * Turns an event into a record in two steps. `prepare` reads each of its fields once, checks it and
 * keeps it as a primitive: a mistake throws here, before anything is claimed. `write` then copies the
 * prepared event and cannot fail. Between the two the caller finds room.
 *
 * It holds one event at a time, and foreign code runs while it does: getters, `redact`, the clock, and
 * callbacks of async_hooks when the event's promise is made. So it is *taken* from `prepare` until `write`
 * or `release`; check {@link EventEncoder.isTaken} before `prepare`.
 *
 * decode.ts is the twin of this file.
 */
export class EventEncoder {
  readonly #options: EncoderOptions
  /**
   * Whether it holds an event that is not written yet. A plain field: its owner sets it back when the call
   * is over, even if the stack was too short for a call of {@link release}.
   */
  isTaken = false
  /** The field that is being read, to name it if its getter throws. */
  #field = 'event'
  #type = 0
  #flags = 0
  #code = 0
  #time = 0
  readonly #ids = new Uint8Array(ALL_IDS_BYTES)
  /** The request's part of them: a copy of a part would make such a view per event. */
  readonly #requestId = this.#ids.subarray(0, REQUEST_ID_BYTES)
  #number0: number | bigint = 0
  #number1: number | bigint = 0
  #number2: number | bigint = 0
  #code32 = 0
  #signal32 = 0
  /** The strings of a request or denial. */
  readonly #strings = new StringRun()
  #hasRule = false
  #contextEntries = 0
  #fixedBytes = 0
  #exactBytes = -1

  constructor(options: EncoderOptions) {
    this.#options = options
  }

  /**
   * Prepares an event, or a reopen, and takes the encoder for it. Throws a TypeError or RangeError that
   * names the field, and is free again then.
   */
  prepare(name: RecordName, input?: unknown): void {
    this.isTaken = true
    try {
      this.#prepare(name, input)
    } catch (thrown) {
      this.release()
      throw this.#named(thrown)
    }
  }

  /** Forgets a prepared event that will not be written. */
  release(): void {
    this.isTaken = false
    this.#strings.clear()
  }

  /** The record type of the prepared event. */
  get type(): number {
    return this.#type
  }

  /** At least as many bytes as {@link write} writes; costs nothing. */
  get maxBytes(): number {
    return this.#fixedBytes + this.#strings.text.length * UTF8_BYTES_PER_UNIT
  }

  /** Exactly as many bytes as {@link write} writes; measures the text once. */
  get exactBytes(): number {
    if (this.#exactBytes < 0) this.#exactBytes = this.#fixedBytes + utf8Bytes(this.#strings.text)
    return this.#exactBytes
  }

  /**
   * Writes the prepared event, once, as a record at `index`, which must have room for {@link maxBytes} or
   * {@link exactBytes} bytes; it leaves the ring's own words alone. Returns the record's length in bytes.
   */
  write({ view, bytes }: RecordBytes, index: number): number {
    this.isTaken = false
    view.setUint8(index + TYPE_OFFSET, this.#type)
    view.setUint8(index + FLAGS_OFFSET, this.#flags)
    view.setUint8(index + CODE_OFFSET, this.#code)
    view.setFloat64(index + TIME_OFFSET, this.#time, true)
    if (this.#type === TYPE_REQUEST || this.#type === TYPE_DENIAL) {
      copyBytes(this.#ids, bytes, index + REQUEST_ID_OFFSET)
      return this.#writeStrings(view, bytes, index)
    }
    copyBytes(this.#requestId, bytes, index + REQUEST_ID_OFFSET)
    if (this.#type === TYPE_STARTED) {
      view.setUint32(index + STARTED_PID_OFFSET, Number(this.#number0), true)
    } else if (this.#type === TYPE_WARNING) {
      putU64(view, index + WARNING_BYTES_OFFSET, this.#number0)
    } else if (this.#type === TYPE_EXIT) {
      view.setInt32(index + EXIT_CODE_OFFSET, this.#code32, true)
      view.setInt32(index + EXIT_SIGNAL_OFFSET, this.#signal32, true)
      putU64(view, index + EXIT_DURATION_OFFSET, this.#number0)
      putU64(view, index + EXIT_STDOUT_OFFSET, this.#number1)
      putU64(view, index + EXIT_STDERR_OFFSET, this.#number2)
    }
    return this.#fixedBytes
  }

  #writeStrings(view: DataView, bytes: Buffer, index: number): number {
    if (this.#type === TYPE_REQUEST) {
      putU64(view, index + REQUEST_STDIN_OFFSET, this.#number0)
      view.setUint32(index + REQUEST_TIMEOUT_OFFSET, Number(this.#number1), true)
    }
    view.setUint32(index + STRING_COUNT_OFFSET, this.#strings.count, true)
    this.#strings.writeLengths(view, index + STRING_LENGTHS_OFFSET)
    // There is room for the whole text, so this never stops short.
    const { text } = this.#strings
    const written = text === '' ? 0 : writeUtf8(text, bytes, index + this.#fixedBytes)
    view.setUint32(index + TEXT_BYTES_OFFSET, written, true)
    const shape = packShape({
      hasRule: this.#hasRule,
      isAscii: written === text.length,
      contextEntries: this.#contextEntries,
    })
    view.setUint32(index + SHAPE_OFFSET, shape, true)
    // An event of megabytes must not be kept until the next one comes.
    this.#strings.clear()
    return this.#fixedBytes + written
  }

  /** Resets the encoder and takes the time, which is that of the call. */
  #reset(type: number): void {
    this.#field = 'event'
    this.#type = type
    this.#flags = 0
    this.#code = 0
    this.#strings.clear()
    this.#exactBytes = -1
    this.#time = this.#options.clock()
  }

  #prepare(name: RecordName, input: unknown): void {
    this.#reset(TYPES[name])
    if (name === 'reopen') {
      this.#fixedBytes = RECORD_HEADER_BYTES
      return
    }
    if (name === 'request') this.#prepareRequest(fieldsOf(REQUEST_FIELDS, input))
    else if (name === 'started') this.#prepareStarted(fieldsOf(STARTED_FIELDS, input))
    else if (name === 'warning') this.#prepareWarning(fieldsOf(WARNING_FIELDS, input))
    else if (name === 'exit') this.#prepareExit(fieldsOf(EXIT_FIELDS, input))
    else this.#prepareDenial(fieldsOf(DENIAL_FIELDS, input))
  }

  #prepareRequest(event: Record<string, unknown>): void {
    this.#putParties(event)
    const matchedAcl = optionalString(this.#at('matchedAcl'), event.matchedAcl)
    this.#number0 = u64(this.#at('stdinBytes'), event.stdinBytes)
    this.#number1 = u32(this.#at('timeoutMs'), event.timeoutMs)
    this.#putStrings(event, matchedAcl)
  }

  #prepareStarted(event: Record<string, unknown>): void {
    this.#putRequestId(event)
    this.#number0 = u32(this.#at('pid'), event.pid)
    this.#fixedBytes = STARTED_BYTES
  }

  #prepareWarning(event: Record<string, unknown>): void {
    this.#putRequestId(event)
    this.#code = nameCode(this.#at('kind'), KIND_CODES, event.kind)
    const bytes = optionalU64(this.#at('bytes'), event.bytes)
    this.#flags = bytes === null ? 0 : FLAG_BYTES
    this.#number0 = bytes ?? 0
    this.#fixedBytes = WARNING_BYTES
  }

  #prepareExit(event: Record<string, unknown>): void {
    this.#putRequestId(event)
    const code = optionalI32(this.#at('code'), event.code)
    const signal = optionalSignal(this.#at('signal'), event.signal)
    this.#number0 = u64(this.#at('durationMs'), event.durationMs)
    this.#number1 = u64(this.#at('stdoutBytes'), event.stdoutBytes)
    this.#number2 = u64(this.#at('stderrBytes'), event.stderrBytes)
    const isTruncated = boolean(this.#at('truncated'), event.truncated)
    this.#code32 = code ?? 0
    this.#signal32 = signal ?? 0
    this.#flags =
      (code === null ? 0 : FLAG_EXIT_CODE) |
      (signal === null ? 0 : FLAG_EXIT_SIGNAL) |
      (isTruncated ? FLAG_TRUNCATED : 0)
    this.#fixedBytes = EXIT_BYTES
  }

  #prepareDenial(event: Record<string, unknown>): void {
    this.#putParties(event)
    this.#code = nameCode(this.#at('reason'), REASON_CODES, event.reason)
    this.#putStrings(event, null)
  }

  #putRequestId(event: Record<string, unknown>): void {
    putId(this.#ids, 0, REQUEST_ID_BYTES, this.#at('requestId'), event.requestId)
  }

  #putParties(event: Record<string, unknown>): void {
    this.#putRequestId(event)
    const agentAt = AGENT_ID_OFFSET - REQUEST_ID_OFFSET
    putId(this.#ids, agentAt, PARTY_ID_BYTES, this.#at('agentId'), event.agentId)
    const machineAt = MACHINE_ID_OFFSET - REQUEST_ID_OFFSET
    putId(this.#ids, machineAt, PARTY_ID_BYTES, this.#at('machineId'), event.machineId)
  }

  readonly #noteField = (field: string): void => {
    this.#field = field
  }

  /** Notes the field that is read next, and returns its name. Must be called before its value is read. */
  #at(field: string): string {
    this.#field = field
    return field
  }

  /** Keeps `matchedAcl`, argv, redacted and cut to size, and the context in one run. */
  #putStrings(event: Record<string, unknown>, matchedAcl: string | null): void {
    this.#field = 'context'
    const context = contextStrings(event.context, this.#noteField)
    this.#hasRule = matchedAcl !== null
    this.#contextEntries = context.length >> 1
    this.#field = 'argv'
    const given = event.argv
    if (matchedAcl !== null) this.#strings.append(matchedAcl)
    if (this.#options.redact !== undefined || !this.#tryAppendAll(given, context)) {
      const argv = redactArgv(strings('argv', given), this.#options)
      const kept = cutToSize(argv, { matchedAcl, context }, this.#options.maxEventBytes)
      this.#strings.clear()
      this.#strings.appendAll(matchedAcl === null ? kept : [matchedAcl, ...kept])
    }
    if (context.length > 0) this.#strings.appendAll(context)
    this.#fixedBytes = STRING_LENGTHS_OFFSET + this.#strings.count * STRING_LENGTH_BYTES
  }

  /** Appends argv without a copy of it, if it is sure to fit. */
  #tryAppendAll(value: unknown, context: readonly string[]): boolean {
    const argv = array('argv', value)
    let room = Math.min(this.#options.maxEventBytes, LINE_SAFE_BYTES) - STRING_LENGTHS_OFFSET
    room -= STRING_LENGTH_BYTES + this.#strings.text.length * UTF8_BYTES_PER_UNIT
    if (context.length > 0) {
      room -= context.length * STRING_LENGTH_BYTES + unitsOf(context) * UTF8_BYTES_PER_UNIT
    }
    return this.#strings.tryAppendAll('argv', argv, room)
  }

  /** An error that names the field, for one that was thrown while the field was read. */
  #named(thrown: unknown): unknown {
    if (isInvalidEvent(thrown)) return thrown
    const text = `${this.#field}: expected a readable value, but reading it threw`
    return invalidEvent(new TypeError(text, { cause: thrown }), this.#field)
  }
}
