import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { NO_NAMES } from '../../../src/cli/shared/names'
import { LogStatsCollector } from '../../../src/cli/stats/log-stats'
import { statsText } from '../../../src/cli/stats/stats-text'
import { LineSplitter } from '../../../src/reader/line-splitter'
import { painter } from '../../../src/toolkit/text/colour'
import { runCli } from '../../support/cli'
import { AGENT_ID } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'
import { lineText } from '../../support/verified'

const T0 = Date.parse('2026-11-23T10:00:00Z')
const OTHER = 'c3'.repeat(32)
const id = (n: number) => n.toString(16).padStart(32, '0')
const LINES = [
  lineText('request', id(1), T0, { argv: ['/usr/bin/git', 'log'] }),
  lineText('started', id(1), T0 + 10),
  lineText('warning', id(1), T0 + 20),
  lineText('exit', id(1), T0 + 3_000, { duration_ms: 2_990, stdout_bytes: 2_048, truncated: true }),
  lineText('request', id(2), T0 + 4_000, { argv: ['/opt/git'], agent_id: OTHER }),
  lineText('started', id(2), T0 + 4_001),
  lineText('exit', id(2), T0 + 4_010, { code: null, signal: 9, duration_ms: 9 }),
  lineText('denial', id(3), T0 + 5_000, { argv: ['rm\u001b[2J'], reason: 'argv_not_allowed' }),
  lineText('request', id(4), T0 + 6_000, { argv: ['/usr/bin/git'] }),
  lineText('denial', id(4), T0 + 6_001, { argv: ['/usr/bin/git'] }),
  'no event',
  lineText('request', id(5), T0 + 3_600_000, { argv: ['sleep'] }),
  lineText('started', id(5), T0 + 3_600_001),
  lineText('request', id(6), T0 + 3_600_002, { argv: [] }),
]
const TEXT = LINES.map((line) => `${line}\n`).join('')
const leftOut = (place: string, file: string) =>
  `x0x-exec-audit: 1 line is no event (1 foreign), at ${place}; see x0x-exec-audit verify ${file}\n`

const dir = useTempDir()
const log = () => {
  const path = dir.path('exec.log')
  writeFileSync(path, TEXT)
  return path
}

