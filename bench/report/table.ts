import { painter } from '../../src/toolkit/text/colour'
import type { Spread } from '../harness/statistics'
import type { Row } from './report'

export const paint = painter(process.stdout)

let shown = ''

/** Rewrites one line on a terminal; prints nothing elsewhere. */
export function progress(text: string): void {
  shown = text
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`)
}

/** The text last given to {@link progress}, on a terminal or not. */
export function lastProgress(): string {
  return shown
}

export function formatNumber(value: number): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

/** A figure's heading: that of `p50Us` is `p50 us`. */
export function headingOf(figure: string): string {
  return figure.replace(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`)
}

/** A table of medians, each with its smallest and largest in brackets. */
export function formatTable(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.figures)))]
  const headings = names.map(headingOf)
  const cells = rows.map((row) => names.map((name) => cellOf(row.figures[name])))
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const nameWidth = Math.max(...rows.map((row) => row.name.length))
  const line = (name: string, columns: readonly string[]) =>
    [name.padEnd(nameWidth), ...columns.map((text, i) => text.padStart(widths[i] ?? 0))].join('  ')
  const body = rows.map(({ name, remark }, i) => {
    const text = line(name, cells[i] ?? []).replace(/\(.*?\)/g, (s) => paint('dim', s))
    return remark === undefined ? text : `${text}  ${paint('red', remark)}`
  })
  return [paint('bold', line('', headings)), ...body].join('\n')
}

export function cellOf(spread: Spread | undefined): string {
  if (spread === undefined) return '-'
  const { median, min, max } = spread
  return `${formatNumber(median)} (${formatNumber(min)}..${formatNumber(max)})`
}

/** Lines of cells, each column as wide as its widest; the first line is the heading. */
export function columns(lines: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const line of lines) {
    line.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    })
  }
  const texts = lines.map((line) =>
    line.map((cell, i) => (i < line.length - 1 ? cell.padEnd(widths[i] ?? 0) : cell)).join('  '),
  )
  return texts.map((text, i) => (i === 0 ? paint('bold', text.trimEnd()) : text)).join('\n')
}
