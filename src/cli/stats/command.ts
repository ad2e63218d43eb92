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
import { EXIT_PASS } from '../shared/errors'
import { EventRepeats } from '../shared/event-repeats'
import type { CommandFilter } from '../shared/filter'
import {
  addFilterOptions,
  FILTER_HELP,
  type FilterOptions,
  filterOf,
  hasFilter,
} from '../shared/filter-options'
import { formatJson } from '../shared/json'
import { type InputFile, inputFiles, totalBytes } from '../shared/log-files'
import { DEFAULT_LOG } from '../shared/log-input'
import { type Names, NO_NAMES, namesOption } from '../shared/names'
import { ProblemCount } from '../shared/problem-count'
import { SearchedSpan } from '../shared/searched-span'
import { LogStatsCollector } from './log-stats'
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
  readonly log?: readonly string[]
}

const TOP = 10
const TOP_MAX = 10_000

const EXAMPLES = `
Examples:
  $ x0x-exec-audit stats /var/log/gateway/exec.log
  $ x0x-exec-audit stats --since yesterday --by hour exec.log.1 exec.log
  $ x0x-exec-audit stats --agent a1b2 --failed exec.log
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
    .addHelpText('after', EXAMPLES)
    .action(async (files: readonly string[], options: StatsOptions) => {
      process.exitCode = await run(logsInOrder(files, options.log), options)
    })
}

async function run(logs: readonly string[], options: StatsOptions): Promise<number> {
  const { since, until, by, top, utc: isUtc = false, json, open, color, names = NO_NAMES } = options
  checkSpan(since, until)
  const files = inputFiles(logs)
  const collector = new LogStatsCollector({ since, until, by, top, isUtc })
  const problems = new ProblemCount()
  const searched = new SearchedSpan(isUtc)
  const counter = counterFor(collector, filterOf(options), open === true)
  const onEntry = ({ record, text, problem }: LineEntry, file: string) => {
    if (record === undefined) return problems.add(file, problem)
    searched.add(record)
    counter.take(record, text)
  }
  const bytes = await readAll(files, onEntry)
  counter.end()
  const stats = collector.stats()
  const badLines = problems.count
  const { repeated: repeatedLines } = counter
  process.stdout.write(
    json
      ? formatJson('stats', { files: files.length, bytes, badLines, repeatedLines, ...stats })
      : statsText(stats, {
          paint: painter(process.stdout, process.env, color),
          isUtc,
          by,
          names,
          width: terminalWidth(process.stdout),
        }),
  )
  problems.tell()
  if (repeatedLines > 0) tell(`${repeatedLines} repeated lines are left out`)
  if (stats.firstMs === null) {
    tell(`nothing found; searched ${searched.text(files.map(({ name }) => name))}`)
  }
  return EXIT_PASS
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

function counterFor(
  collector: LogStatsCollector,
  filter: CommandFilter,
  isOpen: boolean,
): EventCounter {
  return isOpen || hasFilter(filter)
    ? new MatchingCounter(collector, filter, isOpen)
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
  readonly #filter: CommandFilter
  readonly #isOpen: boolean
  readonly #table: CommandTable

  constructor(collector: LogStatsCollector, filter: CommandFilter, isOpen: boolean) {
    this.#collector = collector
    this.#filter = filter
    this.#isOpen = isOpen
    this.#table = new CommandTable({ grep: filter.grep, keepsEvents: true })
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
    for (const life of commands) {
      if (this.#isOpen && life.end !== undefined) continue
      if (!matchesCommand(life, this.#filter)) continue
      for (const event of life.events ?? []) this.#collector.take(event)
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
