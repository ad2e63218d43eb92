import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { constants } from 'node:os'
import fc from 'fast-check'
import { DENIAL_REASONS, type EventName, WARNING_KINDS } from '../../../src/format/events'
import type { AuditLine } from '../../../src/format/line'
import { serialize } from '../../../src/format/serialize-line'
import { CorruptRecordError, decode } from '../../../src/writer/record/decode'
import { EventEncoder } from '../../../src/writer/record/encode'
import * as layout from '../../../src/writer/record/record-layout'
import * as header from '../../../src/writer/ring/record-header'
import { seeded } from '../../support/seed'

const RUNS = 5_000
const FILL = 0xa5
const GUARD_BYTES = 64
const MAX_EVENT_BYTES = 16 * 1024 * 1024
/** The room in the record for the last element of a cut argv. */
const CUT_MARK_BYTES_MAX = 256
const U32_MAX = 2 ** 32 - 1
const U64_MAX = 2n ** 64n - 1n

/** A field in one of the forms a caller may give it in, and as it stands in the line. */
interface Given {
  readonly input: unknown
  readonly line: unknown
}
/** An event as a caller gives it at `time`, and its line. */
interface Sample {
  readonly name: EventName
  readonly time: number
  readonly input: object
  readonly line: object
}
type Field = readonly [inputKey: string, lineKey: string, values: fc.Arbitrary<Given>]

const asIs = (value: unknown): Given => ({ input: value, line: value })

/** A string as it stands in the line: a lone surrogate is U+FFFD, as in UTF-8. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}

function id(byteLength: number): fc.Arbitrary<Given> {
  const bytes = fc.uint8Array({ minLength: byteLength, maxLength: byteLength })
  return fc.tuple(bytes, fc.nat(3)).map(([given, form]) => {
    const line = Buffer.from(given).toString('hex')
    const mixed = line.replace(/b|d|f/g, (digit) => digit.toUpperCase())
    return { input: [given, line, line.toUpperCase(), mixed][form], line }
  })
}

const safeInteger = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, U32_MAX, 2 ** 32, 2 ** 53 - 1))
const U64_EDGES = [0n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, U64_MAX]
const bigU64 = fc.oneof(fc.bigInt({ min: 0n, max: U64_MAX }), fc.constantFrom(...U64_EDGES))
const u64 = fc.oneof(
  safeInteger.map(asIs),
  bigU64.map((input) => ({ input, line: input < 2n ** 53n ? Number(input) : input })),
)
const u32 = fc.oneof(fc.nat(U32_MAX), fc.constantFrom(0, 2 ** 31, U32_MAX)).map(asIs)
const i32 = fc.oneof(fc.integer(), fc.constantFrom(-(2 ** 31), -1, 0, 2 ** 31 - 1)).map(asIs)
const absent = fc.constantFrom({ input: null, line: null }, { input: undefined, line: null })
const SIGNALS = Object.entries(constants.signals).map(([input, line]) => ({ input, line }))
const signal = fc.oneof(i32, absent, fc.constantFrom(...SIGNALS))

/** UTF-16 units of every kind, among them halves of surrogate pairs, controls and a BOM. */
const unit = fc.oneof(
  fc.constantFrom('a', '"', '\\', '\0', '\n', '\x7f', 'ü', '\u2028', '\ufeff', '\uffff', '😀'),
  fc.integer({ min: 0xd800, max: 0xdfff }).map(String.fromCharCode),
  fc.nat(0xffff).map(String.fromCharCode),
)
const text = fc.string({ unit, maxLength: 12 })
const string = text.map((input) => ({ input, line: wellFormed(input) }))
const acl = fc.oneof(absent, string)
const argv = fc
  .array(text, { maxLength: 8 })
  .map((input) => ({ input, line: input.map(wellFormed) }))

const LETTERS = 'abcXYZ'
const key = fc
  .tuple(
    fc.constantFrom(...LETTERS),
    fc.string({ unit: fc.constantFrom(...LETTERS, '0', '9', '_', '.', '-'), maxLength: 5 }),
  )
  .map((parts) => parts.join(''))
