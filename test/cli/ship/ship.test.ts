import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { runCli, startCli } from '../../support/cli'
import { startedLine } from '../../support/events'
import { ENGINES } from '../../support/servers/engines'
import { NATS } from '../../support/servers/nats-engine'
import type { TestServer } from '../../support/servers/test-server'
import { useTempDir } from '../../support/temp-dir'
import { itWithTool } from '../../support/tool'
import { pause, until } from '../../support/waiting'

jest.setTimeout(120_000)

const dir = useTempDir()

const ship = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await runCli(['ship', ...args])
  return { code, stdout, stderr: stderr.replaceAll(dir.path('.'), 'DIR') }
}

/** Of some 200 bytes each: many batches. */
const LINES_BEHIND = 100_000
const BAR_AFTER_MS = 700
/** What cli-progress writes to clear its line. */
const CLEARED = new RegExp(`${String.fromCharCode(27)}\\[2K$`)
const BAR = /[█░]{24} \d+% {2}\d+ MB\/s {2}\S+ left/

describe.each(ENGINES)('ship to %s', (_, engine) => {
  const { it } = engine
  const itOnTerminal = it === test.skip ? it : itWithTool('script')
  let server: TestServer
  let count = 0
  let to: readonly string[]
  let from: readonly string[]
  beforeAll(async () => {
    if (it !== test.skip) server = await engine.start()
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    if (server === undefined) return
    const stream = `S${count++}`
    await engine.make(server, stream)
    const [log, url] = [dir.path('exec.log'), engine.url(server.address)]
    writeFileSync(log, startedLine(1) + startedLine(2))
    to = ['--log', log, '--to', url, '--stream', stream]
    from = ['--read', url, '--stream', stream]
  })

  it('ships what is there, says what waits, and reads it back', async () => {
    expect(await ship(...to, '--status')).toEqual({
      ...{ code: 3, stdout: '0 lines shipped, 2 lines waiting\n', stderr: '' },
    })
    expect(await ship(...to, '--once')).toEqual({ code: 0, stdout: '', stderr: '' })
    const status = await ship(...to, '--status')
    expect(status).toEqual({ code: 0, stdout: '2 lines shipped, none waits\n', stderr: '' })
    const json = await ship(...to, '--status', '--json')
    expect(JSON.parse(json.stdout)).toEqual({ version: 1, command: 'ship', shipped: 2, behind: 0 })
    const text = startedLine(1) + startedLine(2)
    expect(await ship(...from)).toEqual({ code: 0, stdout: text, stderr: '' })
    const { code, stdout } = await runCli(['view', '-', '-o', 'raw'], (await ship(...from)).stdout)
    expect({ code, stdout }).toEqual({ code: 0, stdout: text })
  })

  it('reads lines back from a time on', async () => {
    const text = [1_000, 2_000, 3_000].map((ms) => `{"event":"x","ts_unix_ms":179538126${ms}}\n`)
    writeFileSync(dir.path('exec.log'), text.join(''))
    await ship(...to, '--once')
    const since = await ship(...from, '--since', '1795381262000')
    expect(since).toEqual({ code: 0, stdout: text.slice(1).join(''), stderr: '' })
  })

  it('follows until SIGTERM, and keeps its state and metrics', async () => {
    const files = ['--state', dir.path('state'), '--metrics-file', dir.path('metrics')]
    const shipper = startCli(['ship', ...to, ...files])
    const isThere = () => {
      try {
        return readFileSync(dir.path('metrics'), 'utf8').includes('exec_audit_ship_index 2\n')
      } catch {
        return false
      }
    }
    await until('no metrics', isThere)
    appendFileSync(dir.path('exec.log'), startedLine(3))
    shipper.child.kill('SIGTERM')
    const { code, stderr } = await shipper.end
    expect(code).toBe(0)
    expect(stderr).toMatch(/^x0x-exec-audit: shipping \S+ to \S+, S\d+\n$/)
    expect(JSON.parse(readFileSync(dir.path('state'), 'utf8'))).toMatchObject({ version: 1 })
    expect((await ship(...to, '--state', dir.path('state'), '--once')).code).toBe(0)
    expect((await ship(...from)).stdout).toBe([1, 2, 3].map(startedLine).join(''))
  })

  itOnTerminal(
    'shows a bar on a terminal while it catches up, and none as it follows',
    async () => {
      const [log, metrics, pid] = [dir.path('exec.log'), dir.path('metrics'), dir.path('pid')]
      writeFileSync(log, startedLine(1).repeat(LINES_BEHIND))
      const terminal = `script -qec 'echo $$ >${pid}; exec '"$*" /dev/null`
      const shipper = startCli(['ship', ...to, '--metrics-file', metrics], '', [
        ...['sh', '-c', terminal, 'sh'],
      ])
      const shipped = () => {
        const text = existsSync(metrics) ? readFileSync(metrics, 'utf8') : ''
        return Number(/^exec_audit_ship_index (\d+)$/m.exec(text)?.[1] ?? 0)
      }
      await until('nothing is shipped', () => shipped() > 0)
      // Work that ends before anyone looks has no bar.
      server.pause()
      await pause(BAR_AFTER_MS)
      server.resume()
      await until('not all is shipped', () => shipped() === LINES_BEHIND)
      appendFileSync(log, startedLine(2))
      await until('it does not follow', () => shipped() === LINES_BEHIND + 1)
      process.kill(Number(readFileSync(pid, 'utf8')), 'SIGTERM')
      const { code, stdout } = await shipper.end
      expect(code).toBe(0)
      const [head, ...bars] = stdout.split(BAR)
      expect(head).toMatch(/^x0x-exec-audit: shipping \S+ to \S+, S\d+\r\n/)
      expect(bars.length).toBeGreaterThan(0)
      // The line is clear again.
      expect(bars.at(-1)).toMatch(CLEARED)
    },
  )

  it('stops with 1 if the file with the next lines is gone, and notes the gap if it is accepted', async () => {
    await ship(...to, '--once')
    rmSync(dir.path('exec.log'))
    writeFileSync(dir.path('exec.log'), startedLine(4))
    const { code, stderr } = await ship(...to, '--once')
    expect(code).toBe(1)
    expect(stderr).toContain("the stream's last line has index 1 and SHA-256 ")
    expect(await ship(...to, '--once', '--accept-gap')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        /^x0x-exec-audit: gap: a gap at index 2: the file with the line 1/,
      ),
    })
    const back = await ship(...from)
    expect(back.stdout).toBe([1, 2, 4].map(startedLine).join(''))
    expect(back.stderr).toMatch(/^x0x-exec-audit: gap: in place of the line 2: \{"gap":/)
  })

  it('ends with 3 if the server does not answer', async () => {
    await server.kill()
    const { code, stderr } = await ship(...to, '--once')
    expect(code).toBe(3)
    expect(stderr).toMatch(/^x0x-exec-audit: outage: .*\nx0x-exec-audit: /)
    expect((await ship(...from)).code).toBe(3)
    await server.restart()
  })

  it('ends with 2 for a stream that is missing, and makes it with --create', async () => {
    await engine.remove(server, `S${count - 1}`)
    const missing = await ship(...to, '--once')
    expect(missing.code).toBe(2)
    expect(missing.stderr).toContain('--create')
    const subject = engine === NATS ? ['--subject', 'made.here'] : []
    expect((await ship(...to, '--once', '--create', ...subject)).code).toBe(0)
    expect((await ship(...from)).stdout).toBe(startedLine(1) + startedLine(2))
  })
})

