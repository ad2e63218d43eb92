import { type BarChart, type Chart, formatOf, formatPlain, type Point, type Series } from './chart'
import { type Scale, scalesOf } from './scale'

/** How many characters the plot itself takes. */
interface TextSize {
  readonly width: number
  readonly height: number
}

const SIZE: TextSize = { width: 60, height: 14 }
const MARKERS = ['*', 'o', '+', 'x', '#', '@', '%', '=', '~']
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A chart of lines in characters. */
export function textChart(chart: Chart, size = SIZE): string {
  const { x, y, series, mark } = chart
  const { xScale, yScale } = scalesOf(chart)
  const rows = Array.from({ length: size.height }, () => Array<string>(size.width).fill(' '))
  if (mark !== undefined) rows[rowOf(yScale, mark.y, size)]?.fill('-')
  for (const [i, one] of series.entries()) {
    drawSeries(one, markerOf(one.style ?? i), rows, xScale, yScale)
  }

  const labels = labelRows(yScale, formatOf(y), size)
  const margin = Math.max(...labels.map(({ length }) => length))
  const indent = ' '.repeat(margin)
  return [
    chart.title,
    `${indent} ${y.label}`,
    ...rows.map((row, i) => `${labels[i]?.padStart(margin)} │${row.join('')}`.trimEnd()),
    `${indent} └${'─'.repeat(size.width)}`,
    `${indent}  ${labelLine(xScale, formatOf(x), size.width)}`.trimEnd(),
    `${indent}  ${x.label}`,
    ...series.map(({ name, style }, i) => `${indent}  ${markerOf(style ?? i)} ${name}`),
    ...(mark === undefined ? [] : [`${indent}  - ${mark.name}`]),
  ].join('\n')
}

/** Bars in characters. */
export function textBars({ title, bars, format = formatPlain }: BarChart, width = 40): string {
  const names = Math.max(0, ...bars.map(({ name }) => name.length))
  const max = Math.max(...bars.map(({ value }) => value), 0) || 1
  const lines = bars.map(
    ({ name, value }) => `${name.padEnd(names)}  ${bar((value / max) * width)} ${format(value)}`,
  )
  return [title, ...lines].join('\n')
}

function bar(width: number): string {
  const eighths = Math.round(width * 8)
  return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '')
}

function drawSeries(
  { points }: Series,
  marker: string,
  rows: string[][],
  xScale: Scale,
  yScale: Scale,
): void {
  const size = { width: rows[0]?.length ?? 0, height: rows.length }
  const cells = points.map(([x, y]): Point => [columnOf(xScale, x, size), rowOf(yScale, y, size)])
  for (const [i, to] of cells.entries()) {
    for (const [column, row] of between(cells[i - 1] ?? to, to)) {
      const line = rows[row]
      if (line !== undefined) line[column] = marker
    }
  }
}

/** The cells of a straight line, one per column. */
function between([fromX, fromY]: Point, [toX, toY]: Point): Point[] {
  const steps = Math.max(1, toX - fromX)
  return Array.from({ length: steps + 1 }, (_, i) => [
    Math.round(fromX + ((toX - fromX) * i) / steps),
    Math.round(fromY + ((toY - fromY) * i) / steps),
  ])
}

function columnOf(scale: Scale, value: number, { width }: TextSize): number {
  return Math.round(scale.at(value) * (width - 1))
}

function rowOf(scale: Scale, value: number, { height }: TextSize): number {
  return height - 1 - Math.round(scale.at(value) * (height - 1))
}

function labelRows(scale: Scale, format: (value: number) => string, size: TextSize): string[] {
  const labels = Array<string>(size.height).fill('')
  for (const tick of scale.ticks) labels[rowOf(scale, tick, size)] = format(tick)
  return labels
}

/** The x axis's labels, each under its place; one that would touch another is left out. */
function labelLine(scale: Scale, format: (value: number) => string, width: number): string {
  let line = ''
  for (const tick of scale.ticks) {
    const label = format(tick)
    const column = columnOf(scale, tick, { width, height: 1 })
    const start = Math.max(0, Math.min(column - Math.floor(label.length / 2), width - label.length))
    if (line === '' || start > line.length) line = line.padEnd(start) + label
  }
  return line
}

function markerOf(index: number): string {
  return MARKERS[index % MARKERS.length] ?? '*'
}
