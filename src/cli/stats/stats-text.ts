import { formatPlain } from '../../toolkit/chart/chart'
import { textBars } from '../../toolkit/chart/text'
import type { Paint } from '../../toolkit/text/colour'
import { formatBytes, formatCount } from '../../toolkit/text/numbers'
import { formatTable } from '../../toolkit/text/table'
import { formatDuration, formatShortDuration, formatTime } from '../../toolkit/text/time'
import { cutToWidth, textWidth, wrapText } from '../../toolkit/text/width'
import { NO_ARGUMENTS, quoteArgument, visible } from '../shared/escape'
import type { Names } from '../shared/names'
import type { Count, DeniedList, LogStats, TopList } from './log-stats'
import type { Period } from './timeline'

const BAR_WIDTH = 30
const BAR_WIDTH_MIN = 4
/** Between a name, its bar and its count. */
const BAR_GAPS = 3
const ID_DIGITS = 16
const REQUEST_DIGITS = 32
/** On a narrow terminal. Enough for `show`. */
const ID_DIGITS_NARROW = 8
const TIME_CHARACTERS = { minute: 16, hour: 16, day: 10 } as const

/** The style of the report. */
export interface TextStyle {
  readonly paint: Paint
  readonly isUtc: boolean
  readonly names: Names
  readonly by: Period | undefined
  /** Columns of the terminal; no line is longer. */
  readonly width: number
}

/** The report for a terminal. All text from the log is escaped. */
export function statsText(stats: LogStats, style: TextStyle): string {
  const { paint } = style
  const bars = (title: string, counts: readonly Count[]) =>
    counts.length === 0 ? [] : [barsOf(paint('bold', title), counts, style.width)]
  const parts = [
    timeText(stats, style),
    ...timelineText(stats, style),
    ...bars('Events', stats.events),
    ...bars('Denials', stats.denials),
    ...bars('Exits', stats.exits),
    ...(stats.timedOut === 0 ? [] : [`${formatCount(stats.timedOut)} timed out`]),
    ...bars('Warnings', stats.warnings),
    ...topText('Principals', stats.principals, style, principalFor(style, COUNT_COLUMNS)),
    ...topText('Agents', stats.agents, style, agentFor(style, COUNT_COLUMNS)),
    ...topText('Commands', stats.commands, style, commandFor(style.width, COUNT_COLUMNS)),
    ...deniedText(
      'Principals denied most',
      stats.deniedPrincipals,
      style,
      principalFor(style, DENIED_COLUMNS),
    ),
    ...deniedText('Agents denied most', stats.deniedAgents, style, agentFor(style, DENIED_COLUMNS)),
    ...deniedText(
      'Commands denied most',
      stats.deniedCommands,
      style,
      commandFor(style.width, DENIED_COLUMNS),
    ),
    ...durationText(stats, style),
    ...openText(stats, style),
  ]
  return `${parts.join('\n\n')}\n`
}

/** The columns of the tables of names, and of open requests, without those of the commands. */
const COUNT_COLUMNS = 24
const DENIED_COLUMNS = 12
/** Those of four figures in the table over time. */
const FIGURE_COLUMNS = 44
const OPEN_COLUMNS = 90
/** With short ids, ages and times. */
const OPEN_COLUMNS_NARROW = 67
const COMMAND_MIN = 12

/**
 * A command as long as the table has room for. Longer ones would go on where the next row begins, and could
 * look like one.
 */
function commandFor(width: number, others: number): (command: string | null) => string {
  return (command) => cutToWidth(shown(command), Math.max(COMMAND_MIN, width - others))
}

/** An agent's id, behind its name if it has one. */
function agentFor({ names, width }: TextStyle, others: number): (id: string) => string {
  return (id) => {
    const name = names.of(id)
    return cutToWidth(name === undefined ? id : `${visible(name)}  ${id}`, width - others)
  }
}

function principalFor({ names, width }: TextStyle, others: number): (principal: string) => string {
  return (principal) => {
    const name = names.of(principal)
    const text = name === undefined ? principal : `${name}  ${principal}`
    return cutToWidth(visible(text), width - others)
  }
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
  const barWidth = Math.max(
    0,
    Math.min(BAR_WIDTH, style.width - TIME_CHARACTERS[by] - FIGURE_COLUMNS),
  )
  const rows = timeline.map(({ startMs, events, requests, denials, failures }) => [
    formatTime(startMs, isUtc).slice(0, TIME_CHARACTERS[by]),
    ...[events, requests, denials, failures].map(formatCount),
    bar(events / max, barWidth),
  ])
  const head = [by, 'events', 'requests', 'denials', 'failures', '']
  const left = `${formatCount(timelineUntracked)} events are in further periods`
  const table = fitted(formatTable(head, rows, paint), style.width)
  return [timelineUntracked === 0 ? table : `${table}\n${left}`]
}

