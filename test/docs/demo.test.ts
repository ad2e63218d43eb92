import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const DEMO = join(__dirname, '../../docs/examples/start.ts')

describe('npm start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'exec-audit-demo-'))
  const env = { ...process.env, TMPDIR: folder }
  const output = execFileSync(process.execPath, ['-r', 'esbuild-register', DEMO], {
    encoding: 'utf8',
    env,
  })
  const [commands = '', log = '', summary = ''] = output.trimEnd().split('\n\n')

  afterAll(() => rmSync(folder, { recursive: true }))

  it('runs commands that succeed, fail, are killed, cannot start and are denied', () => {
    const ends = commands.split('\n').slice(1)
    expect(ends.map((line) => line.slice(2, 26).trim())).toEqual([
      'exit code 0',
      expect.stringMatching(/^exit code [12]$/),
      'killed by SIGTERM',
      'denied: spawn_failed',
      'denied: argv_not_allowed',
    ])
  })

  it('shows the lines of the log', () => {
    const lines = log.split('\n').slice(1)
    const events = lines.map((line): { event: string; reason?: string } => JSON.parse(line))
    expect(events.map(({ event, reason }) => reason ?? event)).toEqual([
      ...['request', 'started', 'exit'],
      ...['request', 'started', 'exit'],
      ...['request', 'started', 'warning', 'exit'],
      ...['request', 'spawn_failed'],
      'argv_not_allowed',
    ])
  })

  it('sums up events, groups, syncs and the time to an acknowledgement, on one screen', () => {
    const rows = summary.split('\n').slice(1)
    expect(rows.map((row) => row.trim().replace(/[\d.]+(?= ms| bytes)/g, 'N'))).toEqual([
      'events           13 durable, 0 failed',
      expect.stringMatching(/^groups {11}\d+, N bytes$/),
      expect.stringMatching(/^fdatasyncs {7}\d+, N ms each \(median\)$/),
      'call to durable  median N ms, worst N ms',
      expect.stringMatching(new RegExp(`^log {14}${folder}/.*/exec\\.log$`)),
    ])
    expect(output.split('\n').length).toBeLessThan(40)
  })
})
