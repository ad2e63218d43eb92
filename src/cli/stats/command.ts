import { type Command, Option } from 'commander'
import { readBatches } from '../../reader/read-audit'
import { painter } from '../../toolkit/text/colour'
import { WHEN_FORMS } from '../../toolkit/text/time'
import { terminalWidth } from '../../toolkit/text/width'
import { checkSpan, logOption, logsInOrder, when, wholeNumber } from '../shared/arguments'
import { ByteProgress } from '../shared/byte-progress'
import { EXIT_PASS } from '../shared/errors'
import { formatJson } from '../shared/json'
import { type InputFile, inputFiles, totalBytes } from '../shared/log-files'
import { DEFAULT_LOG } from '../shared/log-input'
import { type LogStats, LogStatsCollector } from './log-stats'
import { statsText } from './stats-text'
import { PERIODS, type Period } from './timeline'

interface StatsOptions {
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
  $ x0x-exec-audit stats --top 50 --json exec.log.2.gz exec.log.1 exec.log | jq .commands

FILE is a log, or one that gzip has compressed, or - for standard input; several are one log. Those of
one rotation (exec.log*) are read the oldest first, others as they are given. Default: ${DEFAULT_LOG}
Times are local unless they end in Z or an offset:
${WHEN_FORMS}.
Lines that are no event are counted and left out; verify says what is wrong with them.

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
    .option('--utc', 'show times in UTC')
    .option('--json', 'print the figures as JSON and nothing else')
    .addHelpText('after', EXAMPLES)
    .action(async (files: readonly string[], options: StatsOptions) => {
      process.exitCode = await run(logsInOrder(files, options.log), options)
    })
}

async function run(names: readonly string[], options: StatsOptions): Promise<number> {
  const { since, until, by, top, utc: isUtc = false, json } = options
  checkSpan(since, until)
  const files = inputFiles(names)
  const collector = new LogStatsCollector({ since, until, by, top, isUtc })
  const { badLines, bytes } = await readAll(files, collector)
  const stats = collector.stats()
  process.stdout.write(
    json
      ? jsonText(stats, { files: files.length, bytes, badLines })
      : statsText(stats, {
          paint: painter(process.stdout),
          isUtc,
          by,
          width: terminalWidth(process.stdout),
        }),
  )
  if (badLines > 0) process.stderr.write(badLinesText(badLines))
  return EXIT_PASS
}

function jsonText(stats: LogStats, read: { files: number; bytes: number; badLines: number }) {
  return formatJson('stats', { ...read, ...stats })
}

function badLinesText(count: number): string {
  const lines = count === 1 ? '1 line is no event' : `${count} lines are no events`
  return `x0x-exec-audit: ${lines} and left out; see x0x-exec-audit verify\n`
}

async function readAll(files: readonly InputFile[], collector: LogStatsCollector) {
  const progress = new ByteProgress(totalBytes(files))
  let [badLines, all] = [0, 0]
  try {
    for (const { source } of files) {
      let read = 0
      for await (const { entries, bytes } of readBatches(source)) {
        for (const { record } of entries) {
          if (record === undefined) badLines++
          else collector.take(record)
        }
        progress.advance(bytes - read)
        read = bytes
      }
      all += read
    }
  } finally {
    progress.stop()
  }
  return { badLines, bytes: all }
}
