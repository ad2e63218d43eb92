import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join, relative, resolve, sep } from 'node:path'
import { build, type Plugin } from 'esbuild'

/*
 * Bundles the command line, the modules that only it uses, and the npm packages that it needs, so that a
 * gateway installs none of them. It runs after tsc, which compiles the library alone. A module that stands
 * in dist by then is the library's and is not bundled: the writer finds its worker beside itself, and a
 * class that was bundled too would be a second one.
 */

const ROOT = join(__dirname, '../..')
const SOURCE = join(ROOT, 'src')
const LIBRARY = join(ROOT, 'dist')
const OUT = join(LIBRARY, 'cli')
/** The files that Node starts: the command, doctor's process and the thread that paces a load. */
const ENTRIES = ['cli/main.ts', 'cli/doctor/examiner.ts', 'toolkit/load/pacer-worker.ts']
const LICENCES = 'THIRD-PARTY-LICENSES.txt'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

/** The packages that are installed beside this one, and those of Node. */
function installedPackages(): ReadonlySet<string> {
  const { dependencies = {}, peerDependencies = {} } = manifestOf(ROOT)
  return new Set([
    ...builtinModules,
    ...Object.keys(dependencies),
    ...Object.keys(peerDependencies),
  ])
}

/** Leaves modules that stand in dist, and installed packages, out of the bundle. */
function leaveOut(installed: ReadonlySet<string>): Plugin {
  return {
    name: 'leave-out',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
        if (!resolveDir.startsWith(SOURCE)) return undefined
        const module = relative(SOURCE, resolve(resolveDir, path))
        const compiled = join(LIBRARY, `${module}.js`)
        const shown = relative(OUT, compiled).split(sep).join('/')
        return existsSync(compiled) ? { path: shown, external: true } : undefined
      })
      onResolve({ filter: /^[^.]/ }, ({ path, kind }) => {
        if (kind === 'entry-point') return undefined
        const name = /^(?:@[^/]+\/)?[^/]+/.exec(path.replace(/^node:/, ''))?.[0] ?? path
        return path.startsWith('node:') || installed.has(name) ? { external: true } : undefined
      })
    },
  }
}

/** The folder of the package that a bundled file belongs to; undefined for a file of our own. */
function packageOf(file: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]
}

/** A package's licence, under its name. Throws if it has none. */
function licenceOf(folder: string): string {
  const { name, version, license = 'no license field' } = manifestOf(folder)
  const file = readdirSync(folder).find((entry) => /^licen[cs]e|^copying/i.test(entry))
  if (file === undefined) throw new Error(`${name}, which is bundled, has no file with its licence`)
  const text = readFileSync(join(folder, file), 'utf8').trim()
  return `${name} ${version} (${license})\n\n${text}\n`
}

async function bundle(): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES.map((entry) => join(SOURCE, entry)),
    entryNames: '[name]',
    outdir: OUT,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    // The licences stand in a file of their own. Names are not minified, for readable stack traces.
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    plugins: [leaveOut(installedPackages())],
  })
  const packages = new Set(Object.keys(metafile.inputs).flatMap((file) => packageOf(file) ?? []))
  const licences = [...packages].sort().map((folder) => licenceOf(join(ROOT, folder)))
  writeFileSync(join(OUT, LICENCES), licences.join(`\n${'-'.repeat(72)}\n\n`))
}

void bundle().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
