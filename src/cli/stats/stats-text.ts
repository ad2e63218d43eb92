import { formatPlain } from '../../toolkit/chart/chart'
import { textBars } from '../../toolkit/chart/text'
import type { Paint } from '../../toolkit/text/colour'
import { formatBytes, formatCount } from '../../toolkit/text/numbers'
import { formatTable } from '../../toolkit/text/table'
import { formatDuration, formatTime } from '../../toolkit/text/time'
import { NO_ARGUMENTS, quoteArgument } from '../shared/escape'
import type { Count, LogStats, TopList } from './log-stats'
import type { Period } from './timeline'

const BAR_WIDTH = 30
const ID_DIGITS = 16
const TIME_CHARACTERS = { minute: 16, hour: 16, day: 10 } as const

/** The style of the report. */
export interface TextStyle {
  readonly paint: Paint
  readonly isUtc: boolean
  readonly by: Period | undefined
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
    ...topText('Agents', stats.agents, paint, (name) => name),
    ...topText('Commands', stats.commands, paint, shown),
    ...durationText(stats, paint),
    ...openText(stats, style),
  ]
  return `${parts.join('\n\n')}\n`
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
  paint: Paint,
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
  const table = formatTable([title, 'asked', 'denied'], rows, paint)
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

function openText({ open }: LogStats, { paint, isUtc }: TextStyle): string[] {
  const { started, notStarted, untracked, oldest } = open
  if (started + notStarted + untracked === 0) return []
  const rows = oldest.map(({ requestId, agentId, command, tsUnixMs, isStarted, ageMs }) => [
    formatTime(tsUnixMs, isUtc),
    requestId,
    `${agentId.slice(0, ID_DIGITS)}…`,
    shown(command),
    isStarted ? 'started' : 'never started',
    formatDuration(ageMs),
  ])
  const head = ['Without an end', 'request', 'agent', 'command', 'state', 'age at the last event']
  const all = started + notStarted
  const counts = `${formatCount(started)} started and have no exit, ${formatCount(notStarted)} have neither`
  const more = all > oldest.length ? `; the ${oldest.length} oldest are shown` : ''
  const lost = untracked === 0 ? '' : `; ${formatCount(untracked)} more requests were not followed`
  return [`${formatTable(head, rows, paint, 5)}\n${paint('dim', `${counts}${more}${lost}`)}`]
}

function shown(command: string | null): string {
  return command === null ? NO_ARGUMENTS : quoteArgument(command)
}
