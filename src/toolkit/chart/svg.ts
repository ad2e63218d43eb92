import { type BarChart, type Chart, formatOf, formatPlain, type Series } from './chart'
import { type Scale, scalesOf } from './scale'

const WIDTH = 640
const HEIGHT = 340
const LEFT = 76
const RIGHT = 20
const TOP = 48
const BOTTOM = 50
const LEGEND_LINE = 18
/** From the left of a legend's entry to its name, and from its name to the next. */
const LEGEND_NAME = 36
const LEGEND_GAP = 16
const BAR_LINE = 26
/** A line through more points is dense enough without a dot at each. */
const DOTS_MAX = 30
/** Kept free at the right, since some fonts are wide. */
const EDGE = 6
/** The rough width of a character at the font's size. */
const CHARACTER = 6.6

/** After Okabe and Ito, for colour-blind readers too; readable on white and on black. */
const COLORS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#7f7f7f',
  '#a67c00',
  '#8a6fdf',
  '#5f84a2',
  '#c2379b',
]
const DASHES = ['', '6 3', '2 3', '8 3 2 3']

// Presentation attributes would not follow the theme; a style sheet in the picture does.
const STYLE = `<style>
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-size: 14px; font-weight: 600 }
.grid { stroke: #ccc; stroke-width: 1 }
.mark { stroke: #c00; stroke-width: 1.5; stroke-dasharray: 5 4 }
.line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } .mark { stroke: #f66 } }
</style>`

/** A chart of lines as an SVG picture, for a light or a dark page. */
export function svgChart(chart: Chart): string {
  const { x, y, series, mark } = chart
  const { xScale, yScale } = scalesOf(chart)
  const entries = legend(series)
  const place = { x: placeX(xScale), y: placeY(yScale) }
  const body = [
    ...yScale.ticks.map((tick) => yTick(place.y(tick), formatOf(y)(tick))),
    ...xScale.ticks.map((tick) => xTick(place.x(tick), formatOf(x)(tick))),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, x.label, 'middle'),
    text(LEFT - 60, TOP - 14, y.label, 'start'),
    ...series.flatMap((one, i) => drawLine(one, one.style ?? i, place)),
    ...entries.marks,
    ...(mark === undefined ? [] : drawMark(mark.name, place.y(mark.y))),
  ]
  return picture(chart.title, HEIGHT + LEGEND_LINE * entries.lines, body)
}

/** A chart of bars as an SVG picture. */
export function svgBars({ title, bars, format = formatPlain }: BarChart): string {
  const names = Math.min(260, 24 + CHARACTER * Math.max(0, ...bars.map(({ name }) => name.length)))
  const values = 16 + CHARACTER * Math.max(0, ...bars.map(({ value }) => format(value).length))
  const max = Math.max(...bars.map(({ value }) => value), 0) || 1
  const body = bars.flatMap(({ name, value }, i) => {
    const top = TOP + i * BAR_LINE
    const width = (value / max) * (WIDTH - names - values)
    return [
      text(names - 8, top + 14, name, 'end'),
      `<rect x="${round(names)}" y="${top}" width="${round(width)}" height="18" fill="${COLORS[0]}"/>`,
      text(names + width + 6, top + 14, format(value), 'start'),
    ]
  })
  return picture(title, TOP + bars.length * BAR_LINE + 8, body)
}

interface Place {
  x(value: number): number
  y(value: number): number
}

function placeX(scale: Scale): (value: number) => number {
  return (value) => LEFT + scale.at(value) * (WIDTH - LEFT - RIGHT)
}

function placeY(scale: Scale): (value: number) => number {
  return (value) => HEIGHT - BOTTOM - scale.at(value) * (HEIGHT - TOP - BOTTOM)
}

function picture(title: string, height: number, body: readonly string[]): string {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeMarkup(title)}">`
  const heading = `<text class="title" x="${LEFT - 60}" y="18">${escapeMarkup(title)}</text>`
  return [open, STYLE, heading, ...body, '</svg>', ''].join('\n')
}

function xTick(x: number, label: string): string {
  const line = `<line class="grid" x1="${round(x)}" x2="${round(x)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`
  const rightmost = WIDTH - EDGE - (CHARACTER * label.length) / 2
  return line + text(Math.min(x, rightmost), HEIGHT - BOTTOM + 16, label, 'middle')
}

function yTick(y: number, label: string): string {
  const line = `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y)}" y2="${round(y)}"/>`
  return line + text(LEFT - 8, y + 4, label, 'end')
}

function drawLine({ points }: Series, style: number, place: Place): string[] {
  const at = points.map(([x, y]) => [round(place.x(x)), round(place.y(y))] as const)
  const dots = at.map(([x, y]) => dotAt(x, y, style))
  const line = `<polyline class="line" ${strokeOf(style)} points="${at.map(String).join(' ')}"/>`
  return [line, ...(points.length > DOTS_MAX ? [] : dots)]
}

function dotAt(x: number, y: number, style: number): string {
  return `<circle cx="${x}" cy="${y}" r="2.5" fill="${colorOf(style)}"/>`
}

function drawMark(name: string, y: number): string[] {
  const line = `<line class="mark" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y)}" y2="${round(y)}"/>`
  return [line, text(LEFT + 6, y - 5, name, 'start')]
}

/** The names of the lines, as many side by side as there is room for. */
function legend(series: readonly Series[]): { readonly marks: string[]; readonly lines: number } {
  const room = WIDTH - LEFT - RIGHT
  const longest = Math.max(0, ...series.map(({ name }) => name.length))
  const columns = Math.max(1, Math.floor(room / (LEGEND_NAME + CHARACTER * longest + LEGEND_GAP)))
  const marks = series.map(({ name, points, style }, i) => {
    const x = LEFT + (i % columns) * (room / columns)
    const y = HEIGHT + Math.floor(i / columns) * LEGEND_LINE
    const look = style ?? i
    const line = `<line class="line" ${strokeOf(look)} x1="${round(x)}" x2="${round(x + 28)}" y1="${y}" y2="${y}"/>`
    const dot = points.length > DOTS_MAX ? '' : dotAt(round(x + 14), y, look)
    return line + dot + text(x + LEGEND_NAME, y + 4, name, 'start')
  })
  return { marks, lines: Math.ceil(series.length / columns) }
}

/** Colours and dashes are of coprime number, so that 36 lines differ by one or the other. */
function strokeOf(style: number): string {
  const dash = DASHES[style % DASHES.length]
  return `stroke="${colorOf(style)}"${dash ? ` stroke-dasharray="${dash}"` : ''}`
}

function colorOf(style: number): string {
  return COLORS[style % COLORS.length] ?? ''
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeMarkup(content)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

/** Text as it stands in an XML or HTML document. */
export function escapeMarkup(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
