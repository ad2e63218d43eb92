import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from '../harness/benchmark'
import { checkLines, linesOf } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import { figuresOf, type Run, Trial } from '../harness/trial'
import { calls, lineOf } from '../harness/workload'

/*
 * The disk's limit without Node: peers/raw-sync.c, compiled when it is needed. It runs once on the thread that
 * wants the line written, and once with a second thread, as every writer must that does not block its caller.
 */

export const NO_COMPILER_NOTE = 'There is no C compiler (cc), so raw in C was left out.'

const NAME = 'raw in C'
const HANDED_NAME = 'raw in C, handed over'
const SOURCE = join(__dirname, '../peers', 'raw-sync.c')
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024

/** The trials of the program, which is compiled into `dir`; none without a compiler. */
export function rawSyncTrials(dir: string): Trial[] {
  if (!isCompilerThere()) return []
  const program = join(dir, 'raw-sync')
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-pthread', '-o', program, SOURCE])
  return [trialOf(NAME, program, []), trialOf(HANDED_NAME, program, ['handed'])]
}

function trialOf(name: string, program: string, mode: readonly string[]): Trial {
  const row = new RowBuilder(name, { contender: name, inFlight: 1 })
  return new Trial(row, async (context) => runRawSync(name, program, mode, context))
}

function isCompilerThere(): boolean {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Makes it record the workload's lines, and reads them back. */
function runRawSync(
  name: string,
  program: string,
  mode: readonly string[],
  { dir, ms }: Context,
): Run {
  const folder = join(dir, 'raw-sync-files')
  mkdirSync(folder)
  const lines = join(folder, 'lines')
  const path = join(folder, 'events')
  writeFileSync(lines, calls.map(lineOf).join(''))
  const options = { encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX } as const
  const printed = execFileSync(program, [lines, path, String(ms), ...mode], options)
  const allNs = printed.trimEnd().split('\n').map(Number)
  const ascendingNs = Float64Array.from(allNs.filter((ns) => ns >= 0)).sort()
  const expected = { acknowledged: allNs.length, calls, isOrdered: true }
  const file = checkLines(name, linesOf(path), expected)
  rmSync(folder, { recursive: true })
  const seconds = ascendingNs.reduce((sum, ns) => sum + ns, 0) / 1e9
  return { ascendingNs, file, measured: figuresOf(ascendingNs, ascendingNs.length / seconds) }
}