const contextKey = fc.oneof(
  key,
  fc.constantFrom(
    'principal',
    'constructor',
    'toString',
    'toJSON',
    'argv',
    'stdin_bytes',
    'reason',
  ),
)
/** Entries of which an undefined value is left out; without any there is no context in the line. */
const entries = fc.uniqueArray(fc.tuple(contextKey, fc.option(text, { nil: undefined })), {
  selector: ([name]) => name,
  maxLength: 6,
})
const context = fc.oneof(
  fc.constantFrom(null, undefined).map((input) => ({ input, line: undefined })),
  entries.map((given) => {
    const there = given.flatMap(([name, value]) =>
      value === undefined ? [] : [[name, wellFormed(value)]],
    )
    const line: unknown = there.length === 0 ? undefined : Object.fromEntries(there)
    return { input: Object.fromEntries(given), line }
  }),
)

const REQUEST_ID: Field = ['requestId', 'request_id', id(16)]
const PARTIES: readonly Field[] = [
  REQUEST_ID,
  ['agentId', 'agent_id', id(32)],
  ['machineId', 'machine_id', id(32)],
  ['argv', 'argv', argv],
]
/** The fields of each event after its time, in the order of its line. */
const FIELDS: Readonly<Record<EventName, readonly Field[]>> = {
  request: [
    ...PARTIES,
    ['matchedAcl', 'matched_acl', acl],
    ['stdinBytes', 'stdin_bytes', u64],
    ['timeoutMs', 'timeout_ms', u32],
    ['context', 'context', context],
  ],
  started: [REQUEST_ID, ['pid', 'pid', u32]],
  warning: [
    REQUEST_ID,
    ['kind', 'kind', fc.constantFrom(...WARNING_KINDS).map(asIs)],
    ['bytes', 'bytes', fc.oneof(u64, absent)],
  ],
  exit: [
    REQUEST_ID,
    ['code', 'code', fc.oneof(i32, absent)],
    ['signal', 'signal', signal],
    ['durationMs', 'duration_ms', u64],
    ['stdoutBytes', 'stdout_bytes', u64],
    ['stderrBytes', 'stderr_bytes', u64],
    ['truncated', 'truncated', fc.boolean().map(asIs)],
  ],
  denial: [
    ...PARTIES,
    ['reason', 'reason', fc.constantFrom(...DENIAL_REASONS).map(asIs)],
    ['context', 'context', context],
  ],
}

function sampleOf(name: EventName): fc.Arbitrary<Sample> {
  const fields = FIELDS[name]
  return fc
    .tuple(safeInteger, fc.tuple(...fields.map((field) => field[2])))
    .map(([time, values]) => ({
      name,
      time,
      input: Object.fromEntries(fields.map(([key], i) => [key, values[i]?.input])),
      line: {
        event: name,
        ts_unix_ms: time,
        ...Object.fromEntries(fields.map(([, key], i) => [key, values[i]?.line])),
      },
    }))
}

const EVENT_NAMES: readonly EventName[] = ['request', 'started', 'warning', 'exit', 'denial']
const sample = fc.oneof(...EVENT_NAMES.map(sampleOf))

function prepared({ name, time, input }: Sample, maxEventBytes = MAX_EVENT_BYTES): EventEncoder {
  const encoder = new EventEncoder({
    maxEventBytes,
    redact: undefined,
    clock: () => time,
    withholdOnRedactError: false,
    onRedactError: () => undefined,
  })
  encoder.prepare(name, input)
  return encoder
}

/** Writes the event at `index` among bytes of {@link FILL}. */
function written(encoder: EventEncoder, index: number) {
  const record = header.recordBytes(new ArrayBuffer(index + encoder.maxBytes + GUARD_BYTES))
  record.bytes.fill(FILL)
  return { record, index, length: encoder.write(record, index) }
}

/** The line as JSON.stringify writes it, but for bigints. */
function jsonOf(line: object): string {
  const jsonValue = (value: unknown) => (typeof value === 'bigint' ? value : JSON.stringify(value))
  const members = Object.entries(line)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `"${key}":${jsonValue(value)}`)
  return `{${members.join(',')}}\n`
}

