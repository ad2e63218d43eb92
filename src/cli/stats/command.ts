import { readFileSync, statSync } from 'node:fs'
import { type Command, Option } from 'commander'
import type { AuditRecord } from '../../format/records'
import type { LineEntry } from '../../reader/line-splitter'
import { readBatches } from '../../reader/read-audit'
import { type ColourChoice, painter } from '../../toolkit/text/colour'
import { WHEN_FORMS } from '../../toolkit/text/time'
import { terminalWidth } from '../../toolkit/text/width'
import {
  checkSpan,
  colorOption,
  logOption,
  logsInOrder,
  when,
  wholeNumber,
} from '../shared/arguments'
import { ByteProgress } from '../shared/byte-progress'
import { type CommandLife, CommandTable, matchesCommand } from '../shared/command-table'
import { EXIT_PASS, usageError } from '../shared/errors'
import { visible } from '../shared/escape'
import { EventRepeats } from '../shared/event-repeats'
import type { CommandFilter } from '../shared/filter'
import {
  addFilterOptions,
  FILTER_HELP,
  type FilterOptions,
  filterOf,
  hasFilter,
} from '../shared/filter-options'
import { helpText } from '../shared/help-text'
import { formatJson } from '../shared/json'
import { type InputFile, inputFiles, totalBytes } from '../shared/log-files'
import { DEFAULT_LOG } from '../shared/log-input'
import { type Names, NO_NAMES, namesOption } from '../shared/names'
import { OutputFile } from '../shared/output-file'
import { ProblemCount } from '../shared/problem-count'
import { SearchedSpan } from '../shared/searched-span'
import { type VerifyReport, verify } from '../shared/verification/verify'
import { type LogStats, LogStatsCollector } from './log-stats'
import { PAGE_START, pageHtml } from './page'
import { PageCollector } from './page-collector'
import { statsText } from './stats-text'
import { PERIODS, type Period } from './timeline'

interface StatsOptions extends FilterOptions {
  readonly open?: true
  readonly names?: Names
  readonly color: ColourChoice
  readonly since?: number
  readonly until?: number
  readonly by?: Period
  readonly top: number
  readonly utc?: true
  readonly json?: true
  readonly html?: string
  readonly log?: readonly string[]
}

const TOP = 10
const TOP_MAX = 10_000

const EXAMPLES = `
Examples:
  $ x0x-exec-audit stats /var/log/gateway/exec.log
  $ x0x-exec-audit stats --since yesterday --by hour exec.log.1 exec.log
  $ x0x-exec-audit stats --agent a1b2 --failed exec.log
  $ x0x-exec-audit stats --html today.html --since today exec.log*
  $ x0x-exec-audit stats --top 50 --json exec.log.2.gz exec.log.1 exec.log | jq .commands

FILE is a log, or one that gzip has compressed, or - for standard input; several are one log. Those of
one rotation (exec.log*) are read the oldest first, others as they are given. Default: ${DEFAULT_LOG}

Times are local unless they end in Z or an offset:
${WHEN_FORMS}.

Lines that are no event are counted and left out; verify says what is wrong with them. Lines that are
repeated, byte for byte, as after a worker's death, count once.

With filters, only the events of the commands that match are counted.
${FILTER_HELP}

A command is its first argument; "denied" counts all its denials, those after a failed spawn included.
Agents and commands are exact up to 20,000 of each, and say so beyond that; 100,000 requests
without an end are followed at a time, and further ones are counted.

Exit codes: 0 done, 2 a mistake in the command line or a file that cannot be read.`

export function configure(command: Command): void {
  command
    .description(
      'Counts what a log holds: events, denials, exits, the busiest agents and commands, how long commands ran, and those that never ended.',
    )
    .argument('[file...]', 'the files of one log; - for standard input')
    .addOption(logOption())
    .addOption(new Option('--since <when>', 'events from this time on').argParser(when))
    .addOption(new Option('--until <when>', 'events up to this time').argParser(when))
    .addOption(new Option('--by <period>', 'also by time').choices(PERIODS))
    .addOption(
      new Option('--top <n>', 'how many agents, commands and open requests to list')
        .argParser(wholeNumber(1, TOP_MAX))
        .default(TOP),
    )
    .option('--open', 'only commands without an end')
  addFilterOptions(command)
    .option('--utc', 'show times in UTC')
    .addOption(namesOption())
    .addOption(colorOption())
    .option('--json', 'print the figures as JSON and nothing else')
    .option(
      '--html <file>',
      'write a page to look at, which needs no network; verifies the log, too',
    )
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (files: readonly string[], options: StatsOptions) => {
      process.exitCode = await run(logsInOrder(files, options.log), options)
    })
}

