import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { libraryOf } from './contenders/built-in'
import { orUsage, usableFolder } from './harness/command-line'
import { OPTIONS_HELP, readOptions } from './harness/options'
import { BENCHMARKS, chosen, runAll } from './harness/session'
import { plotFiles, writePlots } from './report/plots'
import { README_BENCHMARKS, writeReadme } from './report/readme'
import { progress } from './report/table'
import { formatTargets, TARGET_BENCHMARKS } from './report/targets'

const HELP = `Usage: npm run bench -- [NAME...] [OPTIONS]
       npm run bench:peers -- [NAME...] [OPTIONS]

The second form also installs the peers to compare with, in bench/peers.

Benchmarks (all, unless named):
${BENCHMARKS.map(({ name, question }) => `  ${name.padEnd(12)}  ${question}`).join('\n')}

Options:
${OPTIONS_HELP}

Figures are medians over the repeats, with the smallest and largest in brackets.

Examples:
  npm run bench -- idle-call call-cost
  npm run bench -- throughput --repeats 3 --json now.json
  npm run bench -- --targets --against ../before
  npm run bench -- --quick`

/** The command line's options and benchmarks. Throws what is wrong. */
function readCommandLine() {
  const options = readOptions(process.argv.slice(2))
  const isForTargets = options.names.length === 0 && options.hasTargets && !options.isForReadme
  const needed = options.isForReadme ? README_BENCHMARKS : isForTargets ? TARGET_BENCHMARKS : []
  const benchmarks = chosen(options.names.length === 0 ? needed : options.names)
  if (!options.isHelp) {
    // A folder that cannot be written to is better found before the run than after it.
    usableFolder(options.dir)
    if (options.json !== undefined) usableFolder(dirname(options.json))
    if (options.against !== undefined) libraryOf(options.against)
    if (options.plots !== undefined) mkdirSync(options.plots, { recursive: true })
  }
  return { options: { ...options, isForTargets }, benchmarks }
}

async function main(): Promise<void> {
  // A promise that never settles would end the process as if all were well.
  process.exitCode = 1
  const command = orUsage('bench', readCommandLine)
  if (command === undefined) return
  const { options, benchmarks } = command.value
  if (options.isHelp) {
    console.log(HELP)
  } else {
    const report = await runAll(benchmarks, options)
    if (options.hasTargets) console.log(`\n${formatTargets(report)}`)
    if (options.json !== undefined) {
      writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`)
    }
    const plots = plotFiles(report, BENCHMARKS)
    if (options.plots !== undefined) writePlots(options.plots, plots)
    if (options.isForReadme) writeReadme(report, plots)
  }
  process.exitCode = 0
}

main().catch((thrown: unknown) => {
  progress('')
  console.error(thrown)
})