/** Decodes bytes that may be damaged; undefined if they are refused as they should be. */
function decodeDamaged(
  record: header.RecordBytes,
  index: number,
  length: number,
): AuditLine | undefined {
  try {
    return decode(record, index, length)
  } catch (thrown) {
    ok(thrown instanceof CorruptRecordError, String(thrown))
    return undefined
  }
}

function flipBit({ view }: header.RecordBytes, offset: number, bit: number): void {
  const at = offset + (bit >> 3)
  view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)))
}

/** Whether the line format allows the line's keys and values. */
function expectWellFormed(line: AuditLine): void {
  deepStrictEqual(
    Object.keys(line).slice(2),
    FIELDS[line.event].map(([, key]) => key),
  )
  ok(Number.isSafeInteger(line.ts_unix_ms) && line.ts_unix_ms >= 0)
  match(line.request_id, /^[0-9a-f]{32}$/)
  if ('agent_id' in line) match(line.agent_id + line.machine_id, /^[0-9a-f]{128}$/)
  if (line.event === 'warning') ok(WARNING_KINDS.some((kind) => kind === line.kind))
  if (line.event === 'denial') ok(DENIAL_REASONS.some((reason) => reason === line.reason))
  strictEqual(serialize(line), jsonOf(line))
}

describe('the codec', () => {
  it.each(EVENT_NAMES)('decodes every %s to the values of its line', (name) => {
    const roundTrip = fc.property(sampleOf(name), fc.nat(200), (event, index) => {
      const { record, length } = written(prepared(event), index)
      const line = decode(record, index, length)
      deepStrictEqual(line, event.line)
      strictEqual(serialize(line), jsonOf(event.line))
    })
    fc.assert(roundTrip, seeded(RUNS))
  })

  it('writes exactly as many bytes as it announces, and none of the ring', () => {
    const honest = fc.property(sample, fc.nat(200), (event, index) => {
      const encoder = prepared(event)
      const { exactBytes, maxBytes } = encoder
      const { record, length } = written(encoder, index)
      strictEqual(length, exactBytes)
      ok(exactBytes <= maxBytes)
      record.bytes.fill(FILL, index + header.TYPE_OFFSET, index + length)
      ok(record.bytes.every((byte) => byte === FILL))
      const tight = header.recordBytes(new ArrayBuffer(length))
      strictEqual(prepared(event).write(tight, 0), length)
      deepStrictEqual(decode(tight, 0, length), event.line)
    })
    fc.assert(honest, seeded(RUNS))
  })
})

/** Length in bytes of a denial's record with this argv. */
function denialBytes(argv: readonly string[]): number {
  const texts = argv.reduce((sum, argument) => sum + Buffer.byteLength(argument), 0)
  return layout.STRING_LENGTHS_OFFSET + argv.length * layout.STRING_LENGTH_BYTES + texts
}

function cutMarkOf(cut: readonly string[]): string {
  const bytes = cut.reduce((sum, argument) => sum + Buffer.byteLength(argument), 0)
  const sha256 = createHash('sha256').update(cut.join('\0'), 'utf8').digest('hex')
  return `[x0x-exec-audit: cut ${cut.length} arguments, ${bytes} bytes, sha256 ${sha256}]`
}

