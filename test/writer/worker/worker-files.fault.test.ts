import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { runChild } from '../../support/children/run-child'
import { startedLine, startedLines } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'

const ROOT = join(__dirname, '../../..')
const BANNER =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;"

/** A program that records two events and says how. */
const APP = `
import { ExecAudit, ExecDiagnostics } from ${JSON.stringify(join(ROOT, 'dist/index.js'))}
const said = []
const logger = { warn: ({ code }, text) => said.push(code + ': ' + text) }
const policy = { enabled: true, auditLogPath: process.argv[2] }
const audit = new ExecAudit(policy, new ExecDiagnostics(), { logger, clock: () => 0 })
const requestId = '0123456789abcdef0123456789abcdef'
const outcome = await audit.started({ requestId, pid: 0 })
await audit.started({ requestId, pid: 1 })
const { worker } = audit.stats()
await audit.close()
console.log(JSON.stringify({ outcome, worker, said }))`

/** A program of the user's own that would never answer, and would be seen if it ran. */
const ROGUE = `require('node:fs').writeFileSync(__dirname + '/rogue-ran', ''); process.stdin.resume()`

interface Said {
  readonly outcome: string
  readonly worker: { readonly drainer: string; readonly sessions: number; readonly deaths: number }
  readonly said: readonly string[]
}

describe('a bundle', () => {
  const dir = useTempDir()

  const bundle = async (entries: Record<string, string>, external: readonly string[] = []) => {
    const common = { bundle: true, platform: 'node', logLevel: 'silent', minify: true } as const
    const externals = ['@napi-rs/nice', ...external]
    writeFileSync(dir.path('app.mjs'), APP)
    await build({
      ...common,
      external: externals,
      entryPoints: [dir.path('app.mjs')],
      format: 'esm',
      banner: { js: BANNER },
      outfile: dir.path('out/app.mjs'),
    })
    for (const [name, file] of Object.entries(entries)) {
      await build({
        ...common,
        external: externals,
        entryPoints: [file],
        outfile: dir.path(`out/${name}`),
      })
    }
  }
  const run = async (): Promise<Said> => {
    const script = `const { execFileSync } = require('node:child_process')
      const args = [process.argv[2], path]
      console.log(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 9_000 }).trim())`
    const end = await runChild(script, [dir.path('exec.log'), dir.path('out/app.mjs')])
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(startedLines(2))
    return JSON.parse(end.stdout)
  }
  const OURS = join(ROOT, 'dist/writer/worker/exec-audit-worker.js')
  const PISCINAS = join(dirname(require.resolve('piscina')), 'worker.js')

  it('with both workers as entries, minified, has a worker', async () => {
    await bundle({ 'exec-audit-worker.js': OURS, 'worker.js': PISCINAS })
    expect(await run()).toEqual({
      outcome: 'durable',
      worker: { drainer: 'worker', sessions: 1, deaths: 0 },
      said: [],
    })
  })

  it('without them writes at once, runs nobody else’s program, and says what to do', async () => {
    await bundle({})
    writeFileSync(dir.path('out/worker.js'), ROGUE)
    const { outcome, worker, said } = await run()
    expect([outcome, worker]).toEqual(['durable', { drainer: 'caller', sessions: 0, deaths: 0 }])
    expect(said).toHaveLength(1)
    expect(said[0]).toMatch(/^AUDIT_WORKER_LOST: .*exec-audit-worker\.js does not exist/)
    expect(said[0]).toMatch(/serverExternalPackages\), .* docs\/bundling\.md$/)
    expect(() => readFileSync(dir.path('out/rogue-ran'))).toThrow('ENOENT')
  })

  it.each([
    ['nothing', undefined, 'worker.js does not exist'],
    ['another program', ROGUE, 'worker.js is another program than piscina'],
  ])('with our worker, and %s as piscina’s, does the same', async (_, rogue, why) => {
    await bundle({ 'exec-audit-worker.js': OURS })
    if (rogue !== undefined) writeFileSync(dir.path('out/worker.js'), rogue)
    const { outcome, worker, said } = await run()
    expect([outcome, worker]).toEqual(['durable', { drainer: 'caller', sessions: 0, deaths: 0 }])
    expect(said[0]).toContain(why)
    expect(() => readFileSync(dir.path('out/rogue-ran'))).toThrow('ENOENT')
  })

  it('that leaves piscina out takes its worker from its package', async () => {
    await bundle({ 'exec-audit-worker.js': OURS }, ['piscina'])
    writeFileSync(dir.path('out/worker.js'), ROGUE)
    symlinkSync(join(ROOT, 'node_modules'), dir.path('out/node_modules'))
    const { worker, said } = await run()
    expect([worker.drainer, said]).toEqual(['worker', []])
    expect(() => readFileSync(dir.path('out/rogue-ran'))).toThrow('ENOENT')
  })
})

describe("a loader that finds the package's modules", () => {
  const dir = useTempDir()

  /** Hides node_modules from the package, and leaves it to a preloaded file to find them: as yarn does. */
  const hide = () => {
    cpSync(join(ROOT, 'dist'), dir.path('package/dist'), { recursive: true })
    cpSync(join(ROOT, 'package.json'), dir.path('package/package.json'))
    mkdirSync(dir.path('store'))
    writeFileSync(
      dir.path('.pnp.cjs'),
      `const Module = require('node:module')
       const resolve = Module._resolveFilename
       const real = Module.createRequire(${JSON.stringify(join(ROOT, 'package.json'))})
       process.versions.pnp = '3'
       Module._resolveFilename = function (name, ...rest) {
         if (name === 'pnpapi') return __filename
         const isPackage = !/^[./]|^node:/.test(name) && !Module.builtinModules.includes(name)
         return isPackage && rest[0]?.filename?.startsWith(${JSON.stringify(dir.path('package'))})
           ? real.resolve(name) : resolve.call(this, name, ...rest)
       }`,
    )
  }

  it("is loaded by the worker, too, under Plug'n'Play", async () => {
    hide()
    const path = dir.path('exec.log')
    const end = await runChild(
      `const { ExecAudit: Packaged } = require(${JSON.stringify(dir.path('package/dist/index.js'))})
       const said = []
       const options = { clock: () => 0, logger: { warn: (_, text) => said.push(text) } }
       const audit = new Packaged({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), options)
       audit.started({ requestId, pid: 0 }).then((outcome) => {
         console.log(outcome, audit.stats().worker.drainer, ...said)
         return audit.close()
       })`,
      [path],
      [],
      `require(${JSON.stringify(dir.path('.pnp.cjs'))});`,
    )
    expect(end).toMatchObject({ code: 0, stdout: 'durable worker\n', stderr: '' })
    expect(readFileSync(path, 'utf8')).toBe(startedLine(0))
  })
})
