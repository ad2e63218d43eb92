import type { Command } from 'commander'
import type { AuditRecord } from '../../format/records'
import { type ColourChoice, type Paint, painter } from '../../toolkit/text/colour'
import { formatDuration, formatTime } from '../../toolkit/text/time'
import { cutToWidth, terminalWidth } from '../../toolkit/text/width'
import { colorOption, distinctLogs, logOption, requestPrefix } from '../shared/arguments'
import { CliError, EXIT_FAIL, EXIT_PASS, EXIT_USAGE } from '../shared/errors'
import { quoteArgument, quoteArgv, visible } from '../shared/escape'
import { eventParts, exactJson, foldParts } from '../shared/event-text'
import { helpText } from '../shared/help-text'
import { JSON_VERSION } from '../shared/json'
import { DEFAULT_LOG, fileName, readLog } from '../shared/log-input'
import { type Names, NO_NAMES, namesOption } from '../shared/names'
import { ProblemCount } from '../shared/problem-count'
import { SearchedSpan } from '../shared/searched-span'

interface ShowOptions {
  readonly log?: readonly string[]
  readonly json?: true
  readonly utc?: true
  readonly names?: Names
  readonly color: ColourChoice
}

const CANDIDATES_MAX = 10
/** The columns before the ids. */
const LABEL_WIDTH = 9

const EXAMPLES = `
REQUEST is the request id or its first digits, with the dashes of a UUID or without. FILE is a log, one that gzip has compressed, or - for
standard input; name the rotated ones too if the command may be there. An event that stands in two of
them, as in exec.log.1 and exec.log.1.gz, is shown once. Default: ${DEFAULT_LOG}

Examples:
  $ x0x-exec-audit show 0d4b8a5c exec.log
  $ x0x-exec-audit show 0d4b8a5c exec.log*
  $ x0x-exec-audit show 0d4b8a5c --json exec.log | jq .totalMs

Exit codes: 0 shown, 1 no such request, 2 a mistake in the command line, digits that several requests
begin with, or a file that cannot be read.`

export function configure(command: Command): void {
  command
    .description("Shows one command's events in their order, with the time between them.")
    .argument('<request>', 'the request id, or its first digits', requestPrefix)
    .argument('[file...]', 'the logs to search')
    .addOption(logOption())
    .option('--json', 'print the events as JSON and nothing else')
    .option('--utc', 'show times in UTC')
    .addOption(namesOption())
    .addOption(colorOption())
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (request: string, files: readonly string[], options: ShowOptions) => {
      const logs = distinctLogs(files, options.log)
      process.exitCode = await run(request, logs.length === 0 ? [DEFAULT_LOG] : logs, options)
    })
}

async function run(prefix: string, files: readonly string[], options: ShowOptions) {
  const found = await search(prefix, files, options.utc === true)
  const [first, ...others] = found.requests
  if (first === undefined) throw notFound(prefix, files, found)
  if (others.length > 0) throw ambiguous(prefix, found.requests, options)
  const [, { events: unsorted, copies }] = first
  // Logs may be named in any order; within one, its own order is the truth.
  const events = files.length > 1 ? unsorted.toSorted((a, b) => a.tsUnixMs - b.tsUnixMs) : unsorted
  const text = options.json
    ? timelineJson(events)
    : timeline(
        events,
        options,
        painter(process.stdout, process.env, options.color),
        terminalWidth(process.stdout),
      )
  process.stdout.write(text)
  for (const [pair, count] of copies) {
    const events = count === 1 ? '1 event stands' : `${count} events stand`
    process.stderr.write(`x0x-exec-audit: ${events} in ${pair}; shown once\n`)
  }
  return EXIT_PASS
}

/** A request's events, and how often one of them stood in another log again. */
interface FoundRequest {
  readonly events: AuditRecord[]
  /** The log in which a line stood first. */
  readonly logs: Map<string, string>
  /** Pairs of logs with the same lines, and how many they are. */
  readonly copies: Map<string, number>
}

interface Found {
  readonly requests: readonly [string, FoundRequest][]
  readonly searched: SearchedSpan
}

async function search(prefix: string, files: readonly string[], isUtc: boolean): Promise<Found> {
  const requests = new Map<string, FoundRequest>()
  const problems = new ProblemCount()
  const searched = new SearchedSpan(isUtc)
  for (const file of files) {
    for await (const entries of readLog(file)) {
      for (const { record, problem, text } of entries) {
        if (record === undefined) {
          problems.add(file, problem)
          continue
        }
        searched.add(record)
        if (record.requestId.startsWith(prefix)) keep(requests, record, text, file)
      }
    }
  }
  problems.tell()
  return { requests: [...requests], searched }
}

function keep(
  requests: Map<string, FoundRequest>,
  record: AuditRecord,
  text: string,
  file: string,
): void {
  const known = requests.get(record.requestId)
  if (known === undefined && requests.size > CANDIDATES_MAX) return
  const request: FoundRequest = known ?? { events: [], logs: new Map(), copies: new Map() }
  if (known === undefined) requests.set(record.requestId, request)
  const { events, logs, copies } = request
  // Within one log the line was written twice. In two logs, a log was named together with its copy, such
  // as exec.log.1 with exec.log.1.gz.
  const log = logs.get(text) ?? file
  logs.set(text, log)
  if (log === file) {
    events.push(record)
    return
  }
  const pair = `${fileName(log)} and again in ${fileName(file)}`
  copies.set(pair, (copies.get(pair) ?? 0) + 1)
}

