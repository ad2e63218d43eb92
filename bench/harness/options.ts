import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Sizes } from '../report/report'

/** The options of the command line. */
export interface BenchOptions extends Sizes {
  readonly names: readonly string[]
  readonly isHelp: boolean
  /** The file that the report is saved in. */
  readonly json: string | undefined
  /** Whether the targets are shown. */
  readonly hasTargets: boolean
  /** The built checkout whose writer is measured as well. */
  readonly against: string | undefined
  /** The folder in which the plots are saved. */
  readonly plots: string | undefined
  /** Whether the tables and plots of docs/performance.md are written. */
  readonly isForReadme: boolean
  /** The folder in which a temporary one is made for the benchmarks' files. */
  readonly dir: string
}

const FULL: Sizes = { repeats: 5, ms: 500, samples: 100, isQuick: false }
const QUICK: Sizes = { repeats: 2, ms: 30, samples: 4, isQuick: true }

export const OPTIONS_HELP = `  --repeats N   repeats of each measurement (default ${FULL.repeats})
  --ms N        milliseconds per measurement, if it goes by time (default ${FULL.ms})
  --samples N   samples per measurement, if it goes by count (default ${FULL.samples})
  --quick       small sizes, which show that the benchmarks work and measure nothing
  --dir DIR     the folder that a temporary one is made in (default the current folder)
  --json FILE   saves the figures
  --targets     shows which targets are reached; without names, runs what they need and no more
  --against DIR measures the writer of another checkout as well, which must be built, in turns with this one
  --plots DIR   saves the plots as SVG, and prints them even without a terminal
  --readme      writes the tables and plots of docs/performance.md; without names, runs the benchmarks they need
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
      against: text,
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
    against: values.against === undefined ? undefined : resolve(values.against),
    dir: resolve(values.dir ?? '.'),
  }
}

function countOf(option: string, text: string | undefined, fallback: number): number {
  const count = Number(text ?? fallback)
  if (Number.isSafeInteger(count) && count > 0) return count
  throw new RangeError(`${option}: expected a whole number from 1, got ${JSON.stringify(text)}`)
}
