import { readdirSync } from 'node:fs'

const MIB = 2 ** 20
const EIGHTHS = ' ▁▂▃▄▅▆▇█'
const ROWS = 6
const COLUMNS_MAX = 72

/** The process's resources at one moment. */
export interface Sample {
  readonly rss: number
  readonly descriptors: number
  readonly workers: number
}

export function takeSample(workers: number): Sample {
  const descriptors = readdirSync('/proc/self/fd').length
  return { rss: process.memoryUsage.rss(), descriptors, workers }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** The quarter of the values with this number, from 0. */
export function quarter<T>(values: readonly T[], number: number): readonly T[] {
  const at = (part: number) => Math.floor((values.length * part) / 4)
  return values.slice(at(number), at(number + 1))
}

/** Draws the values over time, from 0 to their largest. */
export function plot(bytes: readonly number[]): string {
  const columns = Math.min(COLUMNS_MAX, bytes.length)
  const heights = Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column * bytes.length) / columns)
    const to = Math.max(from + 1, Math.floor(((column + 1) * bytes.length) / columns))
    return median(bytes.slice(from, to))
  })
  const max = Math.max(1, ...heights)
  const rows = Array.from({ length: ROWS }, (_, row) => {
    const floor = (ROWS - 1 - row) * 8
    const cell = (height: number) =>
      EIGHTHS[Math.max(0, Math.min(8, Math.round((height / max) * ROWS * 8) - floor))] ?? ' '
    const label = row === 0 ? `${(max / MIB).toFixed(0)} MiB` : row === ROWS - 1 ? '0' : ''
    return `${label.padStart(9)} │${heights.map(cell).join('')}`
  })
  return rows.join('\n')
}
