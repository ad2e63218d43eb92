import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { machineLine } from './machine'
import { findRow, type Report, type Row, type Spread } from './report'
import { formatNumber } from './table'

/*
 * The tables of the README's "How fast", made of a report: what stands between the two marks is
 * replaced. Figures that were not measured are left blank.
 */

const README = join(__dirname, '..', 'README.md')
const BEGIN = '<!-- bench: npm run bench:peers -- --readme -->'
const END = '<!-- /bench -->'
const EVENT_BYTES = 350

/** Replaces what stands between the marks in the README. */
export function writeReadme(report: Report): void {
  const text = readFileSync(README, 'utf8')
  writeFileSync(README, withTables(text, report))
}

/** The text with the tables between its marks. Throws where it has none. */
export function withTables(text: string, report: Report): string {
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin === -1 || end < begin) throw new Error(`README.md has no ${BEGIN} ... ${END}`)
  return `${text.slice(0, begin + BEGIN.length)}\n\n${readmeTables(report)}\n\n${text.slice(end)}`
}

/** The tables as Markdown. */
export function readmeTables(report: Report): string {
  const { machine, sizes } = report
  const head = `Medians of ${sizes.repeats} repeats with the smallest and largest, the contenders taking turns, each file read
back. Made by \`npm run bench:peers -- --readme\` on: ${machineLine(machine)}.
Compare within a table, not with another machine's.`
  return [head, latencyTable(report), throughputTable(report), costTable(report)].join('\n\n')
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
  return markdown([`durable events of ${EVENT_BYTES} B a second`, ...headings], lines)
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
  return markdown(['ns of the calling thread an event', ...headings], lines)
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