describe('stats', () => {
  it('counts what a log holds', async () => {
    const { code, stdout, stderr } = await runCli(['stats', '--utc', '--by', 'hour', log()])
    expect([code, stderr]).toEqual([
      0,
      leftOut(`${dir.path('exec.log')}:11:2323`, dir.path('exec.log')),
    ])
    expect(stdout).toBe(REPORT)
  })

  it('counts as failures what view --failed shows', async () => {
    const endings = [
      lineText('exit', id(1), T0, { code: 0, signal: null }),
      lineText('exit', id(2), T0, { code: 1, signal: null }),
      // A command that ends itself well while it is being killed.
      lineText('exit', id(3), T0, { code: 0, signal: 15 }),
      lineText('denial', id(4), T0, { reason: 'spawn_failed' }),
      lineText('denial', id(5), T0, { reason: 'argv_not_allowed' }),
    ]
    const path = dir.path('endings.log')
    writeFileSync(path, endings.map((line) => `${line}\n`).join(''))
    const shown = await runCli(['view', '--failed', '-o', 'raw', path])
    expect(shown.stdout).toBe(
      endings
        .slice(1, 4)
        .map((line) => `${line}\n`)
        .join(''),
    )
    const stats = await runCli(['stats', '--by', 'day', '--utc', '--json', path])
    const [{ denials, failures }] = JSON.parse(stats.stdout).timeline
    expect({ denials, failures }).toEqual({ denials: 2, failures: 3 })
  })

  it('prints the same figures as JSON', async () => {
    const { code, stdout } = await runCli(['stats', '--utc', '--top', '1', '--json', log()])
    const figures = JSON.parse(stdout)
    expect(code).toBe(0)
    expect(figures).toEqual({
      version: 1,
      command: 'stats',
      files: 1,
      bytes: Buffer.byteLength(TEXT),
      badLines: 1,
      repeatedLines: 0,
      timedOut: 0,
      events: [
        { name: 'request', count: 5 },
        { name: 'started', count: 3 },
        { name: 'denial', count: 2 },
        { name: 'exit', count: 2 },
        { name: 'warning', count: 1 },
      ],
      firstMs: T0,
      lastMs: T0 + 3_600_002,
      eventsPerSecond: 13 / 3_600.002,
      denials: [
        { name: 'argv_not_allowed', count: 1 },
        { name: 'spawn_failed', count: 1 },
      ],
      exits: [
        { name: 'SIGKILL', count: 1 },
        { name: 'code 0', count: 1 },
      ],
      warnings: [{ name: 'duration_approaching_cap', count: 1 }],
      agents: { names: 2, errorMax: 0, top: [{ name: AGENT_ID, count: 5, denied: 2 }] },
      commands: { names: 5, errorMax: 0, top: [{ name: '/usr/bin/git', count: 2, denied: 1 }] },
      principals: { names: 0, errorMax: 0, top: [] },
      deniedPrincipals: { names: 0, errorMax: 0, top: [] },
      deniedAgents: { names: 1, errorMax: 0, top: [{ name: AGENT_ID, denied: 2 }] },
      deniedCommands: { names: 2, errorMax: 0, top: [{ name: '/usr/bin/git', denied: 1 }] },
      durationMs: {
        ...{ count: 2, p50: 9, p90: 2_990, p99: 2_990, p999: 2_990, max: 2_990 },
        histogram: [
          ...[10, 20, 50, 100, 200, 500, 1_000, 2_000].map((upTo) => ({
            upTo,
            count: upTo === 10 ? 1 : 0,
          })),
          { upTo: 5_000, count: 1 },
        ],
      },
      output: { stdout: 2_051, stderr: 8, truncated: 1 },
      open: {
        started: 1,
        notStarted: 1,
        untracked: 0,
        oldest: [
          {
            requestId: id(5),
            agentId: AGENT_ID,
            command: 'sleep',
            tsUnixMs: T0 + 3_600_000,
            isStarted: true,
            ageMs: 2,
          },
        ],
      },
      timeline: [],
      timelineUntracked: 0,
    })
  })

  it('counts a part of the time, and knows of the ends after it', async () => {
    const until = '2026-11-23T10:00:04.001Z'
    const args = ['stats', '--json', '--since', '2026-11-23T10:00:04Z', '--until', until, log()]
    const { events, open, firstMs, lastMs } = JSON.parse((await runCli(args)).stdout)
    expect({ events, open, firstMs, lastMs }).toEqual({
      events: [
        { name: 'request', count: 1 },
        { name: 'started', count: 1 },
      ],
      open: { started: 0, notStarted: 0, untracked: 0, oldest: [] },
      firstMs: T0 + 4_000,
      lastMs: T0 + 4_001,
    })
  })

  it('distinguishes an empty argv from an empty argument, and lists no more commands than asked for', async () => {
    const denied = (n: number, argv: string[]) =>
      lineText('denial', id(n), T0, { argv, reason: 'argv_not_allowed' })
    const lines = [denied(1, []), denied(2, ['']), denied(3, ['(empty argv)']), denied(4, [])]
    const input = `${lines.join('\n')}\n`
    const { commands } = JSON.parse((await runCli(['stats', '--json', '-'], input)).stdout)
    expect(commands.top).toEqual([
      { name: null, count: 2, denied: 2 },
      { name: '', count: 1, denied: 1 },
      { name: '(empty argv)', count: 1, denied: 1 },
    ])
    const { stdout } = await runCli(['stats', '--top', '2', '-'], input)
    expect(stdout.slice(stdout.indexOf('\nCommands'))).toBe(`
Commands      asked  denied
(empty argv)      2       2
''                1       1
the 2 most frequent of 3 (--top shows more)

Agents denied most                                                denied
${AGENT_ID}       4

Commands denied most  denied
(empty argv)               2
''                         1
the 2 most denied of 3 (--top shows more)
`)
  })

  it('counts each denial once, even if a request came before it', async () => {
    const input = `${LINES.slice(8, 10).join('\n')}\n`
    const of = async (...args: string[]) => {
      const end = await runCli(['stats', '--json', ...args, '-'], input)
      const { denials, commands } = JSON.parse(end.stdout)
      return [denials, commands.top]
    }
    const name = '/usr/bin/git'
    const denials = [{ name: 'spawn_failed', count: 1 }]
    expect(await of()).toEqual([denials, [{ name, count: 1, denied: 1 }]])
    const since = ['--since', '2026-11-23T10:00:06.001Z']
    expect(await of(...since)).toEqual([denials, [{ name, count: 0, denied: 1 }]])
  })

  it('takes several files, compressed ones and standard input as one log', async () => {
    writeFileSync(dir.path('old.gz'), gzipSync(`${LINES.slice(0, 4).join('\n')}\n`))
    const rest = `${LINES.slice(4).join('\n')}\n`
    const { stdout, stderr } = await runCli(
      ['stats', '--utc', '--by', 'hour', dir.path('old.gz'), '-'],
      rest,
    )
    expect([stdout, stderr]).toEqual([REPORT, leftOut('(stdin):7:1550', '-')])
  })

  it('has no line that is wider than its terminal, and keeps the ages of open requests whole', () => {
    const late = lineText('exit', id(7), T0 + 90_000_000)
    const entries = new LineSplitter(2 ** 20).push(Buffer.from(`${TEXT}${late}\n`))
    const collector = new LogStatsCollector({ top: 10, by: 'hour', isUtc: true })
    for (const { record } of entries) if (record !== undefined) collector.take(record)
    const stats = collector.stats()
    const linesAt = (width: number) => {
      const style = { by: 'hour', names: NO_NAMES, isUtc: true } as const
      return statsText(stats, { ...style, paint: painter({ isTTY: false }, {}), width }).split('\n')
    }
    for (const width of [80, 100, 120, 140]) {
      expect([width, linesAt(width).filter((line) => line.length > width)]).toEqual([width, []])
    }
    const lines = linesAt(80)
    expect(lines.slice(lines.findIndex((line) => line.startsWith('Without an end')))).toEqual([
      'Without an end        request   agent      command       state              age',
      '2026-11-23 11:00:00Z  00000000  a1a1a1a1…  sleep         started             1d',
      '2026-11-23 11:00:00Z  00000000  a1a1a1a1…  (empty argv)  never started  23h 59m',
      '1 started and have no exit, 1 have neither; ages are those at the last event',
      '',
    ])
  })

  it('says that there is nothing, and refuses what it does not understand', async () => {
    expect(await runCli(['stats', '-'])).toEqual({
      code: 0,
      stdout: 'No events.\n',
      stderr: 'x0x-exec-audit: nothing found; searched (stdin): no events\n',
    })
    const { code, stderr } = await runCli(['stats', '--top', '0', log()])
    expect([code, stderr]).toEqual([
      2,
      'x0x-exec-audit: --top: expected a whole number from 1 to 10000, got 0 (--help shows the usage)\n',
    ])
    const none = await runCli(['stats', dir.path('none')])
    expect([none.code, none.stderr]).toEqual([
      2,
      `x0x-exec-audit: ${dir.path('none')}: ENOENT: no such file or directory; the log is the auditLogPath of the policy, and - is standard input\n`,
    ])
  })
})

