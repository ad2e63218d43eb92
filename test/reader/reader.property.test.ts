import { deepStrictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import fc from 'fast-check'
import {
  type AuditRecord,
  type AuditTrail,
  DENIAL_REASONS,
  type DenialEvent,
  type ExitEvent,
  type RequestEvent,
  type StartedEvent,
  WARNING_KINDS,
  type WarningEvent,
} from '../../src'
import { openLog } from '../../src/cli/shared/log-input'
import { parseLine } from '../../src/format/parse-line'
import { isProblem } from '../../src/format/records'
import { lastLinesStart } from '../../src/reader/last-lines'
import { MemoryAudit } from '../../src/testing'
import { collect, inChunks } from '../support/collect'
import { startedLine } from '../support/events'
import { openAudit } from '../support/open-audit'
import { seeded } from '../support/seed'
import { useTempDir } from '../support/temp-dir'
import { times } from '../support/times'

const dir = useTempDir()

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((id) => Buffer.from(id).toString('hex'))
/** The value as it is read back: a number if that is exact. */
const u64 = fc
  .oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.constantFrom(0n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n),
  )
  .map((value) => (value < 2n ** 53n ? Number(value) : value))
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const i32 = fc.option(fc.integer())
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.string({
    unit: fc.constantFrom('"', '\\', ',', '\n', '\0', '\u2028', '}', ']', '1'),
    maxLength: 20,
  }),
  fc.constantFrom(
    '],"matched_acl":null',
    ',"reason":"spawn_failed"}',
    ',"stdin_bytes":5',
    '12345678901234567890',
  ),
)
const argv = fc.array(text, { maxLength: 5 })
/** In a record a context is absent, never undefined; keys that are those of the line's own end. */
const context = fc.dictionary(
  fc.oneof(
    fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.-]{0,8}$/),
    fc.constantFrom('stdin_bytes', 'timeout_ms', 'reason', 'matched_acl', 'context', 'constructor'),
  ),
  text,
  { minKeys: 1, maxKeys: 4, noNullPrototype: true },
)
const parties = { requestId: hex(16), agentId: hex(32), machineId: hex(32), argv }

type Given =
  | ({ readonly event: 'request' } & RequestEvent)
  | ({ readonly event: 'started' } & StartedEvent)
  | ({ readonly event: 'warning' } & WarningEvent)
  | ({ readonly event: 'exit' } & ExitEvent)
  | ({ readonly event: 'denial' } & DenialEvent)

const PARTY_KEYS = ['event', 'requestId', 'agentId', 'machineId', 'argv'] as const
const REQUEST_KEYS = [...PARTY_KEYS, 'matchedAcl', 'stdinBytes', 'timeoutMs'] as const
const DENIAL_KEYS = [...PARTY_KEYS, 'reason'] as const

const event: fc.Arbitrary<Given> = fc.oneof(
  fc.record(
    {
      ...{ event: fc.constant('request' as const), ...parties, matchedAcl: fc.option(text) },
      ...{ stdinBytes: u64, timeoutMs: u32, context },
    },
    { requiredKeys: [...REQUEST_KEYS] },
  ),
  fc.record({ event: fc.constant('started' as const), requestId: hex(16), pid: u32 }),
  fc.record({
    ...{ event: fc.constant('warning' as const), requestId: hex(16) },
    ...{ kind: fc.constantFrom(...WARNING_KINDS), bytes: fc.option(u64) },
  }),
  fc.record({
    ...{ event: fc.constant('exit' as const), requestId: hex(16), code: i32, signal: i32 },
    ...{ durationMs: u64, stdoutBytes: u64, stderrBytes: u64, truncated: fc.boolean() },
  }),
  fc.record(
    {
      ...{ event: fc.constant('denial' as const), ...parties },
      ...{ reason: fc.constantFrom(...DENIAL_REASONS), context },
    },
    { requiredKeys: [...DENIAL_KEYS] },
  ),
)

/** Records an event, or one that was read back, by its own fields. */
function record(audit: AuditTrail, given: Given | AuditRecord): Promise<string> {
  const read = ['event', 'tsUnixMs', 'line', 'offset', 'length']
  const fields = Object.entries(given).filter(([name]) => !read.includes(name))
  return Reflect.apply(audit[given.event], audit, [Object.fromEntries(fields)])
}

