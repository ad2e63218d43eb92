import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { BarChart, Chart } from '../../src/toolkit/chart/chart'
import type { Curve, Labels, Result, Row, Sizes } from '../report/report'
import { percentile, spreadOf } from './statistics'

export * from '../report/report'
export { mean, median, percentile } from './statistics'

/** What the command line asks for. */
export interface BenchOptions extends Sizes {
  readonly names: readonly string[]
  readonly isHelp: boolean
  /** Where the report goes as JSON. */
  readonly json: string | undefined
  /** Whether the targets are shown. */
  readonly hasTargets: boolean
  /** The folder in which the plots are saved. */
  readonly plots: string | undefined
  /** Whether the README's tables and plots are made of it. */
  readonly isForReadme: boolean
  /** The folder in which a temporary one is made for the benchmarks' files. */
  readonly dir: string
}

/** What a benchmark is given. */
export interface Context extends Sizes {
  /** A folder for its files, removed at the end. */
  readonly dir: string
  /** Shows what is being measured. */
  progress(text: string): void
}

/** One question, and how it is answered. */
export interface Benchmark {
  readonly name: string
  readonly question: string
  run(context: Context): Promise<Result>
  /** What its rows look like as pictures. */
  plots?(rows: readonly Row[]): readonly Plot[]
}

/** A picture of a benchmark's rows. */
export interface Plot {
  /** The picture's file is called after the benchmark and this. */
  readonly name: string
  readonly chart: Chart | BarChart
  /** Whether README.md shows it. */
  readonly isForReadme?: boolean
}

const FULL: Sizes = { repeats: 5, ms: 500, samples: 100, isQuick: false }
const QUICK: Sizes = { repeats: 2, ms: 30, samples: 4, isQuick: true }

export const OPTIONS_HELP = `  --repeats N   how often each measurement is made (default ${FULL.repeats})
  --ms N        milliseconds a measurement, where it goes by time (default ${FULL.ms})
  --samples N   samples a measurement, where it goes by count (default ${FULL.samples})
  --quick       small sizes: it shows that the benchmarks work, not what they measure
  --dir DIR     where a temporary folder for the files is made (default the current folder)
  --json FILE   saves the figures
  --targets     shows which targets are reached; without names, runs what they need
  --plots DIR   saves the plots as SVG; without a terminal, prints them too
  --readme      writes the tables and plots of README.md; without names, runs what they need
  --help        this text`

/** Reads the command line. Throws a TypeError or RangeError that says what is wrong. */
export function readOptions(args: readonly string[]): BenchOptions {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      repeats: text,
      ms: text,
      samples: text,
      json: text,
      dir: text,
      plots: text,
      quick: flag,
      readme: flag,
      targets: flag,
      help: flag,
    },
  })
  const sizes = values.quick ? QUICK : FULL
  return {
    names: positionals,
    isHelp: values.help,
    repeats: countOf('--repeats', values.repeats, sizes.repeats),
    ms: countOf('--ms', values.ms, sizes.ms),
    samples: countOf('--samples', values.samples, sizes.samples),
    isQuick: sizes.isQuick,
    json: values.json,
    plots: values.plots,
    isForReadme: values.readme,
    hasTargets: values.targets,
    dir: resolve(values.dir ?? '.'),
  }
}

function countOf(option: string, text: string | undefined, fallback: number): number {
  const count = Number(text ?? fallback)
  if (Number.isSafeInteger(count) && count > 0) return count
  throw new RangeError(`${option}: expected a whole number from 1, got ${JSON.stringify(text)}`)
}

/** How {@link sampleNs} measures. */
export interface Sampling {
  /** At least so many milliseconds are spent in the calls that are measured. */
  readonly ms?: number
  /** Exactly so many samples. Without it, by `ms`. */
  readonly samples?: number
  /** Awaited before each call, outside of the measurement. */
  readonly before?: () => Promise<unknown>
}

/**
 * Measures `fn` with mitata, and awaits its promise when it returns one. A sample is one call: mitata
 * would otherwise take 4,096 short calls as one sample, and of the samples drop the best and worst
 * two, so that the maximum would not be the maximum.
 * @returns nanoseconds a call, ascending
 */
export async function sampleNs(fn: () => unknown, sampling: Sampling): Promise<number[]> {
  const { ms = 0, samples, before } = sampling
  const options = {
    gc: false,
    batch_threshold: 0,
    samples_threshold: Number.POSITIVE_INFINITY,
    min_cpu_time: ms * 1e6,
    ...(samples === undefined ? {} : { min_samples: samples, max_samples: samples }),
    // mitata calls a measured function's parameters before each call, off the clock.
    params: before === undefined ? [] : [before],
  }
  // An ES module, which tests that only look at a benchmark's plots could not require.
  const { measure } = await import('mitata')
  const stats = await measure(fn, options)
  return stats.samples
}

/** Points of a curve: fine where a latency's tail is. */
const CURVE_PERCENTS = [...Array.from({ length: 100 }, (_, i) => i), 99.5, 99.9, 99.95, 99.99, 100]

/** Collects one row's figures over the repeats. */
export class RowBuilder {
  readonly #values = new Map<string, number[]>()
  #samplesUs: number[] = []
  /** What the row's figures must be read with. */
  remark: string | undefined

  constructor(
    readonly name: string,
    readonly labels: Labels = {},
  ) {}

  add(figures: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(figures)) {
      this.#values.set(name, [...(this.#values.get(name) ?? []), value])
    }
  }

  /** Adds latencies to the row's curve. */
  addSamples(ns: Iterable<number>): void {
    for (const sample of ns) this.#samplesUs.push(sample / 1_000)
  }

  build(): Row {
    const { name, labels, remark } = this
    const figures = Object.fromEntries(
      [...this.#values].map(([figure, values]) => [figure, spreadOf(values)] as const),
    )
    return {
      name,
      labels,
      figures,
      ...(this.#samplesUs.length === 0 ? {} : { curve: curveOf(this.#samplesUs) }),
      ...(remark === undefined ? {} : { remark }),
    }
  }
}

function curveOf(samplesUs: readonly number[]): Curve {
  const ascending = Float64Array.from(samplesUs).sort()
  const us = CURVE_PERCENTS.map((percent) => percentile(ascending, percent))
  return { count: ascending.length, percents: CURVE_PERCENTS, us }
}

/** The values of `list`, starting with another one each time, so that none is always first. */
export function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const first = by % list.length
  return [...list.slice(first), ...list.slice(0, first)]
}