describe('ship without a server', () => {
  const TO = ['--log', '/tmp/exec.log', '--to', 'nats://127.0.0.1:1', '--stream', 'S']
  const usage = '(--help shows the usage)\n'
  it.each([
    [[], 'name the stream: --stream NAME'],
    [['--stream', 'S'], 'name the log: --log FILE'],
    [['--stream', 'S', '--log', 'x'], 'name the server: --to nats://HOST:4222'],
    [[...TO, '--since', '1h'], '--since goes with --read'],
    [[...TO, '--json'], '--json goes with --status'],
    [[...TO, '--once', '--status'], '--once ships, and --status does not: give one of them'],
    [['--read', 'nats://h', '--stream', 'S', '--once'], '--read does not go with --once'],
    [
      ['--read', 'nats://h', '--stream', 'S', '--accept-gap'],
      '--read does not go with --accept-gap',
    ],
  ])('refuses %j', async (args, message) => {
    const stderr = `x0x-exec-audit: ${message} ${usage}`
    expect(await ship(...args)).toEqual({ code: 2, stdout: '', stderr })
  })

  it('refuses a password in the URL', async () => {
    const { code, stderr } = await ship(
      ...['--log', dir.path('exec.log'), '--stream', 'S', '--once'],
      ...['--to', 'redis://:secret@127.0.0.1:1'],
    )
    expect(code).toBe(2)
    expect(stderr).toContain('REDIS_PASSWORD')
    expect(stderr).not.toContain('secret')
  })

  it('refuses a log in a folder that is not there', async () => {
    const log = dir.path('none/exec.log')
    expect(await ship('--log', log, ...TO.slice(2), '--once')).toEqual({
      code: 2,
      stdout: '',
      stderr: `x0x-exec-audit: --log: the folder DIR/none is not there ${usage}`,
    })
  })
})
