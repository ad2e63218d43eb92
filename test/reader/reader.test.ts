import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { gzipSync } from 'node:zlib'
import { AuditReadError, followAudit, readAudit } from '../../src'
import { LineSplitter } from '../../src/reader/line-splitter'
import { MAX_LINE_BYTES, readBatches } from '../../src/reader/read-audit'
import { runChild } from '../support/children/run-child'
import { collect, inChunks } from '../support/collect'
import { startedLine, startedLines } from '../support/events'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()

function file(content: string | Buffer): string {
  const path = dir.path('exec.log')
  writeFileSync(path, content)
  return path
}

const pids = (events: readonly object[]) =>
  events.map((event) => ('pid' in event ? event.pid : undefined))
const openFiles = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(join('/proc/self/fd', fd)).endsWith('exec.log')
    } catch {
      return false
    }
  })

interface GoldenRow {
  readonly call: Readonly<Record<string, unknown>>
  readonly line: string
}

describe('readAudit', () => {
  it('reads the 400 lines of the reference back as they were given', async () => {
    const rows = readFileSync(join(__dirname, '../fixtures/exec-audit.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((row): GoldenRow => JSON.parse(row))
    const { events, problems } = await collect(file(rows.map(({ line }) => `${line}\n`).join('')))
    expect(problems).toEqual([])
    let offset = 0
    const expected = rows.map(({ call, line }, i) => {
      const { method, ...fields } = call
      const { ts_unix_ms: tsUnixMs }: { ts_unix_ms: number } = JSON.parse(line)
      const length = Buffer.byteLength(line)
      const place = { line: i + 1, offset, length }
      offset += length + 1
      return {
        event: method,
        tsUnixMs,
        ...Object.fromEntries(Object.entries(fields).map(read)),
        ...place,
      }
    })
    expect(events).toEqual(expected)
  })

  it('takes a path, a URL, a stream, chunks of any size, and a compressed file', async () => {
    const text = startedLines(50)
    const path = file(text)
    const { events } = await collect(path)
    expect(pids(events)).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect((await collect(pathToFileURL(path))).events).toEqual(events)
    expect((await collect(Readable.from([Buffer.from(text)]))).events).toEqual(events)
    expect((await collect(inChunks(Buffer.from(text), 7))).events).toEqual(events)
    const half = Math.floor(text.length / 2)
    const packed = Buffer.concat([gzipSync(text.slice(0, half)), gzipSync(text.slice(half))])
    expect((await collect(file(packed))).events).toEqual(events)
  })

  it('cuts lines right wherever a chunk ends', () => {
    const rows = readFileSync(join(__dirname, '../fixtures/exec-audit.jsonl'), 'utf8').split('\n')
    // With escapes, or with characters of two to four bytes.
    const lines = rows
      .slice(0, -1)
      .map((row): GoldenRow => JSON.parse(row))
      .map(({ line }) => line)
      .filter((line) => /\\|[^ -~]/.test(line))
      .slice(0, 4)
    const bytes = Buffer.from(`${lines.join('\n')}\n\n{"ev\nü😀\n${startedLine(1)}{"event"`)
    const read = (...parts: Buffer[]) => {
      const splitter = new LineSplitter(MAX_LINE_BYTES)
      const entries = parts.flatMap((part) => splitter.push(Buffer.from(part)))
      return [...entries, splitter.end()]
    }
    const whole = read(bytes)
    expect(whole.map((entry) => entry?.problem?.kind)).toEqual([
      ...lines.map(() => undefined),
      ...['torn', 'foreign', undefined, 'torn'],
    ])
    const wrong = Array.from({ length: bytes.length }, (_, cut) => cut).filter(
      (cut) => !isDeepStrictEqual(read(bytes.subarray(0, cut), bytes.subarray(cut)), whole),
    )
    expect(wrong).toEqual([])
  })

  it('skips blank lines, counts them, and reports each broken line at its place', async () => {
    const bytes = Buffer.concat([
      Buffer.from(`\n${startedLine(1)}\n\nhello\n`),
      Buffer.from([0x22, 0xff, 0x22, 10]),
      Buffer.from(`${'x'.repeat(200)}\n${startedLine(2)}`),
    ])
    const { events, problems } = await collect(file(bytes), { maxLineBytes: 150 })
    const first = startedLine(1).length
    expect(events.map(({ line, offset, length }) => [line, offset, length])).toEqual([
      [2, 1, first - 1],
      [8, first + 3 + 6 + 4 + 201, first - 1],
    ])
    expect(problems).toEqual(
      [
        {
          ...{ kind: 'foreign', line: 5, offset: first + 3, length: 5, isIncomplete: false },
          ...{ field: undefined, message: 'it is no JSON', excerpt: 'hello' },
        },
        {
          ...{ kind: 'not-utf8', line: 6, offset: first + 9, length: 3, isIncomplete: false },
          ...{ field: undefined, message: 'bytes that are no UTF-8', excerpt: '"\ufffd"' },
        },
        {
          ...{
            kind: 'too-long',
            line: 7,
            offset: first + 13,
            length: 200,
            isIncomplete: false,
          },
          field: undefined,
          message: 'longer than 150 bytes (maxLineBytes), skipped',
          excerpt: '',
        },
      ].map((problem) => ({ ...problem })),
    )
    let blank = 0
    for await (const { blankLines } of readBatches(dir.path('exec.log'))) blank = blankLines
    expect(blank).toBe(3)
  })

  it('reports a last line without a newline as torn, whole or not', async () => {
    const line = startedLine(1).trimEnd()
    const reported = async (text: string) =>
      (await collect(file(text))).problems.map(({ kind, isIncomplete, message, offset }) => [
        kind,
        isIncomplete,
        message,
        offset,
      ])
    expect(await reported(`${line}\n${line.slice(0, 30)}`)).toEqual([
      ['torn', true, 'incomplete: a fragment of an event', line.length + 1],
    ])
    expect(await reported(line)).toEqual([
      ['torn', true, 'incomplete: a whole event, but for its newline', 0],
    ])
    expect(await reported('')).toEqual([])
  })

  it("throws the first problem with onProblem 'throw', and closes the file", async () => {
    const path = file(`${startedLine(1)}hello\n`)
    const reading = collect(path, { onProblem: 'throw' })
    await expect(reading).rejects.toThrow(
      new AuditReadError({
        ...{ kind: 'foreign', line: 2, offset: startedLine(1).length, length: 5 },
        ...{ isIncomplete: false, field: undefined, message: 'it is no JSON', excerpt: 'hello' },
      }),
    )
    expect(openFiles()).toEqual([])
  })

  it('leaves no descriptor open when the loop is left', async () => {
    const path = file(startedLines(20_000))
    for await (const { line } of readAudit(path)) {
      expect(openFiles()).toHaveLength(1)
      if (line === 3) break
    }
    expect(openFiles()).toEqual([])
  })

  it('ends with the reason of its signal, also while a stream is silent', async () => {
    const controller = new AbortController()
    const stream = new PassThrough()
    stream.write(startedLine(1))
    const reading = readAudit(stream, { signal: controller.signal })
    expect((await reading.next()).value).toMatchObject({ pid: 1 })
    const next = reading.next()
    controller.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
    await expect(collect(file(''), { signal: controller.signal })).rejects.toThrow('enough')
  })

  it('warns about the first ten problems without onProblem', async () => {
    const script = `
const { readAudit } = require(${JSON.stringify(join(__dirname, '../../dist'))})
process.on('warning', ({ name, message }) => console.log(name + ': ' + message))
void (async () => { for await (const _ of readAudit(path)) throw new Error('no event here') })()
`
    const { stdout } = await runChild(script, [file('x\n'.repeat(12))])
    expect(stdout.trimEnd().split('\n')).toEqual(
      Array.from({ length: 10 }, (_, i) => {
        const more = i === 9 ? ' (further ones are not reported; see onProblem)' : ''
        return `ExecAuditWarning: exec audit: line ${i + 1} at byte ${i * 2}: foreign: it is no JSON${more}`
      }),
    )
  })

  it('refuses a source that it cannot read', async () => {
    await expect(collect('/nowhere/exec.log')).rejects.toThrow('ENOENT')
    await expect(collect(file(''), { maxLineBytes: 0 })).rejects.toThrow(
      'maxLineBytes: expected an integer from 1 to 536870880, got the number 0',
    )
    await expect(collect(Readable.from(['text']))).rejects.toThrow(
      'source: expected chunks of bytes (Uint8Array), got string',
    )
  })

  it('refuses an unknown option, and names the nearest', async () => {
    const options = { signal: undefined, onproblem: 'throw' }
    const wrong =
      /^options\.onproblem: unknown option; did you mean onProblem\? Known are onProblem, /
    await expect(readAudit(dir.path('exec.log'), options).next()).rejects.toThrow(wrong)
    expect(() => followAudit(dir.path('exec.log'), options)).toThrow(wrong)
  })
})

function read([name, value]: [string, unknown]): [string, unknown] {
  const isU64 = /^(stdin_bytes|duration_ms|stdout_bytes|stderr_bytes|bytes)$/.test(name)
  const key = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
  if (!isU64 || typeof value !== 'string') return [key, value]
  const exact = BigInt(value)
  return [key, exact < 2n ** 53n ? Number(exact) : exact]
}
