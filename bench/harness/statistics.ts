import { percentile as nearestRank } from '../../src/toolkit/load/samples'

/** A figure over the repeats. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The nearest-rank percentile of ascending values. Throws a RangeError if there are none. */
export function percentile(ascending: ArrayLike<number>, p: number): number {
  if (ascending.length === 0) throw new RangeError('percentile of no values')
  return nearestRank(ascending, p)
}

/** The nearest-rank median of values in any order. */
export function median(values: readonly number[]): number {
  return percentile(
    [...values].sort((a, b) => a - b),
    50,
  )
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The median, and the smallest and largest, of a figure's repeats. */
export function spreadOf(values: readonly number[]): Spread {
  const ascending = [...values].sort((a, b) => a - b)
  const middle = ascending.length / 2
  const lower = ascending[Math.ceil(middle) - 1] ?? Number.NaN
  const upper = ascending[Math.floor(middle)] ?? Number.NaN
  return {
    median: (lower + upper) / 2,
    min: ascending[0] ?? Number.NaN,
    max: ascending.at(-1) ?? Number.NaN,
  }
}
