import { writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import fc from 'fast-check'
import { skim, skimStream } from '../../../src/cli/shared/skim'
import { LineSplitter } from '../../../src/reader/line-splitter'
import { startedLine } from '../../support/events'
import { seeded } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { lineText } from '../../support/verified'

const dir = useTempDir()
const SINCE_MS = 1_000_000
const ID = 'ab'.repeat(16)

/** How a clock goes on from line to line: mostly a little, now and then by years, and back again. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.nat(50_000) },
  { weight: 1, arbitrary: fc.integer({ min: -50_000, max: 0 }) },
  { weight: 1, arbitrary: fc.constantFrom(3e11, -3e11, -400_000, 400_000) },
)

/** What stands beside events in a log. */
const OTHERS = [
  '',
  '{}',
  'plain text',
  '{"event":"exit"',
  `{"event":"exit","ts_unix_ms":2000000,"requ`,
  `{"event":"started","ts_unix_ms":2000000,"request_id":"${ID}","pid":"x"}`,
  `{"event":"started","ts_unix_ms":09,"request_id":"${ID}","pid":1}`,
  `{"event":"started","ts_unix_ms":10000000000000000000,"request_id":"${ID}","pid":1}`,
  `{"ts_unix_ms":2000000,"event":"started","request_id":"${ID}","pid":1}`,
  'ü\ufffd',
]

const line = fc.oneof(
  { weight: 12, arbitrary: step.map((ms) => ({ ms })) },
  { weight: 1, arbitrary: fc.constantFrom(...OTHERS).map((other) => ({ other })) },
)

function textOf(lines: readonly ({ ms: number } | { other: string })[], end: string): string {
  let now = 500_000
  const texts = lines.map((each) => {
    if ('other' in each) return each.other
    now = Math.max(0, now + each.ms)
    return lineText('started', ID, now, { pid: 1 })
  })
  return texts.length === 0 ? '' : texts.join('\n') + end
}

/** The same place, found by reading every line. */
function naive(bytes: Buffer) {
  const entries = new LineSplitter(2 ** 20).push(bytes)
  const wanted = entries.find(({ record }) => record !== undefined && record.tsUnixMs >= SINCE_MS)
  const endOffset = bytes.lastIndexOf('\n') + 1
  const endLine = bytes.toString().split('\n').length
  return {
    offset: wanted?.record?.offset ?? endOffset,
    line: wanted?.record?.line ?? endLine,
  }
}

/** The bytes in pieces, each overwritten by the next one, as the reader gives them. */
async function* piecesOf(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  const piece = Buffer.alloc(size)
  for (let at = 0; at < bytes.length; at += size) {
    yield piece.subarray(0, bytes.copy(piece, 0, at, at + size))
  }
}

async function skimmed(bytes: Buffer) {
  writeFileSync(dir.path('exec.log'), bytes)
  let problems = 0
  const handle: FileHandle = await open(dir.path('exec.log'))
  try {
    const found = await skim(handle, SINCE_MS, () => problems++)
    return { found, problems }
  } finally {
    await handle.close()
  }
}

describe('skimming a log for a time', () => {
  it('finds the first event from it on, however the clock has jumped, and nothing before it is one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 60, size: 'max' }),
        fc.constantFrom('\n', '\n{"event":"exit","ts_un', ''),
        async (lines, end) => {
          const bytes = Buffer.from(textOf(lines, end))
          const { found } = await skimmed(bytes)
          const { offset, line: number } = naive(bytes)
          // Lines that are broken in the middle pass for events that are none; an early stop at one is no loss.
          expect(found.offset).toBeLessThanOrEqual(offset)
          const passed = new LineSplitter(2 ** 20).push(bytes.subarray(0, found.offset))
          expect(passed.filter(({ record }) => (record?.tsUnixMs ?? 0) >= SINCE_MS)).toEqual([])
          if (found.offset === offset) expect(found.line).toBe(number)
        },
      ),
      seeded(times('SKIMS', 500, 20_000)),
    )
  })

  it('finds the same place in a stream, whatever its pieces, and keeps the end of what it passes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 60, size: 'max' }),
        fc.constantFrom('\n', '\n{"event":"exit","ts_un', ''),
        fc.integer({ min: 1, max: 3_000 }),
        fc.nat(3_000),
        async (lines, end, size, keptBytes) => {
          const bytes = Buffer.from(textOf(lines, end))
          const { found, problems } = await skimmed(bytes)
          const pieces = piecesOf(bytes, size)
          let streamProblems = 0
          const task = { sinceMs: SINCE_MS, keptBytes }
          const stream = await skimStream(pieces, task, () => streamProblems++)
          expect([{ ...stream.skimmed }, streamProblems]).toEqual([{ ...found }, problems])
          const { offset } = stream.skimmed
          expect(stream.before).toEqual(bytes.subarray(Math.max(0, offset - keptBytes), offset))
          const rest = [stream.next]
          for await (const piece of pieces) rest.push(Buffer.from(piece))
          expect(Buffer.concat(rest)).toEqual(bytes.subarray(offset))
        },
      ),
      seeded(times('SKIMS', 300, 5_000)),
    )
  })

  it('counts what it passes over, and reports what is no event', async () => {
    const texts = [900_000, 100, 999_999].map((ms) => lineText('exit', ID, ms, {}))
    const bytes = Buffer.from(
      [texts[0], 'plain', texts[1], '', texts[2], startedLine(1)].join('\n'),
    )
    const { found, problems } = await skimmed(Buffer.concat([bytes, bytes]))
    expect(found).toMatchObject({ events: 8, firstMs: 0, lastMs: 999_999, line: 13 })
    expect(problems).toBe(2)
  })

  it('stops at an event from that time on, at its first millisecond', async () => {
    const texts = [999_999, 1_000_000, 5].map((ms) => lineText('started', ID, ms, { pid: 1 }))
    const { found } = await skimmed(Buffer.from(`${texts.join('\n')}\n`))
    expect(found).toMatchObject({ offset: (texts[0]?.length ?? 0) + 1, line: 2, events: 1 })
  })

  it('stops at a line that is longer than it looks at in one piece', async () => {
    const first = `${lineText('started', ID, 5, { pid: 1 })}\n`
    const long = `${first}${'x'.repeat(3 * 2 ** 20)}\n${first}`
    const { found } = await skimmed(Buffer.from(long))
    expect(found).toMatchObject({ offset: first.length, line: 2, events: 1 })
    const task = { sinceMs: SINCE_MS, keptBytes: 10 }
    const pieces = piecesOf(Buffer.from(long), 2 ** 18)
    const { skimmed: passed, before, next } = await skimStream(pieces, task, () => undefined)
    expect(passed).toMatchObject({ offset: first.length, line: 2, events: 1 })
    expect([before.toString(), next.length]).toEqual([
      first.slice(-10),
      2 ** 20 + 2 ** 18 - first.length,
    ])
  })
})
