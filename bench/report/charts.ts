import {
  type Axis,
  type BarChart,
  type Chart,
  formatPlain,
  type Series,
} from '../../src/toolkit/chart/chart'
import { formatMs } from '../../src/toolkit/text/time'
import type { Row } from './report'

/*
 * Rows as lines and bars, for the plots of the benchmarks.
 */

/** These look the same in every chart; others take the styles after them. */
const STYLES: readonly string[] = [
  'x0x-exec-audit',
  'reference',
  'lmdb',
  'pino fsync',
  'raw',
  'SQLite',
  "method: 'none'",
  'raw in C',
  'generator alone',
]

/** Microseconds, shown in the unit that suits them. */
export function usAxis(label: string): Axis {
  return { label, scale: 'log', format: formatUs }
}

export function formatUs(us: number): string {
  return formatMs(us / 1_000)
}

/** Rates, or numbers of things at once, on a logarithmic scale. */
export function rateAxis(label: string): Axis {
  return { label, scale: 'log', format: formatCount }
}

/** A count with its thousands as k and its millions as M. */
export function formatCount(count: number): string {
  if (count >= 1e6) return `${formatPlain(count / 1e6)}M`
  return count >= 1e4 ? `${formatPlain(count / 1e3)}k` : formatPlain(count)
}

/** A line for each value of the label, through the medians of two figures, or of a label and one. */
export function seriesBy(rows: readonly Row[], label: string, x: string, y: string): Series[] {
  const names = [...new Set(rows.map(({ labels }) => String(labels[label])))]
  const series = names.map((name) => ({
    ...styled(name),
    points: rows
      .filter(({ labels }) => String(labels[label]) === name)
      .flatMap((row) => {
        const [at, value] = [numberOf(row, x), numberOf(row, y)]
        return at === undefined || value === undefined ? [] : [[at, value] as const]
      })
      .sort(([a], [b]) => a - b),
  }))
  return series.filter(({ points }) => points.length > 0)
}

function numberOf({ labels, figures }: Row, name: string): number | undefined {
  const label = labels[name]
  return typeof label === 'number' ? label : figures[name]?.median
}

/** A name, with the look that it has in every chart. */
function styled(name: string): Pick<Series, 'name' | 'style'> {
  const style = STYLES.indexOf(name)
  return style === -1 ? { name } : { name, style }
}

/** A bar for each row that has the figure. */
export function barsOf(
  title: string,
  rows: readonly Row[],
  figure: string,
  format: (value: number) => string,
): BarChart {
  const bars = rows.flatMap(({ name, figures }) => {
    const value = figures[figure]?.median
    return value === undefined ? [] : [{ name, value }]
  })
  return { title, bars, format }
}

/** The share of latencies at or below each. */
export function ecdfChart(title: string, rows: readonly Row[]): Chart {
  return {
    title,
    x: usAxis('latency'),
    y: { label: 'share at or below', scale: 'linear', format: (share) => `${share} %` },
    series: rows.flatMap(({ name, curve }) => {
      if (curve === undefined) return []
      const points = curve.us.map((us, i) => [us, curve.percents[i] ?? 0] as const)
      return [{ ...styled(name), points }]
    }),
  }
}

/** Latency by percentile, up to the last that rests on a whole latency. */
export function percentileChart(
  title: string,
  lines: readonly { readonly name: string; readonly row: Row }[],
): Chart {
  return {
    title,
    x: { label: 'percentile', scale: 'nines' },
    y: usAxis('latency'),
    series: lines.flatMap(({ name, row: { curve } }) => {
      if (curve === undefined) return []
      const { count, percents, us } = curve
      const points = us.map((value, i) => [percents[i] ?? 0, value] as const)
      const known = points.filter(([percent]) => count * (1 - percent / 100) >= 1 - 1e-9)
      return [{ name, points: known }]
    }),
  }
}