function notFound(prefix: string, files: readonly string[], { searched }: Found): CliError {
  const text = `no request begins with ${prefix}; searched ${searched.text(files)}. It may be in a log that was rotated: name those too`
  return new CliError(text, EXIT_FAIL)
}

function ambiguous(prefix: string, requests: Found['requests'], { utc }: ShowOptions): CliError {
  const lines = requests.slice(0, CANDIDATES_MAX).map(([id, { events }]) => {
    const [first] = events
    const time = first === undefined ? '' : formatTime(first.tsUnixMs, utc)
    const argv = first !== undefined && 'argv' in first ? quoteArgv(first.argv) : '-'
    const line = cutToWidth(`  ${id}  ${time}  ${argv}`, terminalWidth(process.stderr))
    return `\n${line}`
  })
  const more = requests.length > CANDIDATES_MAX ? '\n  and more' : ''
  const text = `several requests begin with ${prefix}; give more digits:${lines.join('')}${more}`
  return new CliError(text, EXIT_USAGE)
}

/** The state of a command, as far as the events say it. */
function stateOf(events: readonly AuditRecord[]): 'ended' | 'denied' | 'running' | 'waiting' {
  if (events.some(({ event }) => event === 'exit')) return 'ended'
  if (events.some(({ event }) => event === 'denial')) return 'denied'
  return events.some(({ event }) => event === 'started') ? 'running' : 'waiting'
}

const STATE_TEXTS = {
  ended: 'ended',
  denied: 'denied',
  running:
    'no exit is recorded: it still runs, or the gateway ended before it, or the exit is in another log',
  waiting:
    'neither its start nor its exit is recorded: it is about to start, or the gateway ended before it, or both are in another log',
} as const

function totalMs(events: readonly AuditRecord[]): number {
  return (events.at(-1)?.tsUnixMs ?? 0) - (events[0]?.tsUnixMs ?? 0)
}

function timelineJson(events: readonly AuditRecord[]): string {
  const requestId = events[0]?.requestId
  const head = { version: JSON_VERSION, command: 'show', requestId, state: stateOf(events) }
  return `${exactJson({ ...head, totalMs: totalMs(events), events })}\n`
}

/** The events with the time since the first and since the one before. */
export function timeline(
  events: readonly AuditRecord[],
  { utc, names = NO_NAMES }: Pick<ShowOptions, 'utc' | 'names'>,
  paint: Paint,
  width: number,
): string {
  const first = events[0]
  if (first === undefined) return ''
  const gaps = events.map(({ tsUnixMs }, i) => ({
    since: i === 0 ? '' : signed(tsUnixMs - first.tsUnixMs),
    gap: i === 0 ? '' : signed(tsUnixMs - (events[i - 1]?.tsUnixMs ?? tsUnixMs)),
  }))
  const sinceWidth = Math.max(...gaps.map(({ since }) => since.length))
  const gapWidth = Math.max(...gaps.map(({ gap }) => gap.length))
  const request = events.find((event) => event.event === 'request')
  const lines = events.map((event, i) => {
    const time = formatTime(event.tsUnixMs, utc)
    const since = gaps[i]?.since.padStart(sinceWidth)
    const gap = gaps[i]?.gap.padStart(gapWidth)
    const name = event.event.padEnd(7)
    const column = `${time}  ${since}  ${gap}  ${name}  `.length
    const what = foldParts(eventParts(event, { timeoutMs: request?.timeoutMs }), paint, {
      width,
      column,
    })
    return `${paint('dim', time)}  ${since}  ${paint('dim', gap ?? '')}  ${name}  ${what}\n`
  })
  return `${head(events, names, width)}\n${lines.join('')}\n${foot(events)}\n`
}

function signed(ms: number): string {
  return ms < 0 ? formatDuration(ms) : `+${formatDuration(ms)}`
}

function head(events: readonly AuditRecord[], names: Names, width: number): string {
  const asked = events.find((event) => 'agentId' in event)
  const request = `request  ${events[0]?.requestId}\n`
  if (asked === undefined || !('agentId' in asked)) {
    return `${request}neither the agent that asked for it nor its command is in the logs searched\n`
  }
  const { agentId, machineId, context = {} } = asked
  const named = (id: string) => {
    const name = names.of(id)
    return name === undefined ? '' : `  ${visible(name)}`
  }
  const row = (label: string, text: string) => {
    const head = label.padEnd(LABEL_WIDTH)
    const folded = foldParts([[undefined, text]], (_, plain) => plain, {
      width,
      column: head.length,
    })
    return `${head}${folded}\n`
  }
  const entries = Object.entries(context).map(([key, value]) => {
    return row('context', `${key}=${quoteArgument(value)}${named(value)}`)
  })
  return [
    request,
    row('agent', `${agentId}${named(agentId)}`),
    row('machine', `${machineId}${named(machineId)}`),
    ...entries,
  ].join('')
}

function foot(events: readonly AuditRecord[]): string {
  const count = events.length === 1 ? '1 event' : `${events.length} events`
  return `${count} in ${formatDuration(totalMs(events))}; ${STATE_TEXTS[stateOf(events)]}`
}
