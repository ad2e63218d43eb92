import type { BarChart, Chart } from '../../src/toolkit/chart/chart'
import type { Result, Row, Sizes } from '../report/report'

/** The sizes, folder and display that a benchmark runs with. */
export interface Context extends Sizes {
  /** A folder for its files, removed at the end. */
  readonly dir: string
  /** A built checkout whose writer is measured beside this one, in turns with it. */
  readonly against?: string | undefined
  /** Whether only what the targets need is measured. */
  readonly isForTargets?: boolean
  /** Shows the measurement under way. */
  progress(text: string): void
}

/** One question, and how it is answered. */
export interface Benchmark {
  readonly name: string
  readonly question: string
  run(context: Context): Promise<Result>
  /** Pictures of its rows. */
  plots?(rows: readonly Row[]): readonly Plot[]
}

/** A picture of a benchmark's rows. */
export interface Plot {
  /** The picture's file is called after the benchmark and this. */
  readonly name: string
  readonly chart: Chart | BarChart
  /** Whether docs/performance.md shows it. */
  readonly isForReadme?: boolean
}

/** The values of `list`, starting with another one each time, so that none is always first. */
export function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const first = by % list.length
  return [...list.slice(first), ...list.slice(0, first)]
}
