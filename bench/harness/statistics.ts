import type { Spread } from '../report/report'

/** The nearest-rank percentile of ascending values: one of them, with `p` percent at or below it. */
export function percentile(ascending: ArrayLike<number>, p: number): number {
  const rank = Math.ceil((p / 100) * ascending.length)
  const value = ascending[Math.max(rank, 1) - 1]
  if (value === undefined) throw new RangeError('percentile of no values')
  return value
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