async function run(logs: readonly string[], options: StatsOptions): Promise<number> {
  const { since, until, by, top, utc: isUtc = false, json, open, html, names = NO_NAMES } = options
  checkSpan(since, until)
  if (html !== undefined && logs.length === 0) checkIsPage(html)
  const files = inputFiles(logs)
  const fileNames = files.map(({ name }) => name)
  const output = html === undefined ? undefined : outputFor(html, fileNames)
  const collector = new LogStatsCollector({ since, until, by, top, isUtc })
  const problems = new ProblemCount()
  const searched = new SearchedSpan(isUtc)
  const collected = output === undefined ? undefined : new PageCollector({ since, until, isUtc })
  const counter = counterFor(collector, {
    filter: filterOf(options),
    isOpen: open === true,
    names,
    collected,
  })
  const onEntry = ({ record, text, problem }: LineEntry, file: string) => {
    if (record === undefined) return problems.add(file, problem)
    searched.add(record)
    counter.take(record, text)
  }
  const bytes = await readAll(files, onEntry)
  counter.end()
  const stats = collector.stats()
  const { repeated: repeatedLines } = counter
  if (output !== undefined && collected !== undefined) {
    const verification = await verified(logs)
    const page = { files: fileNames, stats, verification, isUtc, names, ...collected.page() }
    output.write(pageHtml(page))
    tell(`${visible(html ?? '')} shows ${fileNames.map(visible).join(', ')}`)
  }
  const read = { files: files.length, bytes, badLines: problems.count, repeatedLines }
  if (json) process.stdout.write(formatJson('stats', { ...read, ...stats }))
  else if (output === undefined) process.stdout.write(reportText(stats, options))
  problems.tell()
  if (repeatedLines > 0) tell(`${repeatedLines} repeated lines are left out`)
  if (stats.firstMs === null) tell(`nothing found; searched ${searched.text(fileNames)}`)
  return EXIT_PASS
}

function reportText(stats: LogStats, { by, utc, names = NO_NAMES, color }: StatsOptions): string {
  const paint = painter(process.stdout, process.env, color)
  return statsText(stats, {
    paint,
    isUtc: utc === true,
    by,
    names,
    width: terminalWidth(process.stdout),
  })
}

/** The page must not take the place of a log. */
function outputFor(html: string, logs: readonly string[]): OutputFile {
  const used = logs.map((path) => ({ what: 'the log', path }))
  return new OutputFile('--html', html, { used, fail: usageError })
}

/** Without the name of a log, what --html names may be meant as one, and must not be overwritten. */
function checkIsPage(html: string): void {
  const start = Buffer.from(PAGE_START)
  try {
    if (!statSync(html).isFile()) return
    if (readFileSync(html).subarray(0, start.length).equals(start)) return
  } catch {
    // There is nothing to lose.
    return
  }
  throw usageError(
    `--html: ${visible(html)} is there, and no page of this command; name the page, and then the log`,
  )
}

/** The verdict on the files; undefined if one of them can be read only once. */
async function verified(logs: readonly string[]): Promise<VerifyReport | undefined> {
  const files = inputFiles(logs)
  if (files.some(({ size }) => size === undefined)) return undefined
  return verify(files, { maxProblems: 0 })
}

function tell(text: string): void {
  process.stderr.write(`x0x-exec-audit: ${text}\n`)
}

/** Takes a log's events, and counts those that are asked for. */
interface EventCounter {
  take(record: AuditRecord, text: string): void
  end(): void
  /** Events that stood there again, byte for byte, and are not counted. */
  readonly repeated: number
}

interface Matching {
  readonly filter: CommandFilter
  readonly isOpen: boolean
  readonly names: Names
  /** Takes the commands that match, for a page. */
  readonly collected: PageCollector | undefined
}

function counterFor(collector: LogStatsCollector, matching: Matching): EventCounter {
  const { filter, isOpen, collected } = matching
  return isOpen || hasFilter(filter) || collected !== undefined
    ? new MatchingCounter(collector, matching)
    : new WholeCounter(collector)
}

/** Counts all events. */
class WholeCounter implements EventCounter {
  readonly #collector: LogStatsCollector
  readonly #repeats = new EventRepeats()

  constructor(collector: LogStatsCollector) {
    this.#collector = collector
  }

  get repeated(): number {
    return this.#repeats.count
  }

  take(record: AuditRecord, text: string): void {
    if (!this.#repeats.isRepeated(record, text)) this.#collector.take(record)
  }

  end(): void {}
}

/** Counts the events of the commands that match. */
class MatchingCounter implements EventCounter {
  readonly #collector: LogStatsCollector
  readonly #matching: Matching
  readonly #table: CommandTable

  constructor(collector: LogStatsCollector, matching: Matching) {
    const { filter, names } = matching
    this.#collector = collector
    this.#matching = matching
    this.#table = new CommandTable({ grep: filter.grep, keepsEvents: true, names })
  }

  get repeated(): number {
    return this.#table.repeated
  }

  take(record: AuditRecord, text: string): void {
    this.#collector.see(record)
    this.#count(this.#table.take(record, text, { file: '', line: record.line }))
  }

  end(): void {
    this.#count(this.#table.end())
  }

  #count(commands: readonly CommandLife[]): void {
    const { isOpen, filter, collected } = this.#matching
    for (const life of commands) {
      if (isOpen && life.end !== undefined) continue
      if (!matchesCommand(life, filter)) continue
      for (const event of life.events ?? []) this.#collector.take(event)
      collected?.take(life)
    }
  }
}

/** Reads all files; returns their bytes. */
async function readAll(
  files: readonly InputFile[],
  onEntry: (entry: LineEntry, file: string) => void,
): Promise<number> {
  const progress = new ByteProgress(totalBytes(files))
  let all = 0
  try {
    for (const { name, source } of files) {
      let read = 0
      for await (const { entries, bytes } of readBatches(source)) {
        for (const entry of entries) onEntry(entry, name)
        progress.advance(bytes - read)
        read = bytes
      }
      all += read
    }
  } finally {
    progress.stop()
  }
  return all
}
