import { formatPlain } from '../../toolkit/chart/chart'
import { textBars } from '../../toolkit/chart/text'
import type { Paint } from '../../toolkit/text/colour'
import { formatBytes, formatCount } from '../../toolkit/text/numbers'
import { formatTable } from '../../toolkit/text/table'
import { formatDuration, formatTime } from '../../toolkit/text/time'
import { cutToWidth } from '../../toolkit/text/width'
import { NO_ARGUMENTS, quoteArgument } from '../shared/escape'
import type { Count, LogStats, TopList } from './log-stats'
import type { Period } from './timeline'

const BAR_WIDTH = 30
const ID_DIGITS = 16
const REQUEST_DIGITS = 32
/** On a narrow terminal. Enough for `show`. */
const ID_DIGITS_NARROW = 8
const TIME_CHARACTERS = { minute: 16, hour: 16, day: 10 } as const

/** The style of the report. */
export interface TextStyle {
  readonly paint: Paint
  readonly isUtc: boolean
  readonly by: Period | undefined
  /** Columns of the terminal; no line is longer. */
  readonly width: number
}

/** The report for a terminal. All text from the log is escaped. */
export function statsText(stats: LogStats, style: TextStyle): string {
  const { paint } = style
  const bars = (title: string, counts: readonly Count[]) =>
    counts.length === 0 ? [] : [barsOf(paint('bold', title), counts)]
  const parts = [
    timeText(stats, style),
    ...timelineText(stats, style),
    ...bars('Events', stats.events),
    ...bars('Denials', stats.denials),
    ...bars('Exits', stats.exits),
    ...bars('Warnings', stats.warnings),
    ...topText('Agents', stats.agents, style, (name) =>
      cutToWidth(name, style.width - COUNT_COLUMNS),
    ),
    ...topText('Commands', stats.commands, style, commandFor(style.width, COUNT_COLUMNS)),
    ...durationText(stats, paint),
    ...openText(stats, style),
  ]
  return `${parts.join('\n\n')}\n`
}

/** The columns of the table of commands, and of open requests, without those of the commands. */
const COUNT_COLUMNS = 24
const OPEN_COLUMNS = 90
const COMMAND_MIN = 12

/**
 * A command as long as the table has room for. Longer ones would go on where the next row begins, and could
 * look like one.
 */
function commandFor(width: number, others: number): (command: string | null) => string {
  return (command) => cutToWidth(shown(command), Math.max(COMMAND_MIN, width - others))
}

/** The rows of a table, none longer than the terminal is wide. Colours, if any, stand in the first row. */
function fitted(table: string, width: number): string {
  const [head = '', ...rows] = table.split('\n')
  return [head, ...rows.map((row) => cutToWidth(row, width))].join('\n')
}

function timeText({ firstMs, lastMs, eventsPerSecond, events }: LogStats, style: TextStyle) {
  if (firstMs === null || lastMs === null) return 'No events.'
  const all = events.reduce((sum, { count }) => sum + count, 0)
  const [from, to] = [firstMs, lastMs].map((ms) => formatTime(ms, style.isUtc))
  const rate = eventsPerSecond === null ? '' : `, ${formatPlain(eventsPerSecond)} per second`
  return `${from} to ${to}, ${formatDuration(lastMs - firstMs)}\n${formatCount(all)} events${rate}`
}

function timelineText({ timeline, timelineUntracked }: LogStats, style: TextStyle): string[] {
  const { by, isUtc, paint } = style
  if (by === undefined || timeline.length === 0) return []
  const max = Math.max(...timeline.map(({ events }) => events))
  const rows = timeline.map(({ startMs, events, requests, denials, failures }) => [
    formatTime(startMs, isUtc).slice(0, TIME_CHARACTERS[by]),
    ...[events, requests, denials, failures].map(formatCount),
    bar(events / max),
  ])
  const head = [by, 'events', 'requests', 'denials', 'failures', '']
  const left = `${formatCount(timelineUntracked)} events are in further periods`
  const table = formatTable(head, rows, paint)
  return [timelineUntracked === 0 ? table : `${table}\n${left}`]
}