function bar(share: number, width: number): string {
  return '█'.repeat(Math.ceil(share * width)).padEnd(width)
}

/** Bars as long as the terminal has room for beside their names and counts. */
function barsOf(title: string, counts: readonly Count[], width: number): string {
  const bars = counts.map(({ name, count }) => ({ name, value: count }))
  const columns = counts.map(({ name, count }) => textWidth(name) + formatCount(count).length)
  const room = width - Math.max(...columns) - BAR_GAPS
  const barWidth = Math.max(BAR_WIDTH_MIN, Math.min(BAR_WIDTH, room))
  return textBars({ title, bars, format: formatCount }, barWidth)
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
  const notes = listNotes(top.length, names, errorMax, 'most frequent')
  const table = fitted(formatTable([title, 'asked', 'denied'], rows, paint), width)
  return [notes === '' ? table : `${table}\n${paint('dim', wrapped(notes, width))}`]
}

function deniedText<Name>(
  title: string,
  { names, errorMax, top }: DeniedList<Name>,
  { paint, width }: TextStyle,
  textOf: (name: Name) => string,
): string[] {
  if (top.length === 0) return []
  const rows = top.map(({ name, denied }) => [textOf(name), formatCount(denied)])
  const table = fitted(formatTable([title, 'denied'], rows, paint), width)
  const notes = listNotes(top.length, names, errorMax, 'most denied')
  return [notes === '' ? table : `${table}\n${paint('dim', wrapped(notes, width))}`]
}

/** Whether a list is the whole, and how exact it is. */
function listNotes(shown: number, names: number, errorMax: number, which: string): string {
  const more = `the ${formatCount(shown)} ${which} of ${formatCount(names)} (--top shows more)`
  return [
    ...(names > shown ? [more] : []),
    ...(errorMax > 0 ? [`each count may be up to ${formatCount(errorMax)} too low`] : []),
  ].join('; ')
}

function durationText({ durationMs, output }: LogStats, { paint, width }: TextStyle): string[] {
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
    barsOf(paint('bold', 'Durations'), bars, width),
    names.map((name, i) => `${paint('dim', name)} ${figures[i]}`).join('  '),
    `Output: ${stdout} on stdout, ${stderr} on stderr${cut}`,
  ]
}

function openText({ open }: LogStats, { paint, isUtc, width, names }: TextStyle): string[] {
  const { started, notStarted, untracked, oldest } = open
  if (started + notStarted + untracked === 0) return []
  const isNarrow = width < OPEN_COLUMNS + ID_DIGITS + REQUEST_DIGITS
  const digits = isNarrow ? ID_DIGITS_NARROW : ID_DIGITS
  const others = isNarrow ? OPEN_COLUMNS_NARROW : OPEN_COLUMNS + ID_DIGITS * 2
  const commandText = commandFor(width, others)
  const timeText = (ms: number) => {
    const time = formatTime(ms, isUtc)
    return isNarrow ? time.replace(/\.\d{3}/, '') : time
  }
  const rows = oldest.map(({ requestId, agentId, command, tsUnixMs, isStarted, ageMs }) => [
    timeText(tsUnixMs),
    isNarrow ? requestId.slice(0, ID_DIGITS_NARROW) : requestId,
    agentText(names.of(agentId), agentId, digits),
    commandText(command),
    isStarted ? 'started' : 'never started',
    isNarrow ? formatShortDuration(ageMs) : formatDuration(ageMs),
  ])
  const ageHead = isNarrow ? 'age' : 'age at the last event'
  const head = ['Without an end', 'request', 'agent', 'command', 'state', ageHead]
  const all = started + notStarted
  const counts = `${formatCount(started)} started and have no exit, ${formatCount(notStarted)} have neither`
  const more = all > oldest.length ? `; the ${oldest.length} oldest are shown` : ''
  const lost = untracked === 0 ? '' : `; ${formatCount(untracked)} more requests were not followed`
  const ages = isNarrow && oldest.length > 0 ? '; ages are those at the last event' : ''
  const notes = wrapped(`${counts}${more}${lost}${ages}`, width)
  return [`${fitted(formatTable(head, rows, paint, 5), width)}\n${paint('dim', notes)}`]
}

/** As many columns for a name as for the digits in its place. */
function agentText(name: string | undefined, agentId: string, digits: number): string {
  return name === undefined ? `${agentId.slice(0, digits)}…` : cutToWidth(visible(name), digits + 1)
}

/** Text in lines, broken between words. */
function wrapped(text: string, width: number): string {
  return wrapText(text, { width, column: 0, indent: 0 })
}

function shown(command: string | null): string {
  return command === null ? NO_ARGUMENTS : quoteArgument(command)
}