describe('an event larger than maxEventBytes', () => {
  const long = fc.tuple(text, fc.nat(60)).map(([part, times]) => part.repeat(times))
  const alone = sampleOf('denial').map((given) => ({
    ...given,
    input: { ...given.input, context: undefined },
  }))
  const parts = fc.tuple(alone, fc.array(long, { maxLength: 40, size: 'max' }))

  it('keeps the leading arguments that fit and states what was cut', () => {
    const outcomes = { cut: 0, whole: 0 }
    const cuts = fc.property(parts, fc.integer({ min: 1024, max: 8192 }), ([given, argv], max) => {
      const encoder = prepared({ ...given, input: { ...given.input, argv } }, max)
      const { record, index, length } = written(encoder, 8)
      const line = decode(record, index, length)
      ok(line.event === 'denial' && length <= max)
      const isWhole = denialBytes(argv) <= max
      outcomes[isWhole ? 'whole' : 'cut']++
      if (isWhole) return deepStrictEqual(line.argv, argv.map(wellFormed))
      const kept = line.argv.length - 1
      deepStrictEqual(line.argv.slice(0, kept), argv.slice(0, kept).map(wellFormed))
      strictEqual(line.argv[kept], cutMarkOf(argv.slice(kept)))
      const withNext = denialBytes(argv.slice(0, kept + 1))
      ok(withNext + CUT_MARK_BYTES_MAX > max, 'an argument was cut that would have fitted')
    })
    fc.assert(cuts, seeded(RUNS / 2))
    expect(Math.min(outcomes.cut, outcomes.whole)).toBeGreaterThan(RUNS / 20)
  })
})

describe('decode, given bytes that are no record', () => {
  it('refuses every length but the right one', () => {
    const refuses = fc.property(sample, (event) => {
      const { record, index, length } = written(prepared(event), 8)
      for (let wrong = 0; wrong <= length + GUARD_BYTES; wrong++) {
        if (wrong !== length) strictEqual(decodeDamaged(record, index, wrong), undefined)
      }
    })
    fc.assert(refuses, seeded(RUNS / 10))
  })

  it('refuses a record with a flipped bit in its counts and lengths', () => {
    const refuses = fc.property(sampleOf('request'), fc.nat(), (event, nth) => {
      const { record, index, length } = written(prepared(event), 8)
      const { TEXT_BYTES_OFFSET, STRING_COUNT_OFFSET, STRING_LENGTHS_OFFSET } = layout
      const count = record.view.getUint32(index + STRING_COUNT_OFFSET, true)
      const lengths = Array.from({ length: count }, (_, i) => STRING_LENGTHS_OFFSET + 4 * i)
      const words = [TEXT_BYTES_OFFSET, STRING_COUNT_OFFSET, ...lengths]
      flipBit(record, index + (words[nth % words.length] ?? 0), nth % 32)
      strictEqual(decodeDamaged(record, index, length), undefined)
    })
    fc.assert(refuses, seeded(RUNS))
  })

  it('refuses a record with a flag that its type does not have', () => {
    const known = { request: 1, started: 0, warning: 1, exit: 0b111, denial: 0 }
    const refuses = fc.property(sample, fc.integer({ min: 1, max: 255 }), (event, flags) => {
      const { record, index, length } = written(prepared(event), 8)
      record.view.setUint8(index + header.FLAGS_OFFSET, flags)
      const line = decodeDamaged(record, index, length)
      if ((flags & ~known[event.name]) !== 0) strictEqual(line, undefined)
    })
    fc.assert(refuses, seeded(RUNS / 10))
  })

  it('refuses a record with flipped bits, or makes a well-formed line of it', () => {
    const flips = fc.array(fc.tuple(fc.nat(140), fc.nat(7)), { minLength: 1, maxLength: 4 })
    const survives = fc.property(sample, flips, (event, flipped) => {
      const { record, index, length } = written(prepared(event), 8)
      for (const [at, bit] of flipped) {
        flipBit(record, index + header.TYPE_OFFSET + (at % (length - header.TYPE_OFFSET)), bit)
      }
      const line = decodeDamaged(record, index, length)
      if (line !== undefined) expectWellFormed(line)
    })
    fc.assert(survives, seeded(RUNS))
  })

  it('refuses random bytes, or makes a well-formed line of them', () => {
    const random = fc.uint8Array({ minLength: header.RECORD_HEADER_BYTES, maxLength: 300 })
    const survives = fc.property(random, fc.nat(8), (bytes, type) => {
      const record = header.recordBytes(new ArrayBuffer(bytes.length))
      record.bytes.set(bytes)
      record.view.setUint8(header.TYPE_OFFSET, type)
      const line = decodeDamaged(record, 0, bytes.length)
      if (line !== undefined) expectWellFormed(line)
    })
    fc.assert(survives, seeded(RUNS))
  })
})
