import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs, styleText } from 'node:util'
import { measure } from 'mitata'

/** How much is measured. */
export interface Sizes {
  /** How often each measurement is made; figures are medians over them. */
  readonly repeats: number
  /** Milliseconds a measurement, where it is made by time. */
  readonly ms: number
  /** Samples a measurement, where it is made by count. */
  readonly samples: number
}

/** What the command line asks for. */
export interface BenchOptions extends Sizes {
  readonly names: readonly string[]
  readonly isHelp: boolean
  /** Where the report goes as JSON. */
  readonly json: string | undefined
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

/** A figure over the repeats. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** One line of a benchmark's table. A figure's name ends with its unit. */
export interface Row {
  readonly name: string
  readonly figures: Readonly<Record<string, Spread>>
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
}

/** One question, and how it is answered. */
export interface Benchmark {
  readonly name: string
  readonly question: string
  run(context: Context): Promise<Result>
}

/** What `--json` saves. */
export interface Report {
  readonly machine: Machine
  readonly sizes: Sizes
  readonly benchmarks: readonly (Result & { readonly name: string })[]
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly fileSystem: string
  readonly node: string
  /** One `write` and `fdatasync` of a 350 byte line, nearest-rank median. */
  readonly rawSyncP50Us: number
}

const FULL: Sizes = { repeats: 5, ms: 500, samples: 100 }
const QUICK: Sizes = { repeats: 2, ms: 30, samples: 10 }

export const OPTIONS_HELP = `  --repeats N   how often each measurement is made (default ${FULL.repeats})
  --ms N        milliseconds a measurement, where it goes by time (default ${FULL.ms})
  --samples N   samples a measurement, where it goes by count (default ${FULL.samples})
  --quick       small sizes: it shows that the benchmarks work, not what they measure
  --dir DIR     where a temporary folder for the files is made (default the current folder)
  --json FILE   saves the figures
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
      quick: flag,
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
    json: values.json,
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
  const stats = await measure(fn, options)
  return stats.samples
}

/** The nearest-rank percentile of ascending values: one of them, with `p` percent at or below it. */
export function percentile(ascending: ArrayLike<number>, p: number): number {
  const rank = Math.ceil((p / 100) * ascending.length)
  const value = ascending[Math.max(rank, 1) - 1]
  if (value === undefined) throw new RangeError('percentile of no values')
  return value
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Collects one row's figures over the repeats. */
export class RowBuilder {
  readonly #values = new Map<string, number[]>()

  constructor(readonly name: string) {}

  add(figures: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(figures)) {
      this.#values.set(name, [...(this.#values.get(name) ?? []), value])
    }
  }

  build(): Row {
    const figures = [...this.#values].map(([name, values]) => [name, spreadOf(values)] as const)
    return { name: this.name, figures: Object.fromEntries(figures) }
  }
}

function spreadOf(values: readonly number[]): Spread {
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

/** The values of `list`, starting with another one each time, so that none is always first. */
export function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const first = by % list.length
  return [...list.slice(first), ...list.slice(0, first)]
}

/** What the figures depend on, the disk measured now. */
export function describeMachine(dir: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: cpus().length,
    kernel: `${type()} ${release()}`,
    fileSystem: fileSystemOf(dir),
    node: process.versions.node,
    rawSyncP50Us: rawSyncP50Us(join(dir, 'raw')),
  }
}

export function machineLine(machine: Machine): string {
  const { cpu, cores, kernel, fileSystem, node, rawSyncP50Us } = machine
  return `${cpu}, ${cores} cores, ${kernel}, ${fileSystem}, Node ${node}, raw write+fdatasync p50 ${formatNumber(rawSyncP50Us)} us`
}

/** The type of the innermost mount that holds `dir`; only Linux tells. */
function fileSystemOf(dir: string): string {
  try {
    const mounts = readFileSync('/proc/mounts', 'utf8').trim().split('\n')
    const holding = mounts
      .map((line) => line.split(' '))
      .filter(([, point = '']) => `${dir}/`.startsWith(point.endsWith('/') ? point : `${point}/`))
      .sort(([, a = ''], [, b = '']) => a.length - b.length)
    return holding.at(-1)?.[2] ?? 'unknown file system'
  } catch {
    return 'unknown file system'
  }
}

function rawSyncP50Us(file: string): number {
  const line = Buffer.alloc(350, 'x')
  const fd = openSync(file, 'a', 0o600)
  const samples = Array.from({ length: 300 }, () => {
    const startedAt = performance.now()
    writeSync(fd, line)
    fdatasyncSync(fd)
    return (performance.now() - startedAt) * 1_000
  })
  closeSync(fd)
  rmSync(file)
  samples.sort((a, b) => a - b)
  return percentile(samples, 50)
}

const isColored = process.stdout.isTTY === true && !process.env.NO_COLOR

function paint(style: 'bold' | 'dim', text: string): string {
  return isColored ? styleText(style, text) : text
}

/** Rewrites one line on a terminal; says nothing elsewhere. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`)
}

function formatNumber(value: number): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

/** A table of medians, each with its smallest and largest in brackets. */
export function formatTable(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.figures)))]
  // 'p50Us' is headed 'p50 us'.
  const headings = names.map((name) => name.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`))
  const cells = rows.map((row) => names.map((name) => cellOf(row.figures[name])))
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  )
  const nameWidth = Math.max(...rows.map((row) => row.name.length))
  const line = (name: string, columns: readonly string[]) =>
    [name.padEnd(nameWidth), ...columns.map((text, i) => text.padStart(widths[i] ?? 0))].join('  ')
  const body = rows.map((row, i) =>
    line(row.name, cells[i] ?? []).replace(/\(.*?\)/g, (s) => paint('dim', s)),
  )
  return [paint('bold', line('', headings)), ...body].join('\n')
}

function cellOf(spread: Spread | undefined): string {
  if (spread === undefined) return '-'
  const { median, min, max } = spread
  return `${formatNumber(median)} (${formatNumber(min)}..${formatNumber(max)})`
}
