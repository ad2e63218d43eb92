import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Spread } from '../harness/statistics'
import { machineLine } from './machine'
import { type PlotFile, writePlots } from './plots'
import { findRow, type Report, type Row } from './report'
import { formatNumber } from './table'

/*
 * The tables and plots of docs/performance.md, made from a report: it replaces what stands between the two
 * marks. Figures that were not measured are left blank.
 */

const DOCS = join(__dirname, '../../docs')
const PAGE = join(DOCS, 'performance.md')
const PLOTS = 'plots'
const BEGIN = '<!-- bench: npm run bench:peers -- --readme -->'
const END = '<!-- /bench -->'
const EVENT_BYTES = 350
/** The benchmarks that the tables and plots are read from. */
export const README_BENCHMARKS = [
  'call-cost',
  'ack-latency',
  'throughput',
  'open-loop',
  'slow-disk',
]

const README_SHARE = 0.25

/** Replaces what stands between the marks of the page, and the pictures that it shows. */
export function writeReadme(report: Report, plots: readonly PlotFile[]): void {
  const shown = plots.filter(({ isForReadme }) => isForReadme)
  const text = readFileSync(PAGE, 'utf8')
  writeFileSync(PAGE, withTables(text, report, shown))
  writePlots(join(DOCS, PLOTS), shown)
}

/** The text with the tables and pictures between its marks. Throws if it has none. */
export function withTables(text: string, report: Report, plots: readonly PlotFile[]): string {
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin === -1 || end < begin) throw new Error(`docs/performance.md has no ${BEGIN} ... ${END}`)
  const middle = [readmeTables(report), ...plots.map(imageOf)].join('\n\n')
  return `${text.slice(0, begin + BEGIN.length)}\n\n${middle}\n\n${text.slice(end)}`
}

function imageOf({ name, title }: PlotFile): string {
  return `![${title}](${PLOTS}/${name})`
}

/** The tables as Markdown. */
export function readmeTables(report: Report): string {
  const { machine, sizes } = report
  const head = `Medians of ${sizes.repeats} repeats with the smallest and largest, the contenders taking turns, each file read
back. Made by \`npm run bench:peers -- --readme\` on: ${machineLine(machine)}.
Compare within a table, not with another machine's.`
  const tables = [latencyTable, throughputTable, openLoopTable, costTable]
  return [head, ...tables.map((table) => table(report))].join('\n\n')
}

function rowsOf({ benchmarks }: Report, name: string): readonly Row[] {
  return benchmarks.find((benchmark) => benchmark.name === name)?.rows ?? []
}

function contendersOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.map(({ labels }) => String(labels.contender)))]
}

function latencyTable(report: Report): string {
  const rows = rowsOf(report, 'ack-latency')
  const figures = ['p50Us', 'p99Us', 'p999Us', 'maxUs']
  const lines = rows.map(({ name, figures: found }) => [
    name,
    ...figures.map((figure) => cell(found[figure])),
  ])
  return markdown(['µs until durable, 1 in flight', 'p50', 'p99', 'p99.9', 'max'], lines)
}

function throughputTable(report: Report): string {
  const rows = rowsOf(report, 'throughput').filter(
    ({ labels }) => labels.eventBytes === EVENT_BYTES,
  )
  const counts = [...new Set(rows.map(({ labels }) => Number(labels.inFlight)))]
  const lines = contendersOf(rows).map((contender) => [
    contender,
    ...counts.map((inFlight) =>
      cell(findRow(rows, { contender, inFlight })?.figures.eventsPerSecond),
    ),
  ])
  const headings = counts.map((count) => `${count.toLocaleString('en-US')} in flight`)
  return markdown([`durable events of ${EVENT_BYTES} B per second`, ...headings], lines)
}

/** Latencies at a quarter of each contender's saturation, and the knee of its latency. */
function openLoopTable(report: Report): string {
  const rows = rowsOf(report, 'open-loop')
  const shares = rows.filter(({ labels }) => labels.share === README_SHARE)
  const lines = contendersOf(shares).map((contender) => {
    const figuresAt = (point: string) => findRow(rows, { contender, point })?.figures
    const quarter = findRow(shares, { contender })?.figures
    return [
      contender,
      cell(figuresAt('saturation')?.achievedPerSecond),
      cell(figuresAt('knee')?.ratePerSecond),
      ...['p50Us', 'p99Us', 'p999Us'].map((figure) => cell(quarter?.[figure])),
    ]
  })
  const headings = ['at most, per second', 'knee, per second', 'p50', 'p99', 'p99.9']
  return markdown(['µs until durable, at a quarter of the most', ...headings], lines)
}

function costTable(report: Report): string {
  const rows = rowsOf(report, 'call-cost')
  const figures = ['callNs', 'wholeNs'] as const
  const methods = ['request', 'exit']
  const lines = contendersOf(rows).map((contender) => [
    contender,
    ...methods.flatMap((method) => {
      const found = findRow(rows, { contender, method })?.figures
      return figures.map((figure) => cell(found?.[figure]))
    }),
  ])
  const headings = methods.flatMap((method) => [`\`${method}\`, the call`, `\`${method}\`, in all`])
  return markdown(['ns of the calling thread per event', ...headings], lines)
}

function cell(spread: Spread | undefined): string {
  if (spread === undefined) return ''
  const { median, min, max } = spread
  return `${formatNumber(median)} (${formatNumber(min)}..${formatNumber(max)})`
}

function markdown(headings: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) =>
    Math.max(heading.length, ...lines.map((line) => line[i]?.length ?? 0)),
  )
  const lineOf = (cells: readonly string[]) =>
    `| ${cells.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const rule = widths.map((width) => '-'.repeat(width))
  return [headings, rule, ...lines].map(lineOf).join('\n')
}
