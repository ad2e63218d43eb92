import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ackLatency } from './ack-latency'
import { callCost } from './call-cost'
import { handoff } from './handoff'
import {
  type Benchmark,
  type BenchOptions,
  type Context,
  describeMachine,
  type FileCheck,
  formatTable,
  machineLine,
  OPTIONS_HELP,
  progress,
  type Report,
  readOptions,
} from './harness'

const BENCHMARKS: readonly Benchmark[] = [callCost, ackLatency, handoff]

const HELP = `Usage: npm run bench -- [NAME...] [OPTIONS]

Benchmarks (all, unless named):
${BENCHMARKS.map(({ name, question }) => `  ${name.padEnd(12)}  ${question}`).join('\n')}

Options:
${OPTIONS_HELP}

Figures are medians over the repeats, with the smallest and largest in brackets.`

/** The benchmarks of these names, or all. Throws a RangeError for a name that there is not. */
function chosen(names: readonly string[]): readonly Benchmark[] {
  if (names.length === 0) return BENCHMARKS
  return names.map((name) => {
    const found = BENCHMARKS.find((benchmark) => benchmark.name === name)
    if (found !== undefined) return found
    const known = BENCHMARKS.map((benchmark) => benchmark.name).join(', ')
    throw new RangeError(`no benchmark is called ${JSON.stringify(name)}; there are ${known}`)
  })
}

function filesLine(files: readonly FileCheck[]): string {
  const lines = files.reduce((total, file) => total + file.lines, 0)
  const events = 'each acknowledged event once, and nothing else'
  return `Files read back: ${lines.toLocaleString('en-US')} lines, ${events}.`
}

async function runOne(benchmark: Benchmark, context: Context) {
  const result = await benchmark.run(context)
  progress('')
  console.log(`\n${benchmark.name}: ${benchmark.question}`)
  console.log(formatTable(result.rows))
  if (result.files.length > 0) console.log(filesLine(result.files))
  return { name: benchmark.name, ...result }
}

/** Runs `use` with a fresh folder in `parent`, and removes it also when the process is interrupted. */
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

async function runAll(benchmarks: readonly Benchmark[], options: BenchOptions): Promise<Report> {
  const { repeats, ms, samples } = options
  return await withTempDir(options.dir, async (dir) => {
    const machine = describeMachine(dir)
    console.log(machineLine(machine))
    const results: Report['benchmarks'][number][] = []
    const context = { repeats, ms, samples, dir, progress }
    for (const benchmark of benchmarks) results.push(await runOne(benchmark, context))
    return { machine, sizes: { repeats, ms, samples }, benchmarks: results }
  })
}

/** The command line's options and benchmarks; undefined, once it has said why, if they are wrong. */
function readCommandLine() {
  try {
    const options = readOptions(process.argv.slice(2))
    return { options, benchmarks: chosen(options.names) }
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    console.error(`bench: ${reason} (--help shows the usage)`)
    return undefined
  }
}

async function main(): Promise<void> {
  const command = readCommandLine()
  if (command === undefined) {
    process.exitCode = 2
    return
  }
  const { options, benchmarks } = command
  if (options.isHelp) {
    console.log(HELP)
    return
  }
  const report = await runAll(benchmarks, options)
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`)
  }
}

main().catch((thrown: unknown) => {
  progress('')
  console.error(thrown)
  process.exitCode = 1
})
