/*
 * What has moved since a report was saved? `npm run bench:compare old.json` runs its benchmarks again at its
 * sizes; with a second report nothing is run, and the two are compared.
 */
import { parseArgs } from 'node:util'
import { orUsage, usableFolder } from './harness/command-line'
import { readOptions } from './harness/options'
import { chosen, runAll } from './harness/session'
import { machineLine } from './report/machine'
import { compare, formatMoves } from './report/moves'
import { type Machine, type Report, readReport } from './report/report'
import { paint, progress } from './report/table'

const HELP = `Usage: npm run bench:compare -- OLD.json [NEW.json] [--dir DIR]

Prints what moved beyond the spread of the repeats since OLD.json was saved (by npm run bench -- --json).
Without NEW.json, the same benchmarks are run now.`

/** Warns if the machines differ, since every figure may then differ as well. */
function warnAboutMachine(old: Machine, now: Machine): void {
  const keys = ['cpu', 'cores', 'kernel', 'fileSystem', 'device', 'writeCache', 'node'] as const
  const differences = keys.filter((key) => old[key] !== now[key])
  console.log(`then: ${machineLine(old)}\nnow:  ${machineLine(now)}`)
  if (differences.length > 0) {
    console.log(paint('red', `The machines differ in: ${differences.join(', ')}.`))
  }
}

/** The reports to compare; undefined if only the usage is asked for. Throws what is wrong. */
function readCommandLine() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { dir: { type: 'string', default: '.' }, help: { type: 'boolean', default: false } },
  })
  if (values.help) return undefined
  const [oldFile, newFile] = positionals
  if (oldFile === undefined || positionals.length > 2) {
    throw new RangeError(`expected one report or two, got ${positionals.length}`)
  }
  const now = newFile === undefined ? undefined : readReport(newFile)
  return { old: readReport(oldFile), now, dir: usableFolder(values.dir) }
}

async function main(): Promise<void> {
  // A promise that never settles would end the process as if all were well.
  process.exitCode = 1
  const asked = orUsage('bench:compare', readCommandLine)
  if (asked === undefined) return
  if (asked.value === undefined) {
    console.log(HELP)
  } else {
    const { old, dir } = asked.value
    const now = asked.value.now ?? (await runAgain(old, dir))
    warnAboutMachine(old.machine, now.machine)
    console.log(formatMoves(compare(old, now)))
  }
  process.exitCode = 0
}

async function runAgain({ benchmarks, sizes }: Report, parent: string): Promise<Report> {
  const { dir, plots } = readOptions(['--dir', parent])
  return await runAll(chosen(benchmarks.map(({ name }) => name)), { ...sizes, dir, plots })
}

main().catch((thrown: unknown) => {
  progress('')
  console.error(thrown)
})
