import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { formatDuration, formatTime } from '../../src/toolkit/text/time'
import { blocksOf } from '../support/documents'
import { MACHINE_ID } from '../support/events'
import {
  agentOf,
  type IncidentCommand,
  type IncidentLog,
  writeIncidentLog,
} from '../support/incident-log'

const MAIN = join(__dirname, '../../dist/cli/main.js')
const [CURL, OPEN, DENIED, ONE, VERIFY, LONGER, FAILED, SPREADSHEET, ...OTHERS] = blocksOf(
  'docs/incidents.md',
  'sh',
)

describe('the questions of an incident', () => {
  const folder = mkdtempSync(join(tmpdir(), 'exec-audit-incident-'))
  let log: IncidentLog

  beforeAll(() => {
    log = writeIncidentLog(folder)
    mkdirSync(join(folder, 'bin'))
    const bin = join(folder, 'bin/x0x-exec-audit')
    writeFileSync(bin, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`)
    chmodSync(bin, 0o755)
  }, 60_000)
  afterAll(() => rmSync(folder, { recursive: true }))

  /** Runs a command of the page; its rows, notes and exit code. */
  const ask = async (command = '') => {
    const PATH = `${join(folder, 'bin')}:${process.env.PATH}`
    const options = { cwd: folder, env: { ...process.env, PATH, TZ: 'UTC' }, maxBuffer: 2 ** 28 }
    const fromMs = performance.now()
    const run = promisify(execFile)('sh', ['-c', command], options).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    )
    const { code, stdout, stderr } = await run
    const seconds = ((performance.now() - fromMs) / 1_000).toFixed(1)
    if (process.env.TIMES) process.stderr.write(`${seconds} s  ${command}`)
    return { code, rows: String(stdout).split('\n').slice(0, -1), notes: String(stderr) }
  }

  it('are asked of 200,000 lines or more', () => {
    expect(log.lines).toBeGreaterThanOrEqual(200_000)
  })

  const READ = 'x0x-exec-audit: read as they were rotated, from exec.log.2.gz to exec.log\n'
  const broken = () => {
    const [foreign, torn] = [log.foreign, log.torn]
    return `x0x-exec-audit: ${foreign + torn} lines are no events (${foreign} foreign, ${torn} torn), the first at exec.log.2.gz:`
  }
  const repeated = () => `x0x-exec-audit: ${log.repeated} repeated lines are left out\n`

  /** The rows of `view --commands`, written here once more. */
  const rowsOf = (isWanted: (command: IncidentCommand) => boolean) =>
    log.commands.filter(isWanted).map(({ id, ms, agent, principal, argv, timeoutMs, end }) => {
      const exit = end !== undefined && 'code' in end ? end : undefined
      const isTimeout = exit?.signal !== null && (exit?.durationMs ?? 0) >= timeoutMs
      const notes = [
        ...(end !== undefined && 'reason' in end ? [end.reason] : []),
        ...(isTimeout ? [`limit ${formatDuration(timeoutMs)}`] : []),
      ]
      const word = end === undefined ? 'open' : 'reason' in end ? 'denied' : `exit ${end.code}`
      return {
        ...{ time: formatTime(ms, true).slice(0, -1), who: principal ?? agent.slice(0, 8) },
        ...{
          id: id.slice(0, 8),
          duration: exit === undefined ? '-' : formatDuration(exit.durationMs),
        },
        end: isTimeout ? 'timed out' : word,
        text: argv.map((word) => (/^[\w:/.-]+$/.test(word) ? word : quoted(word))).join(' '),
        notes: notes.length === 0 ? '' : `  (${notes.join(', ')})`,
      }
    })
  const quoted = (word: string) => (word.startsWith('\u001b') ? "$'\\x1b[2J'" : `'${word}'`)

  const tableOf = (rows: ReturnType<typeof rowsOf>) => {
    let width = 8
    return rows.map(({ time, who, id, duration, end, text, notes }) => {
      width = Math.max(width, who.length)
      return `${time}  ${who.padEnd(width)}  ${id}  ${duration.padStart(12)}  ${end.padEnd(18)}  ${text}${notes}`
    })
  }

  it('are eight', () => {
    expect([SPREADSHEET === undefined, OTHERS]).toEqual([false, []])
    expect(log.lines).toBeGreaterThan(170_000)
  })

  it('who ran curl between two and three', async () => {
    const { code, rows, notes } = await ask(CURL)
    const [from, to] = [Date.UTC(2026, 10, 29, 14), Date.UTC(2026, 10, 29, 15)]
    const expected = rowsOf(({ argv, ms }) => /curl$/.test(argv[0] ?? '') && ms >= from && ms <= to)
    expect(expected.map(({ who, end }) => [who, end])).toEqual([
      ['user:mallory', 'exit 0'],
      ['user:mallory', 'denied'],
      ['user:alice', 'exit 7'],
    ])
    expect([code, rows]).toEqual([0, tableOf(expected)])
    const said = notes.replace(/(gz:)\d+:\d+; see .*\n/, '$1')
    expect(said).toBe(`${READ}${broken()}${repeated()}`)
  })

  it('what never ended, the command whose exit was changed among them', async () => {
    const { code, rows } = await ask(OPEN)
    const expected = rowsOf(({ end }) => end === undefined)
    expect(
      expected.map(({ text, id }) => (id === log.changed.slice(0, 8) ? 'changed' : text)),
    ).toEqual(['make all', 'changed', 'tail -f /var/log/x'])
    expect([code, rows]).toEqual([0, tableOf(expected)])
  })

  it('who was denied most, and not who asked most', async () => {
    const counts = new Map<string, number>()
    for (const { agent, end } of log.commands) {
      if (end !== undefined && 'reason' in end) counts.set(agent, (counts.get(agent) ?? 0) + 1)
    }
    const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, 3)
    expect(most[0]?.[0]).toBe(agentOf('ci-1'))
    const { code, rows } = await ask(DENIED)
    const start = rows.findIndex((row) => row.startsWith('Agents denied most'))
    const shown = rows.slice(start + 1, start + 4).map((row) => row.replace(',', '').split(/\s+/))
    expect([code, shown]).toEqual([0, most.map(([agent, count]) => [agent, String(count)])])
  })

  it('what one request did', async () => {
    const { code, rows } = await ask(ONE)
    const agent = agentOf('alice')
    expect([
      code,
      rows.map((row) => row.replace(/^(2026-\S+ \S+).*?(request|started|exit) /, '$1 $2 ')),
    ]).toEqual([
      0,
      [
        expect.stringMatching(/^request {2}ca36474f[0-9a-f]{24}$/),
        `agent    ${agent}`,
        `machine  ${MACHINE_ID}`,
        '',
        '2026-11-29 05:00:00.000 request  sleep 600  (no rule, limit 5 min)',
        `2026-11-29 05:00:00.002 started  pid ${0xca36}`,
        '2026-11-29 05:05:00.007 exit     timed out after 5 min  (SIGTERM, stdout 3 B, stderr 4 B)',
        '',
        '3 events in 5 min; ended',
      ],
    ])
  })

  it('what is missing or changed', async () => {
    const { code, rows } = await ask(`${VERIFY?.trim()} --json`)
    const { verdict, byKind, notes, findings } = JSON.parse(rows.join('\n'))
    const { foreign, torn, repeated: duplicates, missing } = log
    // Its started; the exit of a request that was not asked for is no further fault.
    expect({ code, verdict, byKind, duplicates: notes.duplicates }).toEqual({
      ...{ code: 1, verdict: 'broken', byKind: { foreign, torn, impossible: 1 }, duplicates },
    })
    const impossible = findings.filter(({ kind }: { kind: string }) => kind === 'impossible')
    expect(impossible.map(({ excerpt }: { excerpt: string }) => excerpt.includes(missing))).toEqual(
      [true],
    )
  })

  it('what ran longer than a minute', async () => {
    const { code, rows } = await ask(LONGER)
    const isLong = ({ end }: IncidentCommand) =>
      end !== undefined && 'code' in end && end.durationMs > 60_000
    const expected = rowsOf(isLong)
    expect(expected.map(({ end }) => end)).toEqual(['exit 0', 'timed out'])
    expect([code, rows]).toEqual([0, tableOf(expected)])
  })

  it('what one agent ran that failed', async () => {
    const { code, rows } = await ask(FAILED)
    const expected = rowsOf(({ agent, end }) => {
      return agent === agentOf('alice') && end !== undefined && 'code' in end && end.code !== 0
    })
    expect(expected.map(({ text }) => text)).toEqual(['sleep 600', 'npm test', "curl $'\\x1b[2J'"])
    expect([code, rows]).toEqual([0, tableOf(expected)])
  })

  it('all denials, for a spreadsheet', async () => {
    const { code } = await ask(SPREADSHEET)
    const [head = '', ...rows] = readFileSync(join(folder, 'denials.csv'), 'utf8')
      .trimEnd()
      .split('\n')
    const denied = log.commands.filter(({ end }) => end !== undefined && 'reason' in end)
    expect([code, head.slice(0, 20), rows.length]).toEqual([
      0,
      '\ufefftime,tsUnixMs,event',
      denied.length,
    ])
    expect(rows.map((row) => row.split(',')[3])).toEqual(denied.map(({ id }) => id))
  })
})
