import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { checkLines, linesOf } from '../../bench/harness/read-back'
import type { Spread } from '../../bench/harness/statistics'
import { type AuditCall, callsOfBytes, lineOf } from '../../bench/harness/workload'
import { readmeTables, withTables } from '../../bench/report/readme'
import type { Report, Row } from '../../bench/report/report'
import { formatTargets } from '../../bench/report/targets'
import { MACHINE } from '../support/bench-machine'
import { useTempDir } from '../support/temp-dir'

const ROOT = join(__dirname, '../..')
const temp = useTempDir()

function spread(median: number, min = median, max = median): Spread {
  return { median, min, max }
}

function row(name: string, labels: Row['labels'], figures: Row['figures']): Row {
  return { name, labels, figures }
}

function reportOf(...benchmarks: (readonly [name: string, ...rows: Row[]])[]): Report {
  const sizes = { repeats: 3, ms: 1, samples: 1, isQuick: true }
  const results = benchmarks.map(([name, ...rows]) => ({ name, rows, files: [] }))
  return { machine: MACHINE, sizes, benchmarks: results }
}

const OURS = { contender: 'x0x-exec-audit' }

describe('formatTargets', () => {
  it('says by the medians which targets are reached, not reached or not measured', () => {
    const pause = { ...OURS, pauseMs: 100 }
    const report = reportOf(
      [
        'idle-call',
        row('100 ms, x0x-exec-audit', pause, {
          callTimesRaw: spread(0.2, 0.1, 0.3),
          durableTimesRaw: spread(1.61, 1.5, 1.7),
        }),
      ],
      ['idle-writer', row('one of 8', OURS, { threads: spread(1) })],
    )
    const lines = stripVTControlCharacters(formatTargets(report)).split('\n')
    expect(lines.map((line) => line.split(/ {2,}/)).slice(0, 8)).toEqual([
      ['target', 'wanted', 'aim', 'measured'],
      [
        'call after a pause of 100 ms, over raw',
        'at most 0.20 x',
        '0.08',
        '0.20 (0.10..0.30) x',
        'reached',
      ],
      [
        'durable after a pause of 100 ms, over raw',
        'at most 1.60 x',
        '1.20',
        '1.61 (1.50..1.70) x',
        'not reached',
      ],
      ["worker's CPU per event, 1,024 in flight", 'at most 1.50 us', '1.00', '-', 'not measured'],
      ['an idle writer: threads', 'at most 1.00', '-', '1.00 (1.00..1.00)', 'reached'],
      ['an idle writer: memory mb', 'at most 9.00 MB', '-', '-', 'not measured'],
      ['an idle writer: cpu percent', 'at most 0.00 %', '-', '-', 'not measured'],
      ['1,024 in flight, over before', 'at least 1.40 x', '2.00', '-', 'not measured'],
    ])
  })
})

describe('bench:compare', () => {
  const before = { p50Us: spread(10, 9, 11), maxUs: spread(50, 40, 60), syncUs: spread(5) }
  const after = { p50Us: spread(13, 11.5, 14), maxUs: spread(61, 55, 70), addedUs: spread(1) }

  it('prints the figures that moved beyond the spread, better or worse, and no others', () => {
    const old = reportOf(
      ['ack-latency', row('x0x-exec-audit', OURS, before)],
      ['throughput', row('64', OURS, { eventsPerSecond: spread(100, 90, 110) })],
    )
    const now = reportOf(
      ['ack-latency', row('x0x-exec-audit', OURS, after)],
      ['throughput', row('64', OURS, { eventsPerSecond: spread(200, 190, 210) })],
    )
    const printed = comparedBy(old, now)
    expect(printed.slice(2)).toEqual([
      'benchmark    row             figure             then               now                change',
      'ack-latency  x0x-exec-audit  p50 us             10.0 (9.00..11.0)  13.0 (11.5..14.0)  +30 % worse',
      'throughput   64              events per second  100 (90.0..110)    200 (190..210)     +100 % better',
      '',
      '2 of 3 figures moved beyond the spread.',
      '',
    ])
  })

  it('warns about what differs between the machines', () => {
    const old = reportOf()
    const now: Report = { ...old, machine: { ...old.machine, node: '22.0.0' } }
    expect(comparedBy(old, now).slice(2)).toEqual([
      'The machines differ in: node.',
      '0 of 0 figures moved beyond the spread.',
      '',
    ])
  })

  function comparedBy(old: Report, now: Report): string[] {
    const files = [temp.path('old.json'), temp.path('now.json')]
    const texts = [old, now].map((report) => JSON.stringify(report))
    files.forEach((file, i) => {
      writeFileSync(file, texts[i] ?? '')
    })
    const args = ['-r', 'esbuild-register', join('bench', 'compare.ts'), ...files]
    return execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' }).split('\n')
  }
})

