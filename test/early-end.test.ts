import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { useTempDir } from './helpers/temp-dir'

const ROOT = join(__dirname, '..')
const EARLY_END = 'ended early: it still awaits a promise that nothing is left to settle'
const SOURCE = ['-r', 'esbuild-register']

/** An audit whose end nobody hears of. */
const NEVER_CLOSED = `
const { ExecAudit } = require(${JSON.stringify(join(ROOT, 'dist'))})
ExecAudit.prototype.close = () => new Promise(() => {})`

/** Collects all that is not held, as often as can be. */
const COLLECTING = 'setInterval(gc, 1).unref()'

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
    ['start: ', 1, ['dist/demo/start.js']],
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

  const bench = (code: string) =>
    run(code, ...SOURCE, 'bench/run.ts', 'call-cost', '--quick', '--dir', dir.path(''))

  it('bench: says what was measured, too', async () => {
    const where = 'call-cost: repeat 1 of 2: request, x0x-exec-audit'
    expect(await bench(NEVER_CLOSED)).toMatchObject({
      exitCode: 1,
      stderr: `bench: ${EARLY_END} (${where})\n`,
    })
  }, 60_000)

  // Without the peers it has only this package's own rows, which must bear it as well.
  it(`the garbage collector ends no benchmark, ${peers()}`, async () => {
    expect(await bench(COLLECTING)).toMatchObject({ exitCode: 0, stderr: '' })
  }, 120_000)
})

function peers(): string {
  const areInstalled = existsSync(join(ROOT, 'bench/peers/node_modules'))
  return areInstalled ? "nor that of pino's worker" : 'without the peers'
}
