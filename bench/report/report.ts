import { readFileSync } from 'node:fs'
import type { Spread } from '../harness/statistics'

/*
 * The figures of one run of the benchmarks, as `--json` saves them: the source of tables, comparisons and
 * plots.
 */

/** The machine and disk that the figures depend on. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly fileSystem: string
  /** The block device that holds the file system, such as `nvme0n1`. */
  readonly device: string
  /** The kernel's idea of the device's cache: a sync must flush `write back`. */
  readonly writeCache: string
  readonly node: string
  /** One `write` and `fdatasync` of a 350 byte line, nearest-rank median. */
  readonly rawSyncP50Us: number
}

/** How much is measured. */
export interface Sizes {
  /** The repeats of each measurement; figures are medians over them. */
  readonly repeats: number
  /** Milliseconds per measurement, if it is made by time. */
  readonly ms: number
  /** Samples per measurement, if it is made by count. */
  readonly samples: number
  /** Whether few of the combinations are enough. */
  readonly isQuick: boolean
}

/** The values by which a row of a report is found. */
export type Labels = Readonly<Record<string, string | number>>

/** Latencies of all repeats together, as points of their distribution. */
export interface Curve {
  /** The number of latencies: a percentile that rests on less than one says nothing. */
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
  /** A reservation about its figures. */
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
  /** Measurements that were left out, and why. */
  readonly notes?: readonly string[]
}

/** The contents of the file that `--json` saves. */
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

/** Reads a saved report. Throws a RangeError if the file holds something else, or the system's error. */
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