function withoutPlace({ line, offset, length, ...event }: AuditRecord): object {
  return event
}

describe('readAudit', () => {
  it('returns the events that the real writer recorded, whatever the chunks', async () => {
    const { seed } = seeded(1)
    const given = fc.sample(event, { seed, numRuns: 2_000 })
    const path = dir.path('exec.log')
    const { audit } = openAudit(path, { clock: () => 5, failureMode: 'closed' })
    await Promise.all(given.map((one) => record(audit, one)))
    const expected = given.map(({ event, ...fields }) => ({ event, tsUnixMs: 5, ...fields }))
    const { events, problems } = await collect(path)
    deepStrictEqual([events.map(withoutPlace), problems], [expected, []])
  })

  it('returns events and problems at their places, whatever the chunks', async () => {
    const garbage = fc.oneof(
      fc.constantFrom('', '', 'x', '{"event":"', '{}', '\r', '\0', startedLine(1).slice(1, 50)),
      fc.string({ unit: 'binary', maxLength: 30 }).map((line) => line.replaceAll('\n', '')),
    )
    const line = fc.oneof(fc.constant(undefined), event, event)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(line, garbage), { maxLength: 12 }),
        fc.integer({ min: 1, max: 64 }),
        fc.boolean(),
        async (rows, size, isEnded) => {
          const memory = new MemoryAudit()
          for (const [given] of rows) if (given) await record(memory, given)
          const written = [...memory.lines]
          const lines = rows.map(([given, other]) => (given ? written.shift() : other) ?? '')
          const bytes = Buffer.from(lines.join('\n') + (isEnded ? '\n' : ''))
          const whole = await collect(inChunks(bytes, Math.max(1, bytes.length)))
          deepStrictEqual(await collect(inChunks(bytes, size)), whole)
          for (const { offset, length, line } of [...whole.events, ...whole.problems]) {
            const there = bytes.subarray(offset, offset + length)
            deepStrictEqual(there.toString(), Buffer.from(lines[line - 1] ?? '').toString())
          }
          const blank = lines.filter((text) => text === '').length
          deepStrictEqual(whole.events.length + whole.problems.length, lines.length - blank)
        },
      ),
      seeded(times('CHUNKINGS', 100, 2_000)),
    )
  })

  it('returns no event, or another one, if any one byte of a line is changed, missing or doubled', () => {
    fc.assert(
      fc.property(event, fc.nat(), fc.nat(127), fc.nat(2), (given, where, byte, how) => {
        const memory = new MemoryAudit()
        void record(memory, given)
        const line = memory.lines[0] ?? ''
        const at = where % line.length
        const put = [String.fromCharCode(byte), '', `${line[at]}${line[at]}`][how] ?? ''
        const changed = line.slice(0, at) + put + line.slice(at + 1)
        const parsed = parseLine(changed)
        // Either it is reported, or it is another event, whose line is exactly this one.
        if (isProblem(parsed)) return
        deepStrictEqual(lineOf(parsed), changed)
      }),
      seeded(times('CHANGED_BYTES', 2_000, 100_000)),
    )
  })
})

/** The record's line by the writer's own code. */
function lineOf(parsed: AuditRecord): string | undefined {
  const memory = new MemoryAudit({ clock: () => parsed.tsUnixMs })
  void record(memory, parsed)
  return memory.lines[0]
}

describe('lastLinesStart', () => {
  it('finds the start of the last lines, as counting from the start does', async () => {
    const path = dir.path('exec.log')
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(0, 1, 5, 70_000), { maxLength: 8 }),
        fc.boolean(),
        fc.nat(9),
        async (lengths, isEnded, count) => {
          const lines = lengths.map((length) => 'x'.repeat(length))
          const bytes = lines.join('\n') + (isEnded && lines.length > 0 ? '\n' : '')
          writeFileSync(path, bytes)
          const whole = bytes.split('\n').slice(0, -1)
          const before = whole.slice(0, Math.max(0, whole.length - count))
          const expected = before.reduce((sum, line) => sum + line.length + 1, 0)
          const handle = await openLog(path)
          try {
            deepStrictEqual(await lastLinesStart(handle, bytes.length, count), expected)
          } finally {
            await handle.close()
          }
        },
      ),
      seeded(times('LAST_LINES', 200, 3_000)),
    )
  })
})