describe('the tables of docs/performance.md', () => {
  const report = reportOf(
    ['ack-latency', row('raw', { contender: 'raw' }, { p50Us: spread(100), maxUs: spread(900) })],
    [
      'throughput',
      row('a', { ...OURS, eventBytes: 350, inFlight: 64 }, { eventsPerSecond: spread(5000) }),
      row('b', { ...OURS, eventBytes: 4096, inFlight: 8 }, { eventsPerSecond: spread(1) }),
    ],
    [
      'open-loop',
      row('d', { ...OURS, point: 'share', share: 0.5 }, { p99Us: spread(900) }),
      row('c', { ...OURS, point: 'share', share: 0.25 }, { p99Us: spread(210) }),
      row('e', { ...OURS, point: 'saturation' }, { achievedPerSecond: spread(9000) }),
      row('f', { ...OURS, point: 'knee' }, { ratePerSecond: spread(5000) }),
    ],
  )

  it('show the figures of the report, and leave the others blank', () => {
    expect(readmeTables(report).split('\n').slice(4)).toEqual([
      '| µs until durable, 1 in flight | p50            | p99 | p99.9 | max            |',
      '| ----------------------------- | -------------- | --- | ----- | -------------- |',
      '| raw                           | 100 (100..100) |     |       | 900 (900..900) |',
      '',
      '| durable events of 350 B per second | 64 in flight         |',
      '| ---------------------------------- | -------------------- |',
      '| x0x-exec-audit                     | 5,000 (5,000..5,000) |',
      '',
      '| µs until durable, at a quarter of the most | at most, per second  | knee, per second     | p50 | p99            | p99.9 |',
      '| ------------------------------------------ | -------------------- | -------------------- | --- | -------------- | ----- |',
      '| x0x-exec-audit                             | 9,000 (9,000..9,000) | 5,000 (5,000..5,000) |     | 210 (210..210) |       |',
      '',
      '| ns of the calling thread per event | `request`, the call | `request`, in all | `exit`, the call | `exit`, in all |',
      '| ---------------------------------- | ------------------- | ----------------- | ---------------- | -------------- |',
    ])
  })

  it('replace the text between the marks, and nothing else', () => {
    const [begin, end] = ['<!-- bench: npm run bench:peers -- --readme -->', '<!-- /bench -->']
    const text = `before\n${begin}\nold\n${end}\nafter`
    const plots = [{ name: 'a.svg', title: 'A', svg: '', isForReadme: true }]
    const tables = readmeTables(report)
    expect(withTables(text, report, plots)).toBe(
      `before\n${begin}\n\n${tables}\n\n![A](plots/a.svg)\n\n${end}\nafter`,
    )
    expect(withTables(text, report, [])).toBe(`before\n${begin}\n\n${tables}\n\n${end}\nafter`)
    expect(() => withTables('no marks', report, [])).toThrow('docs/performance.md has no')
  })
})

describe('callsOfBytes', () => {
  it.each([350, 4_096, 65_536])('makes events whose lines have exactly %i bytes', (bytes) => {
    const calls = callsOfBytes(bytes)
    expect(calls.length).toBe(64)
    expect(new Set(calls.map((call) => Buffer.byteLength(lineOf(call))))).toEqual(new Set([bytes]))
  })

  it('makes short events of about 150 bytes', () => {
    const calls = callsOfBytes(150)
    const bytes = calls.reduce((sum, call) => sum + Buffer.byteLength(lineOf(call)), 0)
    expect(Math.abs(bytes / calls.length - 150)).toBeLessThan(15)
  })
})

describe('checkLines', () => {
  const calls = callsOfBytes(350).slice(0, 3)
  const lines = calls.map(lineOf).map((line) => line.trimEnd())
  const check = (stored: string[], acknowledged: number, expected?: readonly AuditCall[]) =>
    checkLines('a', stored, { acknowledged, calls: expected, isOrdered: false })
  const [first = '', second = '', third = ''] = lines

  it('accepts the acknowledged events, in order or not', () => {
    const stored = [...lines, first]
    const found = { name: 'a', acknowledged: 4, lines: 4 }
    expect(checkLines('a', stored, { acknowledged: 4, calls, isOrdered: true })).toEqual(found)
    expect(check(stored.toReversed(), 4, calls)).toEqual(found)
  })

  it('refuses a missing, an additional, a repeated, a foreign and a misplaced event', () => {
    expect(() => check(lines, 4)).toThrow('4 events were acknowledged, 3 are stored')
    expect(() => check(lines, 2)).toThrow('2 events were acknowledged, 3 are stored')
    expect(() => check([first, second, second], 3, calls)).toThrow('2 times, 1 were acknowledged')
    expect(() => check(['{"event":"request"}'], 1)).toThrow('not an event')
    const swapped = [first, third, second]
    expect(() => checkLines('a', swapped, { acknowledged: 3, calls, isOrdered: true })).toThrow(
      "line 2 is another event's",
    )
  })

  it('refuses a file whose last line has no newline', () => {
    writeFileSync(temp.path('whole'), `${first}\n${second}\n`)
    expect([...linesOf(temp.path('whole'))]).toEqual([first, second])
    writeFileSync(temp.path('torn'), `${first}\n${second}`)
    expect(() => [...linesOf(temp.path('torn'))]).toThrow('the last line has no end')
  })
})
