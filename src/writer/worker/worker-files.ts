import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { codeOf } from '../../base/describe'

/*
 * The files that a worker thread runs: ours, and piscina's own, which loads it. In a bundle both are missing
 * unless its builder has put them beside it, and a `worker.js` there may be a program of the user's: piscina
 * would run that inside the gateway. So nothing is started before both are found.
 */

/** As they are at load: a test of the embedder may replace them later. */
const { readFileSync, statSync } = fs

/** This module's file, or that of the bundle that it is part of; an ES module knows no such name. */
const ownFile = typeof __filename === 'string' ? __filename : undefined
const ownFolder = typeof __dirname === 'string' ? __dirname : undefined

const WORKER_NAME = 'exec-audit-worker.js'
/** In the package each module has a file of its own. */
const PACKAGED = /[\\/]writer[\\/]worker[\\/]worker-files\.[jt]s$/
/** A text of piscina's worker, and of none of its other files, that every minifier keeps. */
const PISCINA_MARK = 'No handler function exported from'

const HOW_TO_BUNDLE =
  'keep x0x-exec-audit out of the bundle (esbuild: --packages=external, Next.js: serverExternalPackages), or make the workers entries of it, see docs/bundling.md'

/**
 * Finds our worker's file. Beside this one in the built package; in `dist` when the tests run from
 * source. A bundler moves it, hence the `workerFile` option.
 */
export function findWorkerFile(): string {
  if (ownFolder === undefined) return WORKER_NAME
  const built = join(ownFolder, '../../../dist/writer/worker', WORKER_NAME)
  const beside = join(ownFolder, WORKER_NAME)
  return isPackaged(ownFile) && isMissing(beside) ? built : beside
}

/** Throws unless both files are there: ours, and piscina's own. */
export function checkWorkerFiles(workerFile: string): void {
  const path = workerFile.startsWith('file:') ? fileURLToPath(workerFile) : workerFile
  if (isMissing(path)) {
    throw new Error(`the worker's file ${path} does not exist; set workerFile, or ${HOW_TO_BUNDLE}`)
  }
  if (!isPackaged(ownFile) && !isPiscinaOutside()) checkPiscina(ownFolder)
}

/** Whether piscina is loaded from its own package: in a bundle it may have been left out. */
function isPiscinaOutside(): boolean {
  try {
    const require = createRequire(ownFile ?? '')
    const exported: unknown = require.cache[require.resolve('piscina')]?.exports
    // It exports the class, which has itself as a property.
    return typeof exported === 'function' && 'Piscina' in exported && exported.Piscina === Piscina
  } catch {
    return false
  }
}

/** Throws unless the file that piscina starts from a bundle in this folder is its own worker. */
function checkPiscina(folder: string | undefined): void {
  const file = `${folder ?? '.'}${sep}worker.js`
  const text = readText(file)
  if (text === undefined) {
    throw new Error(`piscina's worker ${file} does not exist; ${HOW_TO_BUNDLE}`)
  }
  if (!text.includes(PISCINA_MARK)) {
    throw new Error(`${file} is another program than piscina's worker; ${HOW_TO_BUNDLE}`)
  }
}

function isPackaged(file: string | undefined): boolean {
  return file !== undefined && PACKAGED.test(file)
}

function isMissing(path: string): boolean {
  try {
    statSync(path)
    return false
  } catch (thrown) {
    return codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ENOTDIR'
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return undefined
  }
}

/**
 * What the worker needs to find its modules as this thread does, and nothing else of the command line: it
 * must not differ from run to run by what the host preloads. Under Plug'n'Play (yarn's default) there is no
 * node_modules, and modules are found by a file that each thread has to load first.
 */
export function loaderOptions(): { execArgv: string[]; env: Record<string, string> } {
  const execArgv = process.execArgv.filter((flag) => /^--preserve-symlinks(-main)?$/.test(flag))
  const env: Record<string, string> = {}
  for (const name of ['NODE_PATH', 'NODE_PRESERVE_SYMLINKS']) {
    const value = process.env[name]
    if (value !== undefined) env[name] = value
  }
  const plugAndPlay = process.versions.pnp === undefined ? undefined : plugAndPlayFile()
  return {
    execArgv: plugAndPlay === undefined ? execArgv : ['--require', plugAndPlay, ...execArgv],
    env,
  }
}

/** The file that defines Plug'n'Play's resolution, such as `.pnp.cjs`. */
function plugAndPlayFile(): string | undefined {
  try {
    return createRequire(ownFile ?? join(process.cwd(), 'any.js')).resolve('pnpapi')
  } catch {
    return undefined
  }
}
