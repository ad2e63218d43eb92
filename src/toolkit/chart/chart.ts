import { percentile } from '../load/samples'

/** A chart, drawn as SVG by svg.ts or as text by text.ts. */
export interface Chart {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
  /** A value of the y axis to mark across the chart, such as a limit. */
  readonly mark?: { readonly name: string; readonly y: number }
}

/** How an axis maps its values: `nines` is for percentiles, each further nine as wide as the last. */
export type ScaleKind = 'linear' | 'log' | 'nines'

export interface Axis {
  readonly label: string
  readonly scale: ScaleKind
  /** How a tick is written; plain numbers by default. */
  readonly format?: (value: number) => string
}

export interface Series {
  readonly name: string
  /** Ascending in x. */
  readonly points: readonly Point[]
  /** Which colour and marker it has, to look the same in several charts; its place by default. */
  readonly style?: number
}

export type Point = readonly [x: number, y: number]

/** Bars, one below the other. */
export interface BarChart {
  readonly title: string
  readonly bars: readonly { readonly name: string; readonly value: number }[]
  readonly format?: (value: number) => string
}

/** The percentiles of ascending values as points (percent, value), denser towards the tail. */
export function percentileCurve(ascending: ArrayLike<number>): Point[] {
  const percents = [0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 99.999]
  const { length } = ascending
  // A percentile that rests on less than one value is not drawn.
  const known = percents.filter((percent) => length * (1 - percent / 100) >= 1 - 1e-9)
  return known.map((percent) => [percent, percentile(ascending, percent)])
}

/** The share of ascending values at or below each, as at most `pointsMax` points (value, share). */
export function ecdf(ascending: ArrayLike<number>, pointsMax = 200): Point[] {
  const { length } = ascending
  const count = Math.min(length, pointsMax)
  return Array.from({ length: count }, (_, i) => {
    const rank = Math.ceil(((i + 1) * length) / count)
    return [ascending[rank - 1] ?? 0, rank / length]
  })
}

/** How the ticks of an axis are written: a percentile keeps all its nines. */
export function formatOf({ scale, format }: Axis): (value: number) => string {
  return format ?? (scale === 'nines' ? String : formatPlain)
}

/** A plain number, with the thousands apart and no more digits than one reads. */
export function formatPlain(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 3 })
}
