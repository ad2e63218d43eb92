import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Format } from 'esbuild'
import { blocksOf } from '../support/documents'
import { expectSame, NAMES, RECORD, RECORDED, ROOT, run } from './project'

const EXTENSIONS = { cjs: '.cjs', esm: '.mjs' } as const
const WORKER_BESIDE = "{ workerFile: require('node:path').join(__dirname, 'exec-audit-worker.js') }"

/** Bundles a program with the package by esbuild, in the ways that docs/bundling.md names, and runs it. */
export async function checkBundlers(project: string, folder: string): Promise<void> {
  const source = (options: string) =>
    `import { ${NAMES} } from 'x0x-exec-audit'\n${RECORD}record(${options})\n`
  writeFileSync(join(project, 'app.mjs'), source(WORKER_BESIDE))
  writeFileSync(join(project, 'external.mjs'), source(''))
  const [toCommonJs = '', toModule = ''] = blocksOf('docs/bundling.md', 'sh')
  const [, workers = ''] = toCommonJs.split('\n')
  checkWhole(project, folder, 'cjs', toCommonJs)
  checkWhole(project, folder, 'esm', `${toModule}${workers}`)
  for (const format of ['cjs', 'esm'] as const) await checkExternal(project, format)
}

/** All in one folder that has no node_modules: the program, our worker and piscina's. */
function checkWhole(
  project: string,
  folder: string,
  format: Format & keyof typeof EXTENSIONS,
  commands: string,
): void {
  const esbuild = join(ROOT, 'node_modules/.bin/esbuild')
  const quiet = `${esbuild} --log-level=error`
  run(project, 'sh', '-ec', commands.replaceAll('npx esbuild', quiet))
  const out = join(folder, `bundle-${format}`)
  cpSync(join(project, 'out'), out, { recursive: true })
  rmSync(join(project, 'out'), { recursive: true })
  const told = run(out, process.execPath, `app${EXTENSIONS[format]}`)
  expectSame(`esbuild, ${format}: bundled, with the worker as an entry`, told, RECORDED)
}

async function checkExternal(project: string, format: keyof typeof EXTENSIONS): Promise<void> {
  const outfile = join(project, `external-${format}${EXTENSIONS[format]}`)
  await build({
    absWorkingDir: project,
    entryPoints: ['external.mjs'],
    bundle: true,
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
    outfile,
    format,
    packages: 'external',
  })
  const told = run(project, process.execPath, outfile)
  expectSame(`esbuild, ${format}: packages external`, told, RECORDED)
}
