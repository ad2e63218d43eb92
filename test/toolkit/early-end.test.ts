import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { arePeersInstalled } from '../../bench/contenders/peers'
import { useTempDir } from '../support/temp-dir'

const ROOT = join(__dirname, '../..')
const EARLY_END = 'ended early: it still awaits a promise that nothing is left to settle'
const SOURCE = ['-r', 'esbuild-register']

/** Audits that never end, in the build and in the source, which the examples are resolved to. */
const NEVER_CLOSED = `
require(${JSON.stringify(require.resolve('esbuild-register'))})
for (const build of ${JSON.stringify([join(ROOT, 'dist'), join(ROOT, 'src')])}) {
  require(build).ExecAudit.prototype.close = () => new Promise(() => {})
}`

/**
 * Awaits what each of the benchmark's loggers, and this package, still has to do, with nobody else to hold
 * any of them, while all that is not held is collected as often as can be.
 */
const COLLECTED = `
const { join } = require('node:path')
const { ExecAudit, ExecDiagnostics } = require('./dist')
const { LOGGERS } = require('./bench/contenders/peer-loggers')
const [dir] = process.argv.slice(1)

async function awaitOurs(name) {
  const policy = { enabled: true, auditLogPath: join(dir, name) }
  const audit = new ExecAudit(policy, new ExecDiagnostics(), { drainOnExit: false })
  for (let pid = 0; pid < ROUNDS; pid++) await audit.started({ requestId: '00'.repeat(16), pid })
  await audit.close()
  console.log(name)
}

async function awaitLogger({ name, open }) {
  const logger = await open(join(dir, name))
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < 20; i++) logger.log({ i })
    await logger.settle()
  }
  await logger.close()
  console.log(name)
}

const ROUNDS = 10
setInterval(gc, 1).unref()
awaitOurs('ours').then(async () => {
  for (const logger of LOGGERS) await awaitLogger(logger)
})`

describe('a program whose promise is never settled', () => {
  const dir = useTempDir()

  /** Runs a program after some code of the test's. */
  async function run(code: string, ...args: readonly string[]) {
    const preload = dir.path('preload.js')
    writeFileSync(preload, code)
    const child = spawn(process.execPath, ['--expose-gc', '-r', preload, ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    const [stdout, stderr, exitCode] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      ended,
    ])
    return { exitCode, stdout, stderr }
  }

  it.each([
    ['x0x-exec-audit: ', 70, ['dist/cli/main.js', 'exec', '--log', 'LOG', '--', 'true']],
    ['start: ', 1, [...SOURCE, 'docs/examples/start.ts']],
    ['soak: ', 1, [...SOURCE, 'test/soak/soak.ts', '--events', '10', '--dir', 'DIR']],
  ])(
    '%ssays so, and does not pass for one that is done',
    async (label, exitCode, args) => {
      const paths = new Map([
        ['LOG', dir.path('exec.log')],
        ['DIR', dir.path('')],
      ])
      const end = await run(NEVER_CLOSED, ...args.map((arg) => paths.get(arg) ?? arg))
      expect({ ...end, stdout: '' }).toEqual({
        exitCode,
        stdout: '',
        stderr: `${label}${EARLY_END}\n`,
      })
    },
    60_000,
  )

  it('bench: says what was measured, too', async () => {
    const args = ['bench/run.ts', 'call-cost', '--quick', '--dir', dir.path('')]
    const where = 'call-cost: repeat 1 of 2: request, x0x-exec-audit'
    expect(await run(NEVER_CLOSED, ...SOURCE, ...args)).toMatchObject({
      exitCode: 1,
      stderr: `bench: ${EARLY_END} (${where})\n`,
    })
  }, 60_000)

  it('the garbage collector takes no logger that is awaited', async () => {
    const end = await run('', ...SOURCE, '-e', COLLECTED, dir.path(''))
    const peers = arePeersInstalled ? ['pino, worker', 'pino, async', 'winston'] : []
    expect(end).toEqual({
      exitCode: 0,
      stdout: ['ours', ...peers, ''].join('\n'),
      stderr: '',
    })
  }, 60_000)
})
