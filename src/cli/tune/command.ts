import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { codeOf } from '../../base/describe'
import { EVENT_BYTES_MAX, EVENT_BYTES_MIN } from '../../toolkit/disk/audit-events'
import { type Disk, describeDisk, isPseudo, isVolatile } from '../../toolkit/disk/disk'
import { parseSlo, type Slo } from '../../toolkit/disk/slo'
import { painter } from '../../toolkit/text/colour'
import { AuditError } from '../../writer/failure/audit-error'
import { remedyOf } from '../../writer/failure/remedies'
import { wholeNumber } from '../shared/arguments'
import {
  CliError,
  EXIT_FAIL,
  EXIT_PASS,
  EXIT_UNSURE,
  messageOf,
  usageError,
} from '../shared/errors'
import { helpText } from '../shared/help-text'
import { formatJson } from '../shared/json'
import { OutputFile } from '../shared/output-file'
import { Progress } from '../shared/progress'
import { withTempDir } from '../shared/temp-dir'
import { compareText, readSaved } from './compare'
import type { TuneReport } from './report'
import { reportHtml } from './report-html'
import { reportText } from './report-text'
import { DiskHungError, plannedMs, tune } from './sweep'

interface TuneOptions {
  readonly dir?: string
  readonly rate: number
  readonly eventBytes: number
  readonly slo: Slo
  readonly quick?: true
  readonly json?: true
  readonly html?: string
  readonly save?: string
  readonly compare?: string
}

const DEFAULT_SLO: Slo = { percentile: 'p99', ms: 10 }
const RATE_MAX = 1_000_000
/** Free bytes for the files of one trial, which are removed after it. */
const FREE_BYTES_MIN = 512 * 2 ** 20

const EXAMPLES = `
Examples:
  $ x0x-exec-audit tune --dir /var/log/gateway
  $ x0x-exec-audit tune --dir /var/log/gateway --rate 5000 --slo p99=5ms
  $ x0x-exec-audit tune --dir . --quick --html report.html --save before.json
  $ x0x-exec-audit tune --dir . --quick --compare before.json

PASS: the recommended setting meets --slo. FAIL: none does. UNCLEAR: the disk or the machine was
disturbed, so measure again.

Exit codes: 0 PASS, 1 FAIL or UNCLEAR, 2 a mistake in the command line, 3 the disk cannot answer.`

export function configure(command: Command): void {
  command
    .description(
      'Measures the disk under a folder and the writer on it, for at most a minute, and says which fsync options suit the load. Everything it writes is removed at the end.',
    )
    .argument('[folder]', 'a folder on the disk that the log will be on')
    .option('--dir <folder>', 'the same as FOLDER')
    .addOption(
      new Option('--rate <n>', 'the expected events per second')
        .argParser(wholeNumber(1, RATE_MAX))
        .default(1_000),
    )
    .addOption(
      new Option('--event-bytes <n>', "length of an event's line")
        .argParser(wholeNumber(EVENT_BYTES_MIN, EVENT_BYTES_MAX))
        .default(350),
    )
    .addOption(
      new Option('--slo <p99=5ms>', 'the limit on latency: p50, p99, p99.9 or max, in us, ms or s')
        .argParser(slo)
        .default(DEFAULT_SLO, 'p99=10ms'),
    )
    .option('--quick', 'about ten seconds, with fewer settings')
    .option('--json', 'print the figures as JSON and nothing else')
    .option('--html <file>', 'write a report with charts that needs no network')
    .option('--save <file>', 'keep the figures, as JSON, for --compare')
    .option('--compare <file>', 'say what has moved since --save, under the same load')
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (named: string | undefined, options: TuneOptions) => {
      if (named !== undefined && options.dir !== undefined) {
        throw usageError('name a folder either as FOLDER or by --dir')
      }
      const dir = named ?? options.dir
      if (dir === undefined) throw usageError('name a folder on the disk that the log will be on')
      process.exitCode = await run(folder(dir), options)
    })
}

function slo(text: string): Slo {
  const parsed = parseSlo(text)
  if (parsed !== undefined) return parsed
  throw new InvalidArgumentError('Expected something like p99=5ms.')
}