const REPORT = `2026-11-23 10:00:00.000Z to 2026-11-23 11:00:00.002Z, 1 h
13 events, 0.00361 per second

hour              events  requests  denials  failures
2026-11-23 10:00      10         3        2         2  ██████████████████████████████
2026-11-23 11:00       3         2        0         0  █████████

Events
request  ██████████████████████████████ 5
started  ██████████████████ 3
denial   ████████████ 2
exit     ████████████ 2
warning  ██████ 1

Denials
argv_not_allowed  ██████████████████████████████ 1
spawn_failed      ██████████████████████████████ 1

Exits
SIGKILL  ██████████████████████████████ 1
code 0   ██████████████████████████████ 1

Warnings
duration_approaching_cap  ██████████████████████████████ 1

Agents                                                            asked  denied
a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1      5       2
c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3      1       0

Commands      asked  denied
/usr/bin/git      2       1
(empty argv)      1       0
/opt/git          1       0
$'rm\\x1b[2J'      1       1
sleep             1       0

Agents denied most                                                denied
a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1       2

Commands denied most  denied
/usr/bin/git               1
$'rm\\x1b[2J'               1

Durations
up to 10 ms   ██████████████████████████████ 1
up to 20 ms    0
up to 50 ms    0
up to 100 ms   0
up to 200 ms   0
up to 500 ms   0
up to 1 s      0
up to 2 s      0
up to 5 s     ██████████████████████████████ 1

p50 9 ms  p90 2.990 s  p99 2.990 s  p99.9 2.990 s  max 2.990 s

Output: 2.0 KiB on stdout, 8 B on stderr, 1 cut at a cap

Without an end            request                           agent              command       state          age at the last event
2026-11-23 11:00:00.000Z  00000000000000000000000000000005  a1a1a1a1a1a1a1a1…  sleep         started                         2 ms
2026-11-23 11:00:00.002Z  00000000000000000000000000000006  a1a1a1a1a1a1a1a1…  (empty argv)  never started                   0 ms
1 started and have no exit, 1 have neither
`
