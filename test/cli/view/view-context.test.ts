import { writeFileSync } from 'node:fs'
import { runCli } from '../../support/cli'
import { AGENT_ID } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'
import { lineText } from '../../support/verified'

const dir = useTempDir()
const T0 = Date.parse('2026-11-23T10:00:00Z')
const id = (n: number) => `${n}`.repeat(32)
const ALICE = { context: { principal: 'user:alice', user: '1000:100', cwd: '/srv' } }
const LINES = [
  lineText('request', id(1), T0, { argv: ['make'], ...ALICE }),
  lineText('exit', id(1), T0 + 301_000, { code: null, signal: 15, duration_ms: 30_000 }),
  lineText('denial', id(2), T0 + 302_000, { argv: ['id'], context: { principal: '\u001b[2J' } }),
  lineText('request', id(3), T0 + 303_000, { argv: ['ls'] }),
]
const log = () => {
  writeFileSync(dir.path('exec.log'), LINES.map((line) => `${line}\n`).join(''))
  return dir.path('exec.log')
}

describe('view, of contexts,', () => {
  it('keeps the columns of commands below each other, however long principals are', async () => {
    const log = dir.path('names.log')
    const names = ['user:a', 'user:somebody', 'user:alice-the-longest-of-all']
    const lines = names.map((principal, n) =>
      lineText('denial', id(n), T0 + n, { argv: ['ls'], context: { principal } }),
    )
    writeFileSync(log, `${lines.join('\n')}\n`)
    for (const args of [['--commands'], []]) {
      const { stdout } = await runCli(['view', ...args, log])
      const rows = stdout.trimEnd().split('\n').slice(-names.length)
      expect(new Set(rows.map((row) => row.lastIndexOf('  ls')))).toHaveProperty('size', 1)
    }
  })

  it('shows the principal, else the name of the agent, else its first digits', async () => {
    const names = dir.path('names.json')
    writeFileSync(names, JSON.stringify({ [AGENT_ID]: 'bot', 'user:alice': 'Alice A.' }))
    expect((await runCli(['view', '--utc', log()])).stdout.split('\n')).toEqual([
      '2026-11-23 10:00:00.000Z  request  11111111  user:alice  make  (no rule, limit 30 s)',
      '2026-11-23 10:05:01.000Z  exit     11111111  user:alice  timed out after 30 s  make  (SIGTERM, stdout 3 B, stderr 4 B)',
      '2026-11-23 10:05:02.000Z  denial   22222222  \\x1b[2J     spawn_failed  id',
      '2026-11-23 10:05:03.000Z  request  33333333  a1a1a1a1    ls  (no rule, limit 30 s)',
      '',
    ])
    const named = await runCli(['view', '-c', '--utc', '--names', names, log()])
    expect(named.stdout.split('\n')).toEqual([
      '2026-11-23 10:00:00.000Z  Alice A.  11111111          30 s  timed out           make  (limit 30 s)',
      '2026-11-23 10:05:02.000Z  \\x1b[2J   22222222             -  denied              id  (spawn_failed)',
      '2026-11-23 10:05:03.000Z  bot       33333333             -  open                ls  (never started)',
      '',
    ])
  })

  it.each([
    [['--context', 'principal=user:alice'], 2],
    [['--context', 'principal=user:alice', '--context', 'cwd=/'], 0],
    [['--context', 'constructor='], 0],
    [['--user', '1000'], 2],
    [['--user', '1000:100'], 2],
    [['--user', '100'], 0],
  ])('filters by %j', async (args, count) => {
    const { stdout } = await runCli(['view', '-o', 'raw', ...args, log()])
    expect(stdout.split('\n').length - 1).toBe(count)
  })

  it('prints commands as CSV and JSON alike', async () => {
    const args = ['view', '-c', '--request', '1', log()]
    const [command] = JSON.parse((await runCli([...args, '--json'])).stdout).commands
    expect(command).toMatchObject({
      ...{ tsUnixMs: T0, argv: ['make'], end: 'exit', signal: 15, timedOut: true },
      ...{ principal: 'user:alice', context: ALICE.context, durationMs: 30_000 },
    })
    const csv = (await runCli([...args, '-o', 'csv'])).stdout.split('\n')
    const columns = csv[0]?.split(',') ?? []
    expect(columns.slice(1).toSorted()).toEqual(Object.keys(command).toSorted())
    const cells = csv[1]?.split(',') ?? []
    expect(cells.slice(0, 3)).toEqual(['2026-11-23T10:00:00.000Z', String(T0), id(1)])
  })
})