async function run(dir: string, options: TuneOptions): Promise<number> {
  const before = options.compare === undefined ? undefined : saved(options.compare, options)
  const { html, save } = outputsOf(options)
  const disk = usableDisk(dir)
  const report = await measure(dir, disk, options)
  const json = formatJson('tune', report)
  html?.write(reportHtml(report))
  save?.write(json)
  process.stdout.write(options.json ? json : reportText(report, painter(process.stdout)))
  if (before !== undefined && options.compare !== undefined) {
    const stream = options.json ? process.stderr : process.stdout
    stream.write(`\n${compareText(before, report, options.compare)}`)
  }
  return report.verdict.pass ? EXIT_PASS : EXIT_FAIL
}

function folder(text: string): string {
  const dir = resolve(text)
  try {
    if (statSync(dir).isDirectory()) return dir
  } catch (thrown) {
    throw usageError(messageOf(thrown))
  }
  throw usageError(`${dir} is not a folder`)
}

/** The saved report, if it is about the same load; another cannot be compared with. */
function saved(file: string, { rate, eventBytes }: TuneOptions): TuneReport {
  const before = readSavedOr(file)
  if (before.rate === rate && before.eventBytes === eventBytes) return before
  throw usageError(
    `--compare: ${file} is of another load; measure with --rate ${before.rate} --event-bytes ${before.eventBytes}`,
  )
}

function readSavedOr(file: string): TuneReport {
  try {
    return readSaved(file)
  } catch (thrown) {
    throw usageError(`--compare: ${messageOf(thrown)}`)
  }
}

/** The files to write. Mistakes are reported before the measurement, and not after it. */
function outputsOf(options: TuneOptions) {
  const named = [
    { what: '--html', path: options.html },
    { what: '--save', path: options.save },
    { what: '--compare', path: options.compare },
  ]
  const outputFor = (what: string, path: string | undefined) => {
    const used = named.flatMap((other) =>
      other.path === undefined || other.what === what
        ? []
        : [{ what: other.what, path: other.path }],
    )
    return path === undefined ? undefined : new OutputFile(what, path, { used, fail: usageError })
  }
  return { html: outputFor('--html', options.html), save: outputFor('--save', options.save) }
}

function diskOf(dir: string): Disk {
  try {
    return describeDisk(dir)
  } catch (thrown) {
    throw asDiskError(thrown)
  }
}

/** The disk, if it can answer at all. */
function usableDisk(dir: string): Disk {
  const disk = diskOf(dir)
  const { fileSystem, mountPoint } = disk
  const why = isVolatile(disk)
    ? 'memory and not a disk: nothing there survives a power cut'
    : isPseudo(disk)
      ? "the kernel's own and holds no files"
      : undefined
  if (why !== undefined) {
    throw diskError(
      `${dir} is on ${fileSystem} (mounted at ${mountPoint}), which is ${why}. Name a folder on the disk that the log will be on`,
    )
  }
  if (disk.freeBytes < FREE_BYTES_MIN) {
    throw diskError(
      `${dir} has less than ${FREE_BYTES_MIN / 2 ** 20} MiB free, which the measurement may need`,
    )
  }
  return disk
}

async function measure(dir: string, disk: Disk, options: TuneOptions): Promise<TuneReport> {
  const { rate, eventBytes, slo, quick } = options
  const isQuick = quick === true
  const progress = new Progress(plannedMs(rate, isQuick))
  try {
    return await withTempDir(dir, 'x0x-exec-audit-tune-', (temp, signal) =>
      tune(
        { disk, rate, eventBytes, slo, isQuick },
        {
          dir: temp,
          signal,
          tell: (text) => progress.tell(text),
          advance: (ms) => progress.advance(ms),
        },
      ),
    )
  } catch (thrown) {
    throw asDiskError(thrown)
  } finally {
    progress.stop()
  }
}

/** A failure of the disk, in the words of the code that met it; anything else unchanged. */
function asDiskError(thrown: unknown): unknown {
  const isSystemError = thrown instanceof Error && 'syscall' in thrown
  const isDisk = isSystemError || thrown instanceof AuditError || thrown instanceof DiskHungError
  if (!isDisk) return thrown
  const remedy = isSystemError ? remedyOf(codeOf(thrown), true) : undefined
  return diskError(remedy === undefined ? messageOf(thrown) : `${messageOf(thrown)}; ${remedy}`)
}

function diskError(message: string): CliError {
  return new CliError(message, EXIT_UNSURE)
}
