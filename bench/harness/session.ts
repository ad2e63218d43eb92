import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { EARLY_END, untilDone } from '../../src/toolkit/early-end'
import { ackLatency } from '../benchmarks/ack-latency'
import { callCost } from '../benchmarks/call-cost'
import { coldStart } from '../benchmarks/cold-start'
import { gateway } from '../benchmarks/gateway'
import { handoff } from '../benchmarks/handoff'
import { idleCall } from '../benchmarks/idle-call'
import { idleWriter } from '../benchmarks/idle-writer'
import { memory } from '../benchmarks/memory'
import { openLoop } from '../benchmarks/open-loop'
import { seal } from '../benchmarks/seal'
import { ship } from '../benchmarks/ship'
import { slowDisk } from '../benchmarks/slow-disk'
import { stages } from '../benchmarks/stages'
import { throughput } from '../benchmarks/throughput'
import { verify } from '../benchmarks/verify'
import { describeMachine, machineLine } from '../report/machine'
import { plotText } from '../report/plots'
import type { FileCheck, Report, Sizes } from '../report/report'
import { formatTable, lastProgress, progress } from '../report/table'
import type { Benchmark, Context } from './benchmark'
import type { BenchOptions } from './options'

/** Every benchmark, in the order in which they are run. */
export const BENCHMARKS: readonly Benchmark[] = [
  callCost,
  idleCall,
  ackLatency,
  throughput,
  openLoop,
  slowDisk,
  stages,
  coldStart,
  idleWriter,
  memory,
  handoff,
  gateway,
  verify,
  seal,
  ship,
]

/** The benchmarks of these names, or all. Throws a RangeError for an unknown name. */
export function chosen(names: readonly string[]): readonly Benchmark[] {
  if (names.length === 0) return BENCHMARKS
  return names.map((name) => {
    const found = BENCHMARKS.find((benchmark) => benchmark.name === name)
    if (found !== undefined) return found
    const known = BENCHMARKS.map((benchmark) => benchmark.name).join(', ')
    throw new RangeError(`no benchmark is called ${JSON.stringify(name)}; there are ${known}`)
  })
}

/** Runs the benchmarks, and shows each one's table when it is done. */
export async function runAll(
  benchmarks: readonly Benchmark[],
  {
    dir: parent,
    plots,
    ...given
  }: Sizes & Pick<BenchOptions, 'dir' | 'plots'> & Pick<Context, 'against' | 'isForTargets'>,
): Promise<Report> {
  const { repeats, ms, samples, isQuick, against, isForTargets = false } = given
  // A table is always useful; a plot is in the way unless somebody sees it or has asked for it.
  const isPlotted = plots !== undefined || process.stdout.isTTY === true
  const sizes = { repeats, ms, samples, isQuick }
  return await withTempDir(parent, async (dir) => {
    const machine = describeMachine(dir)
    console.log(machineLine(machine))
    const results: Report['benchmarks'][number][] = []
    const context = { ...sizes, dir, against, isForTargets }
    for (const benchmark of benchmarks) {
      const result = await runOne(benchmark, context)
      const plotted = isPlotted ? plotText(benchmark, result.rows) : ''
      if (plotted !== '') console.log(plotted)
      results.push({ name: benchmark.name, ...result })
    }
    return { machine, sizes, benchmarks: results }
  })
}

async function runOne(benchmark: Benchmark, context: Omit<Context, 'progress'>) {
  const show = (text: string) => progress(`${benchmark.name}: ${text}`)
  show('begins')
  const result = await untilDone(benchmark.run({ ...context, progress: show }), reportEarlyEnd)
  progress('')
  console.log(`\n${benchmark.name}: ${benchmark.question}`)
  if (result.rows.length > 0) console.log(formatTable(result.rows))
  if (result.files.length > 0) console.log(filesLine(result.files))
  for (const note of result.notes ?? []) console.log(note)
  return result
}

function reportEarlyEnd(): void {
  const stage = lastProgress()
  progress('')
  console.error(`bench: ${EARLY_END} (${stage})`)
  process.exitCode = 1
}

function filesLine(files: readonly FileCheck[]): string {
  const lines = files.reduce((total, file) => total + file.lines, 0)
  const events = 'each acknowledged event once, and nothing else'
  return `Files read back: ${lines.toLocaleString('en-US')} lines, ${events}.`
}

/** Runs `use` with a fresh folder in `parent`, and removes it even if the process is interrupted. */
async function withTempDir<T>(parent: string, use: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(parent, 'bench-files-'))
  const remove = () => rmSync(dir, { recursive: true, force: true })
  const interrupt = () => process.exit(130)
  process.on('exit', remove)
  process.once('SIGINT', interrupt)
  try {
    return await use(dir)
  } finally {
    remove()
    process.off('exit', remove)
    process.off('SIGINT', interrupt)
  }
}
