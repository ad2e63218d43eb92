/*
 * The plots of a saved report: `npm run bench:plot old.json` prints them, with `--out DIR` they are
 * saved as SVG too.
 */
import { parseArgs } from 'node:util'
import { orUsage } from './harness/command-line'
import { BENCHMARKS } from './harness/session'
import { plotFiles, plotText, writePlots } from './report/plots'
import { readReport } from './report/report'

const HELP = `Usage: npm run bench:plot -- REPORT.json [--out DIR]

Prints the plots of a report that npm run bench -- --json has saved.

Options:
  --out DIR  saves them as SVG, too
  --help     this text

Examples:
  npm run bench -- open-loop --json now.json
  npm run bench:plot -- now.json --out plots`

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string' }, help: { type: 'boolean', default: false } },
  })
  const [file] = positionals
  if (values.help) {
    console.log(HELP)
    return
  }
  if (file === undefined || positionals.length > 1) {
    throw new RangeError(`expected one report, got ${positionals.length}`)
  }
  const report = readReport(file)
  for (const { name, rows } of report.benchmarks) {
    const benchmark = BENCHMARKS.find((one) => one.name === name)
    const text = plotText(benchmark, rows)
    if (text !== '') console.log(text)
  }
  if (values.out !== undefined) writePlots(values.out, plotFiles(report, BENCHMARKS))
}

orUsage('bench:plot', main)
