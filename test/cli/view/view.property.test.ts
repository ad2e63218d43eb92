import { deepStrictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { MemoryAudit } from '../../../src/testing'
import { runCli } from '../../support/cli'
import {
  denialEvent,
  exitEvent,
  requestEvent,
  startedEvent,
  warningEvent,
} from '../../support/events'
import { seeded } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const dir = useTempDir()

const IDS = ['00', '01', '10', 'ab'].map((byte) => byte.repeat(16))
const PARTIES = ['a1', 'a2', 'b1'].map((byte) => byte.repeat(32))
const EVENTS = ['request', 'started', 'warning', 'exit', 'denial'] as const

/** One event in the log: when, what, of which request, by whom, and with which outcome. */
const row = fc.record({
  ms: fc.nat(50),
  event: fc.constantFrom(...EVENTS),
  requestId: fc.constantFrom(...IDS),
  agentId: fc.constantFrom(...PARTIES),
  machineId: fc.constantFrom(...PARTIES),
  word: fc.constantFrom('ls', 'rm -rf', 'LS'),
  code: fc.constantFrom(0, 1, null),
  signal: fc.constantFrom(null, 9),
  reason: fc.constantFrom('spawn_failed' as const, 'exec_disabled' as const),
})
type Row = typeof row extends fc.Arbitrary<infer Value> ? Value : never

const asked = fc
  .record(
    {
      since: fc.nat(50),
      until: fc.nat(50),
      event: fc.subarray([...EVENTS], { minLength: 1 }),
      agent: fc.constantFrom('a', 'a1', 'B'),
      machine: fc.constantFrom('a', 'a2', 'b1'),
      request: fc.constantFrom('0', '00', 'AB', IDS[1] ?? ''),
      denied: fc.constant(true as const),
      failed: fc.constant(true as const),
      grep: fc.constantFrom('ls', 'rm -', '^LS x$', '"pid":'),
      ignoreCase: fc.constant(true as const),
      lines: fc.nat(6),
    },
    { requiredKeys: [] },
  )
  // A time that ends before it begins is refused.
  .filter(({ since = 0, until = 50 }) => since <= until)
type Asked = typeof asked extends fc.Arbitrary<infer Value> ? Value : never

/** The lines of the rows, by the writer's own code. */
function linesOf(rows: readonly Row[]): readonly string[] {
  let now = 0
  const audit = new MemoryAudit({ clock: () => now })
  for (const { ms, event, requestId, agentId, machineId, word, code, signal, reason } of rows) {
    now = ms
    const parties = { requestId, agentId, machineId, argv: [word, 'x'] }
    if (event === 'request') void audit.request(requestEvent(parties))
    else if (event === 'started') void audit.started(startedEvent({ requestId }))
    else if (event === 'warning') void audit.warning(warningEvent({ requestId }))
    else if (event === 'exit') void audit.exit(exitEvent({ requestId, code, signal }))
    else void audit.denial(denialEvent({ ...parties, reason }))
  }
  return audit.lines
}

/** What is asked for, found the simple way. */
function naive(rows: readonly Row[], lines: readonly string[], ask: Asked): string[] {
  const begins = (id: string | undefined, prefix: string | undefined) =>
    prefix === undefined || id?.startsWith(prefix.toLowerCase()) === true
  const grep = ask.grep === undefined ? undefined : new RegExp(ask.grep, ask.ignoreCase ? 'i' : '')
  const found = lines.filter((line, i) => {
    const one = rows[i]
    if (one === undefined) return false
    const hasParties = (row: Row) => row.event === 'request' || row.event === 'denial'
    const asker = rows
      .slice(0, i + 1)
      .findLast((row) => hasParties(row) && row.requestId === one.requestId)
    const isFailed =
      (one.event === 'exit' && !(one.code === 0 && one.signal === null)) ||
      (one.event === 'denial' && one.reason === 'spawn_failed')
    return (
      one.ms >= (ask.since ?? 0) &&
      one.ms <= (ask.until ?? 1_000) &&
      (ask.event === undefined || ask.event.includes(one.event)) &&
      begins(asker?.agentId, ask.agent) &&
      begins(asker?.machineId, ask.machine) &&
      begins(one.requestId, ask.request) &&
      (!ask.denied || one.event === 'denial') &&
      (!ask.failed || isFailed) &&
      (grep === undefined || grep.test(line) || (hasParties(one) && grep.test(`${one.word} x`)))
    )
  })
  return ask.lines === undefined ? found : found.slice(Math.max(0, found.length - ask.lines))
}

function argsOf({ event, denied, failed, ignoreCase, since, until, ...rest }: Asked): string[] {
  const time = (ms: number) => new Date(ms).toISOString()
  return [
    ...Object.entries(rest).map(([name, value]) => `--${name}=${value}`),
    ...(since === undefined ? [] : ['--since', time(since)]),
    ...(until === undefined ? [] : ['--until', time(until)]),
    ...(event === undefined ? [] : ['--event', event.join(',')]),
    ...(denied ? ['--denied'] : []),
    ...(failed ? ['--failed'] : []),
    ...(ignoreCase ? ['-i'] : []),
  ]
}

describe('view', () => {
  it('shows what a naive filter finds, from one file, from two, and from standard input', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 30, size: 'max' }),
        asked,
        fc.nat(),
        async (rows, ask, cut) => {
          const lines = linesOf(rows)
          const text = lines.map((line) => `${line}\n`)
          const at = cut % (lines.length + 1)
          const files = ['all.log', 'old.log', 'new.log'].map((name) => dir.path(name))
          const texts = [text, text.slice(0, at), text.slice(at)]
          files.forEach((file, i) => void writeFileSync(file, texts[i]?.join('') ?? ''))
          const args = ['view', '-o', 'raw', ...argsOf(ask)]
          const expected = naive(rows, lines, ask).map((line) => `${line}\n`)
          const isNothing = expected.length === 0 && ask.lines !== 0
          const end = { code: 0, stdout: expected.join(''), isNothing }
          const [all = '', ...parts] = files
          const found = await Promise.all([
            runCli([...args, all]),
            runCli([...args, ...parts]),
            runCli([...args, '-'], text.join('')),
          ])
          const ends = found.map(({ code, stdout, stderr }) => {
            return {
              code,
              stdout,
              isNothing: /^x0x-exec-audit: nothing found; searched .*\n$/.test(stderr),
            }
          })
          deepStrictEqual(ends, [end, end, end])
        },
      ),
      seeded(times('FILTERS', 4, 40)),
    )
  }, 180_000)
})