function bar(share: number): string {
  return '█'.repeat(Math.ceil(share * BAR_WIDTH)).padEnd(BAR_WIDTH)
}

function barsOf(title: string, counts: readonly Count[]): string {
  const bars = counts.map(({ name, count }) => ({ name, value: count }))
  return textBars({ title, bars, format: formatCount }, BAR_WIDTH)
}

function topText<Name>(
  title: string,
  { names, errorMax, top }: TopList<Name>,
  { paint, width }: TextStyle,
  textOf: (name: Name) => string,
): string[] {
  if (top.length === 0) return []
  const rows = top.map(({ name, count, denied }) => [
    textOf(name),
    formatCount(count),
    formatCount(denied),
  ])
  const notes = [
    ...(names > top.length
      ? [`the ${formatCount(top.length)} most frequent of ${formatCount(names)} (--top shows more)`]
      : []),
    ...(errorMax > 0 ? [`each count may be up to ${formatCount(errorMax)} too low`] : []),
  ]
  const table = fitted(formatTable([title, 'asked', 'denied'], rows, paint), width)
  return [notes.length === 0 ? table : `${table}\n${paint('dim', notes.join('; '))}`]
}

function durationText({ durationMs, output }: LogStats, paint: Paint): string[] {
  if (durationMs.count === 0) return []
  const { p50, p90, p99, p999, max, histogram } = durationMs
  const names = ['p50', 'p90', 'p99', 'p99.9', 'max']
  const figures = [p50, p90, p99, p999, max].map(formatDuration)
  const bars = histogram.map(({ upTo, count }) => ({
    name: `up to ${formatDuration(upTo)}`,
    count,
  }))
  const [stdout, stderr] = [output.stdout, output.stderr].map(formatBytes)
  const cut = output.truncated === 0 ? '' : `, ${formatCount(output.truncated)} cut at a cap`
  return [
    barsOf(paint('bold', 'Durations'), bars),
    names.map((name, i) => `${paint('dim', name)} ${figures[i]}`).join('  '),
    `Output: ${stdout} on stdout, ${stderr} on stderr${cut}`,
  ]
}

function openText({ open }: LogStats, { paint, isUtc, width }: TextStyle): string[] {
  const { started, notStarted, untracked, oldest } = open
  if (started + notStarted + untracked === 0) return []
  const isNarrow = width < OPEN_COLUMNS + ID_DIGITS + REQUEST_DIGITS
  const digits = isNarrow ? ID_DIGITS_NARROW : ID_DIGITS
  const commandText = commandFor(width, isNarrow ? OPEN_COLUMNS : OPEN_COLUMNS + ID_DIGITS * 2)
  const rows = oldest.map(({ requestId, agentId, command, tsUnixMs, isStarted, ageMs }) => [
    formatTime(tsUnixMs, isUtc),
    isNarrow ? requestId.slice(0, ID_DIGITS_NARROW) : requestId,
    `${agentId.slice(0, digits)}…`,
    commandText(command),
    isStarted ? 'started' : 'never started',
    formatDuration(ageMs),
  ])
  const head = ['Without an end', 'request', 'agent', 'command', 'state', 'age at the last event']
  const all = started + notStarted
  const counts = `${formatCount(started)} started and have no exit, ${formatCount(notStarted)} have neither`
  const more = all > oldest.length ? `; the ${oldest.length} oldest are shown` : ''
  const lost = untracked === 0 ? '' : `; ${formatCount(untracked)} more requests were not followed`
  return [
    `${fitted(formatTable(head, rows, paint, 5), width)}\n${paint('dim', `${counts}${more}${lost}`)}`,
  ]
}

function shown(command: string | null): string {
  return command === null ? NO_ARGUMENTS : quoteArgument(command)
}
