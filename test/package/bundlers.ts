import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BuildOptions, build, type Format } from 'esbuild'
import { expectSame, NAMES, RECORD, RECORDED, run } from './project'

const COMMON: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  logLevel: 'error',
  // Native parts, which piscina does without.
  external: ['@napi-rs/nice', 'prom-client'],
}

const EXTENSIONS = { cjs: '.cjs', esm: '.mjs' } as const
/** What an ES module lacks that bundled CommonJS asks for. */
const COMMONJS_NAMES = `
import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
const __filename = import.meta.filename
const __dirname = import.meta.dirname
`

/** Bundles a program with the package by esbuild, in the ways the README names, and runs it. */
export async function checkBundlers(project: string, folder: string): Promise<void> {
  const source = (options: string) =>
    `import { ${NAMES} } from 'x0x-exec-audit'\n${RECORD}record(${options})\n`
  writeFileSync(
    join(project, 'bundled.js'),
    source("{ workerFile: process.argv[2] + '/exec-audit-worker.js' }"),
  )
  writeFileSync(join(project, 'external.js'), source(''))
  for (const format of ['cjs', 'esm'] as const) {
    await checkWhole(project, join(folder, `bundle-${format}`), format)
    await checkExternal(project, format)
  }
}

/** All in one folder that has no node_modules: the program, our worker and piscina's. */
async function checkWhole(project: string, out: string, format: Format & keyof typeof EXTENSIONS) {
  const app = `app${EXTENSIONS[format]}`
  await build({
    ...COMMON,
    absWorkingDir: project,
    entryPoints: ['bundled.js'],
    outfile: join(out, app),
    format,
    ...(format === 'esm' ? { banner: { js: COMMONJS_NAMES } } : {}),
  })
  await build({
    ...COMMON,
    absWorkingDir: project,
    entryPoints: {
      'exec-audit-worker': 'x0x-exec-audit/worker',
      worker: './node_modules/piscina/dist/worker.js',
    },
    outdir: out,
    format: 'cjs',
  })
  const told = run(out, process.execPath, app, out)
  expectSame(`esbuild, ${format}: bundled, with the worker as an entry`, told, RECORDED)
}

async function checkExternal(project: string, format: keyof typeof EXTENSIONS): Promise<void> {
  const outfile = join(project, `external-${format}${EXTENSIONS[format]}`)
  await build({
    ...COMMON,
    absWorkingDir: project,
    entryPoints: ['external.js'],
    outfile,
    format,
    packages: 'external',
  })
  const told = run(project, process.execPath, outfile)
  expectSame(`esbuild, ${format}: packages external`, told, RECORDED)
}
