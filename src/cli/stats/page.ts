import { createHash } from 'node:crypto'
import { formatDuration, formatTime } from '../../toolkit/text/time'
import { type CommandLife, isTimedOut } from '../shared/command-table'
import { NO_ARGUMENTS, quoteArgument, visible, visibleJson } from '../shared/escape'
import { askedArgv, ID_DIGITS, outcomeOf, whoOf } from '../shared/event-text'
import { isFailure } from '../shared/filter'
import { fileName } from '../shared/log-input'
import type { Names } from '../shared/names'
import type { VerifyReport } from '../shared/verification/verify'
import type { DeniedList, LogStats, TopList } from './log-stats'
import { PAGE_SCRIPT } from './page-script'
import { PAGE_STYLE } from './page-style'
import { type Bucket, PERIOD_MS, type Period } from './timeline'

/** What the page shows. */
export interface PageInput {
  readonly files: readonly string[]
  readonly stats: LogStats
  readonly period: Period
  readonly buckets: readonly Bucket[]
  /** The last ones, the oldest first. */
  readonly commands: readonly CommandLife[]
  /** How many there are in all. */
  readonly commandCount: number
  /** Undefined if the log could not be read twice. */
  readonly verification: VerifyReport | undefined
  readonly isUtc: boolean
  readonly names: Names
}

/** What every page begins with. */
export const PAGE_START = '<!doctype html>'
/** Commands of its table. */
export const PAGE_COMMANDS_MAX = 10_000
const ARGV_CHARACTERS_MAX = 400
const TIME_CHARACTERS = { minute: 16, hour: 16, day: 10 } as const
const WORDS = { good: 'GOOD', broken: 'BROKEN', unsure: 'CANNOT TELL' } as const

/**
 * One page that needs nothing else: no network, and no markup made of data. The data is JSON in a block of its
 * own, in which no character can end that block; the policy allows this one script and this one style.
 */
