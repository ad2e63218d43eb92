import { readFileSync } from 'node:fs'
import type { Machine } from './machine'

/*
 * What a run of the benchmarks has found, as `--json` saves it: tables, comparisons and plots are made
 * of it.
 */

/** How much is measured. */
export interface Sizes {
  /** How often each measurement is made; figures are medians over them. */
  readonly repeats: number
  /** Milliseconds a measurement, where it is made by time. */
  readonly ms: number
  /** Samples a measurement, where it is made by count. */
  readonly samples: number
  /** Whether few of the combinations are enough. */
  readonly isQuick: boolean
}

/** A figure over the repeats. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** What tells a row from others, for whoever looks for it in a report. */
export type Labels = Readonly<Record<string, string | number>>

/** Latencies of all repeats together, as points of their distribution. */
export interface Curve {
  /** How many latencies there were: a percentile that rests on less than one says nothing. */
  readonly count: number
  readonly percents: readonly number[]
  readonly us: readonly number[]
}

/** One line of a benchmark's table. A figure's name ends with its unit. */
export interface Row {
  readonly name: string
  readonly labels: Labels
  readonly figures: Readonly<Record<string, Spread>>
  readonly curve?: Curve
  /** What its figures must be read with. */
  readonly remark?: string
}

/** A file that was read back: it held exactly the events that were acknowledged. */
export interface FileCheck {
  readonly name: string
  readonly acknowledged: number
  readonly lines: number
}

export interface Result {
  readonly rows: readonly Row[]
  readonly files: readonly FileCheck[]
  /** What was left out, and why. */
  readonly notes?: readonly string[]
}

/** What `--json` saves. */
export interface Report {
  readonly machine: Machine
  readonly sizes: Sizes
  readonly benchmarks: readonly (Result & { readonly name: string })[]
}

/** The row with these labels, if there is one. */
export function findRow(rows: readonly Row[], labels: Labels): Row | undefined {
  const wanted = Object.entries(labels)
  return rows.find((row) => wanted.every(([name, value]) => row.labels[name] === value))
}

/** Reads what `--json` has saved. Throws a RangeError where the file is something else, or the system's. */
export function readReport(file: string): Report {
  const report = parsed(readFileSync(file, 'utf8'))
  if (isReport(report)) return report
  throw new RangeError(`${file} is not what npm run bench -- --json saves`)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isReport(value: unknown): value is Report {
  const parts = ['machine', 'sizes', 'benchmarks']
  return typeof value === 'object' && value !== null && parts.every((part) => part in value)
}