export function pageHtml(input: PageInput): string {
  const policy = `default-src 'none'; base-uri 'none'; form-action 'none'; script-src '${hashOf(PAGE_SCRIPT)}'; style-src '${hashOf(PAGE_STYLE)}'`
  return `${PAGE_START}
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>x0x-exec-audit stats</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<main></main>
<noscript>The page needs its script; x0x-exec-audit stats prints the same as text.</noscript>
<script type="application/json" id="data">${inertJson(dataOf(input))}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

/** JSON in which no text can end the block that it stands in. */
function inertJson(value: object): string {
  return visibleJson(JSON.stringify(value)).replace(/[<>&]/g, (character) => {
    return `\\u00${character.charCodeAt(0).toString(16)}`
  })
}

function dataOf(input: PageInput): object {
  const { stats, period, buckets, commands, commandCount, isUtc, names } = input
  const labelOf = (ms: number) => formatTime(ms, isUtc).slice(0, TIME_CHARACTERS[period])
  const idName = (id: string) => {
    const name = names.of(id)
    return name === undefined ? visible(id) : `${visible(name)} (${visible(id)})`
  }
  const command = (name: string | null) => (name === null ? NO_ARGUMENTS : quoteArgument(name))
  const denials = (title: string, list: DeniedList) => deniedOf(title, list, idName)
  return {
    title: input.files.map(fileName).join(', '),
    span: spanOf(stats, isUtc),
    verdict: verdictOf(input.verification),
    tiles: tilesOf(stats),
    timeline: {
      period,
      lengthMs: PERIOD_MS[period],
      buckets: buckets.map((one) => ({ ...one, label: labelOf(one.startMs) })),
    },
    durations: stats.durationMs.histogram.map(({ upTo, count }) => ({
      name: upTo === Number.MAX_SAFE_INTEGER ? 'longer' : formatDuration(upTo),
      count,
    })),
    percentiles: percentilesOf(stats),
    lists: [
      topOf('Principals', stats.principals, idName),
      topOf('Agents', stats.agents, idName),
      topOf('Programs', stats.commands, command),
      denials('Principals denied most', stats.deniedPrincipals),
      denials('Agents denied most', stats.deniedAgents),
      deniedOf('Programs denied most', stats.deniedCommands, command),
      countsOf('Denials', stats.denials),
      countsOf('Exits', stats.exits),
      countsOf('Warnings', stats.warnings),
    ],
    commands: { total: commandCount, rows: commands.map((life) => rowOf(life, isUtc)) },
  }
}

function spanOf({ firstMs, lastMs }: LogStats, isUtc: boolean): string {
  if (firstMs === null || lastMs === null) return 'No events.'
  return `${formatTime(firstMs, isUtc)} to ${formatTime(lastMs, isUtc)}, ${formatDuration(lastMs - firstMs)}`
}

function verdictOf(report: VerifyReport | undefined): object {
  if (report === undefined) {
    const text = 'Standard input can be read only once: run verify on the files.'
    return { kind: 'unchecked', word: 'NOT VERIFIED', text }
  }
  const { verdict, byKind, lines } = report
  const kinds = Object.entries(byKind).map(([kind, count]) => `${count} ${kind}`)
  const found = kinds.length === 0 ? 'nothing is wrong with them' : kinds.join(', ')
  const text = `${lines.toLocaleString('en-US')} lines: ${found}. x0x-exec-audit verify has the details.`
  return { kind: verdict, word: WORDS[verdict], text }
}

function tilesOf({ events, denials, exits, timedOut, open }: LogStats): object[] {
  const sum = (counts: LogStats['events']) => counts.reduce((all, { count }) => all + count, 0)
  const requests = events.find(({ name }) => name === 'request')?.count ?? 0
  const failed = exits.filter(({ name }) => name !== 'code 0')
  return [
    { name: 'events', value: sum(events) },
    { name: 'requests', value: requests },
    { name: 'denials', value: sum(denials) },
    { name: 'failed exits', value: sum(failed) },
    { name: 'timed out', value: timedOut },
    { name: 'without an end', value: open.started + open.notStarted + open.untracked },
  ]
}

function percentilesOf({ durationMs }: LogStats): string {
  const { p50, p90, p99, max } = durationMs
  const [half, nine, most, longest] = [p50, p90, p99, max].map(formatDuration)
  return `p50 ${half}, p90 ${nine}, p99 ${most}, max ${longest}`
}

function noteOf(shown: number, names: number, errorMax: number): string {
  const more = names > shown ? `${shown} of ${names.toLocaleString('en-US')}` : ''
  return errorMax > 0 ? `${more} (each count may be up to ${errorMax} too low)` : more
}

function topOf<Name>(title: string, list: TopList<Name>, textOf: (name: Name) => string): object {
  const { top, names, errorMax } = list
  const rows = top.map(({ name, count, denied }) => [textOf(name), count, denied])
  const note = noteOf(top.length, names, errorMax)
  return { title, columns: ['', 'asked', 'denied'], rows, note }
}

function deniedOf<Name>(
  title: string,
  { top, names, errorMax }: DeniedList<Name>,
  textOf: (name: Name) => string,
): object {
  const rows = top.map(({ name, denied }) => [textOf(name), denied])
  return { title, columns: ['', 'denied'], rows, note: noteOf(top.length, names, errorMax) }
}

function countsOf(title: string, counts: LogStats['events']): object {
  const rows = counts.map(({ name, count }) => [name, count])
  return { title, columns: ['', 'count'], rows, note: '' }
}

function rowOf(life: CommandLife, isUtc: boolean): object {
  const { requestId, tsUnixMs, asked, end, warnings } = life
  const argv = asked === undefined ? '-' : askedArgv(asked)
  const durationMs = end?.event === 'exit' ? Number(end.durationMs) : -1
  const isBad = end !== undefined && (end.event === 'denial' || isFailure(end))
  return {
    ms: tsUnixMs,
    time: formatTime(tsUnixMs, isUtc),
    who: whoOf(asked),
    id: requestId.slice(0, ID_DIGITS),
    durationMs,
    duration: durationMs < 0 ? '' : formatDuration(durationMs),
    end: endOf(life),
    kind: end === undefined ? 'open' : isBad ? 'bad' : '',
    note: [...(end?.event === 'denial' ? [end.reason] : []), ...warnings].join(', '),
    argv: argv.length > ARGV_CHARACTERS_MAX ? `${argv.slice(0, ARGV_CHARACTERS_MAX)}…` : argv,
  }
}

function endOf(life: CommandLife): string {
  const { end } = life
  if (end === undefined) return 'open'
  if (end.event === 'denial') return 'denied'
  return isTimedOut(life) ? 'timed out' : outcomeOf(end)
}
