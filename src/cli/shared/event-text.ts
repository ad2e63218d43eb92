import { constants } from 'node:os'
import { I32_MAX } from '../../base/integers'
import type { WarningKind } from '../../format/events'
import type { AuditRecord, ExitRecord, StartedRecord, WarningRecord } from '../../format/records'
import type { Paint } from '../../toolkit/text/colour'
import { formatBytes, formatCount } from '../../toolkit/text/numbers'
import { formatBriefDuration, formatDuration, formatTime } from '../../toolkit/text/time'
import { cutToWidth, foldsOf, type TextPlace, textWidth } from '../../toolkit/text/width'
import { quoteArgv, visible, visibleJson } from './escape'
import { isFailure, isTimeout, ZERO_LIMIT_MS } from './filter'
import type { AskedCommand } from './request-memory'

/** The style of lines for people. */
export interface LineStyle {
  readonly paint: Paint
  /** Columns of the terminal; longer lines are cut, or folded. */
  readonly width: number
  readonly isFolded?: boolean
  readonly isUtc: boolean
  /** The columns of whoever asked; those of an agent's first digits by default. */
  readonly whoWidth?: number
}

type Style = Parameters<Paint>[0]
export type Part = readonly [style: Style | undefined, text: string]

export const ID_DIGITS = 8
/** The columns before the second and later lines of an event: no event begins like that. */
const FOLD_INDENT = 4
const EVENT_WIDTH = 'request'.length
const EVENT_STYLES = {
  request: 'cyan',
  started: 'blue',
  warning: 'yellow',
  exit: 'green',
  denial: 'red',
} as const
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    // The first name of a number is the usual one.
    .reverse()
    .map(([name, number]) => [number, name]),
)

/** An event as one line for people, without its newline. */
export function eventLine(
  record: AuditRecord,
  asked: AskedCommand | undefined,
  style: LineStyle,
): string {
  const { paint, width, isFolded } = style
  const form = formFor(record, asked, style)
  const parts = [
    ...headParts(record, asked, { ...style, ...form }),
    ...eventParts(record, asked, form.isShort),
  ]
  if (!isFolded) return paintParts(parts, paint, width)
  return foldParts(parts, paint, { width, column: 0 })
}

/** Who asked, as the lines show it: the principal, else the agent. The operator's own names come first. */
export function whoOf(asked: AskedCommand | undefined): string {
  if (asked === undefined) return '-'
  const { principalName, context, agentName, agentId } = asked
  const principal = principalName ?? context?.principal ?? agentName
  return principal === undefined ? agentId.slice(0, ID_DIGITS) : visible(principal)
}

const GAP = '  '
/** The time without its date, whose line says UTC. A time that no calendar has stays as it is. */
export const clockOf = (time: string) => time.replace(/^\S+-\d\d-\d\d ([\d:.]+)Z?$/, '$1')
export const secondsOf = (time: string) => clockOf(time).replace(/\.\d{3}/, '')

/** Where the columns of all lines stand: the time's form, the id's digits, and what is between these. */
interface Layout {
  readonly timeOf: (time: string) => string
  readonly idDigits: number
  readonly gap: string
}

/** How much one line says besides its arguments. */
interface LineForm {
  readonly layout: Layout
  readonly hasWho: boolean
  readonly isShort: boolean
}

/** Six digits are enough for `show`, nearly always, and it says so if not. */
const SHORT_ID_DIGITS = 6
const FULL: LineForm = {
  layout: { timeOf: (time) => time, idDigits: ID_DIGITS, gap: GAP },
  hasWho: true,
  isShort: false,
}
const SHORTEST: LineForm = {
  layout: { timeOf: secondsOf, idDigits: SHORT_ID_DIGITS, gap: ' ' },
  hasWho: false,
  isShort: true,
}
/**
 * The layouts, from the fullest to the shortest, with the least that an exit says in them. The first that then
 * leaves half of the line to the arguments is taken for all lines; the id stays, since `show` needs it.
 */
const LAYOUTS: readonly LineForm[] = [
  FULL,
  { layout: { timeOf: clockOf, idDigits: ID_DIGITS, gap: GAP }, hasWho: true, isShort: true },
  { layout: { timeOf: secondsOf, idDigits: ID_DIGITS, gap: GAP }, hasWho: false, isShort: true },
  SHORTEST,
]
const NO_TIME: Layout = { ...SHORTEST.layout, timeOf: () => '' }
/** The columns that a time must leave to the rest of the line. */
const LEAST_REST = 10
/** The columns of usual ends, so that most lines of a width have the same form. */
const LONG_END = 'exit 0  after 1.234 s  '.length
const SHORT_END = 'exit 127 1.2s  '.length
/** What a line can leave out in its layout, from nothing on. */
const LINE_FORMS = [
  { hasWho: true, isShort: false },
  { hasWho: true, isShort: true },
  { hasWho: false, isShort: true },
] as const

type HeadStyle = Pick<LineStyle, 'width' | 'isFolded' | 'isUtc' | 'whoWidth'>

/** The columns of the head of a line for a time that is as long as this one. */
function headWidth(time: string, { layout, hasWho }: Omit<LineForm, 'isShort'>, whoWidth: number) {
  const { timeOf, idDigits, gap } = layout
  const shown = timeOf(time)
  const timeWidth = shown === '' ? 0 : shown.length + gap.length
  const parties = idDigits + GAP.length + (hasWho ? whoWidth + GAP.length : 0)
  return timeWidth + EVENT_WIDTH + gap.length + parties
}

const usualEnd = (isShort: boolean) => (isShort ? SHORT_END : LONG_END)

/** The fullest layout in which a usual exit leaves half of the line to its arguments. */
function layoutFor(time: string, { width, isFolded, whoWidth = ID_DIGITS }: HeadStyle): Layout {
  if (isFolded) return FULL.layout
  const used = (form: LineForm) => headWidth(time, form, whoWidth) + usualEnd(form.isShort)
  const half = LAYOUTS.find((form) => used(form) * 2 <= width)
  if (half !== undefined) return half.layout
  const isRoomy = headWidth(time, SHORTEST, whoWidth) + LEAST_REST <= width
  return isRoomy ? SHORTEST.layout : NO_TIME
}

/** Whether a line of this style has its date; otherwise a line of its own has it, once per day. */
export function hasDate(style: HeadStyle): boolean {
  return layoutFor(formatTime(0, style.isUtc), style) === FULL.layout
}

/**
 * The fullest form of an event's line that leaves half of it to the arguments. Requests and denials say who asked
 * if the head alone does: without the request's line nothing else would say it.
 */
function formFor(record: AuditRecord, known: Known | undefined, style: LineStyle): LineForm {
  const time = formatTime(record.tsUnixMs, style.isUtc)
  const layout = layoutFor(time, style)
  const { width, isFolded, whoWidth = ID_DIGITS } = style
  if (isFolded) return FULL
  const leadWidth = (isShort: boolean) => {
    if (record.event === 'request' || record.event === 'denial') return 0
    const text = leadParts(record, known, isShort).map(([, part]) => part)
    return Math.max(usualEnd(isShort), text.join('').length + GAP.length)
  }
  const fitting = LINE_FORMS.find(({ hasWho, isShort }) => {
    return (headWidth(time, { layout, hasWho }, whoWidth) + leadWidth(isShort)) * 2 <= width
  })
  return { ...(fitting ?? SHORTEST), layout }
}

/** The time and the parties of an event, as far as a terminal of this width has room for them. */
function headParts(
  record: AuditRecord,
  asked: AskedCommand | undefined,
  { layout, hasWho, isUtc, whoWidth = ID_DIGITS }: LineForm & LineStyle,
): Part[] {
  const { timeOf, idDigits, gap } = layout
  const shown = timeOf(formatTime(record.tsUnixMs, isUtc))
  const who = hasWho ? `${padded(whoOf(asked), whoWidth)}${GAP}` : ''
  return [
    ['dim', shown === '' ? '' : `${shown}${gap}`],
    [
      isFailure(record) ? 'red' : EVENT_STYLES[record.event],
      `${record.event.padEnd(EVENT_WIDTH)}${gap}`,
    ],
    [undefined, `${record.requestId.slice(0, idDigits)}${GAP}${who}`],
  ]
}

/** The text in as many columns as that, cut or filled up. */
export function padded(text: string, width: number): string {
  const cut = cutToWidth(text, width)
  return `${cut}${' '.repeat(Math.max(0, width - textWidth(cut)))}`
}

/** What an event's line says of its command; `show` has the arguments once. */
type Known = Partial<Pick<AskedCommand, 'argv' | 'argvLeft' | 'timeoutMs'>>

/** The rest of an event, besides its time and its parties. */
export function eventParts(record: AuditRecord, known: Known | undefined, isShort = false): Part[] {
  switch (record.event) {
    case 'request': {
      const { argv, matchedAcl, stdinBytes, timeoutMs } = record
      const acl = matchedAcl === null ? 'no rule' : `rule ${visible(matchedAcl)}`
      const stdin = Number(stdinBytes) === 0 ? '' : `, stdin ${formatBytes(stdinBytes)}`
      return [
        ['bold', quoteArgv(argv)],
        ['dim', `  (${acl}${stdin}, ${limitText(timeoutMs)})`],
      ]
    }
    case 'started':
    case 'warning':
    case 'exit':
      return [
        ...leadParts(record, known, isShort),
        ...argvParts(known),
        ...tailParts(record, known, isShort),
      ]
    case 'denial':
      return [
        ['red', record.reason],
        [undefined, GAP],
        ['bold', quoteArgv(record.argv)],
      ]
  }
}

function argvParts(known: Known | undefined): Part[] {
  if (known?.argv === undefined) return []
  return [
    [undefined, GAP],
    ['bold', askedArgv({ argv: known.argv, argvLeft: known.argvLeft })],
  ]
}

/** The arguments as far as they are remembered, and how much is missing. */
export function askedArgv({ argv, argvLeft }: Pick<AskedCommand, 'argv' | 'argvLeft'>): string {
  const shown = quoteArgv(argv)
  return argvLeft === undefined ? shown : `${shown}… (${formatCount(argvLeft)} more characters)`
}

/** Without a limit `exec` asks for the longest time of a timer; the runner takes 0 for 1 s. */
function limitText(timeoutMs: number): string {
  if (timeoutMs === 0) return `limit 0, which is ${formatDuration(ZERO_LIMIT_MS)}`
  return timeoutMs >= I32_MAX ? 'no limit' : `limit ${formatDuration(timeoutMs)}`
}

type FollowUp = StartedRecord | WarningRecord | ExitRecord

/** In thirteen columns at most, as the longest usual end. */
const SHORT_KINDS: Readonly<Record<WarningKind, string>> = {
  stdout_cap_hit: 'stdout cap',
  stderr_cap_hit: 'stderr cap',
  duration_approaching_cap: 'near limit',
  stdout_approaching_cap: 'near out cap',
  stderr_approaching_cap: 'near err cap',
  lease_expired: 'lease expired',
  peer_disconnected: 'peer gone',
  cancelled: 'cancelled',
}

/** What an event that follows a request says before the arguments. */
function leadParts(record: FollowUp, known: Known | undefined, isShort: boolean): Part[] {
  if (record.event === 'started') return [[undefined, `pid ${record.pid}`]]
  if (record.event === 'warning') {
    const { kind, bytes } = record
    if (isShort) return [['yellow', SHORT_KINDS[kind]]]
    return [['yellow', bytes === null ? kind : `${kind} at ${formatBytes(bytes)}`]]
  }
  const style = isFailure(record) ? 'red' : 'green'
  const isOver = isTimeout(record, known?.timeoutMs)
  if (isShort) {
    const end = isOver ? 'timed out' : shortOutcomeOf(record)
    return [
      [style, end],
      [undefined, ` ${formatBriefDuration(record.durationMs)}`],
    ]
  }
  return [
    [style, isOver ? 'timed out' : outcomeOf(record)],
    [undefined, `${isOver ? ' ' : GAP}after ${formatDuration(record.durationMs)}`],
  ]
}

/** What it says behind them. */
function tailParts(record: FollowUp, known: Known | undefined, isShort: boolean): Part[] {
  const notes = record.event === 'started' ? [] : notesOf(record, known, isShort)
  return [['dim', notes.length === 0 ? '' : `${GAP}(${notes.join(', ')})`]]
}

function notesOf(
  record: WarningRecord | ExitRecord,
  known: Known | undefined,
  isShort: boolean,
): readonly string[] {
  if (record.event === 'warning') {
    const limit = limitHit(record, known?.timeoutMs)
    return [
      ...(isShort && record.bytes !== null ? [`at ${formatBytes(record.bytes)}`] : []),
      ...(limit === undefined ? [] : [limitText(limit)]),
    ]
  }
  const { signal, stdoutBytes, stderrBytes, truncated } = record
  return [
    ...(signal !== null && isTimeout(record, known?.timeoutMs) ? [signalName(signal)] : []),
    ...[`stdout ${formatBytes(stdoutBytes)}`, `stderr ${formatBytes(stderrBytes)}`],
    ...(truncated ? ['truncated'] : []),
  ]
}

/** The request's limit, if the event says that it was hit, or nearly. */
function limitHit(record: AuditRecord, timeoutMs: number | undefined): number | undefined {
  const isNear = record.event === 'warning' && record.kind === 'duration_approaching_cap'
  const isOver = record.event === 'exit' && isTimeout(record, timeoutMs)
  return isNear || isOver ? timeoutMs : undefined
}

/** How a command ended. */
export function outcomeOf({ code, signal }: ExitRecord): string {
  const killed = signal === null ? undefined : `killed by ${signalName(signal)}`
  if (code === null) return killed ?? 'ended, code unknown'
  return killed === undefined ? `exit ${code}` : `exit ${code}, ${killed}`
}

/** How it ended, in a word or two. */
export function shortOutcomeOf({ code, signal }: ExitRecord): string {
  if (signal !== null) return signalName(signal)
  return code === null ? 'ended' : `exit ${code}`
}

function signalName(signal: number): string {
  return SIGNAL_NAMES.get(signal) ?? `signal ${signal}`
}

/** Paints the parts, cut to the width. */
export function paintParts(parts: readonly Part[], paint: Paint, width: number): string {
  const text = cutToWidth(parts.map(([, part]) => part).join(''), width)
  let line = ''
  let at = 0
  for (const [style, part] of parts) {
    const shown = text.slice(at, at + part.length)
    line += style === undefined || shown === '' ? shown : paint(style, shown)
    at += part.length
  }
  return line
}

/**
 * Paints the parts, folded at the width, the further lines indented. Otherwise the terminal folds them itself,
 * and an argument could be as long as it takes to stand where an event begins, and look like one.
 */
export function foldParts(
  parts: readonly Part[],
  paint: Paint,
  { width, column }: Pick<TextPlace, 'width' | 'column'>,
): string {
  const text = parts.map(([, part]) => part).join('')
  const folds = foldsOf(text, { width, column, indent: FOLD_INDENT })
  let folded = ''
  let at = 0
  for (const [style, part] of parts) {
    const end = at + part.length
    const inside = folds.filter((fold) => fold >= at && fold < end)
    for (const [i, next] of [...inside, end].entries()) {
      const shown = text.slice(at, next)
      if (shown !== '') folded += style === undefined ? shown : paint(style, shown)
      if (i < inside.length) folded += FOLD
      at = next
    }
  }
  return folded
}

const FOLD = `\n${' '.repeat(FOLD_INDENT)}`

/** The value as JSON, every digit of a bigint kept, and nothing in it that a terminal would act on. */
export function exactJson(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return `[${value.map(exactJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${exactJson(field)}`).join(',')}}`
  }
  return visibleJson(JSON.stringify(value) ?? 'null')
}

/**
 * An event with what its request said: who asked, the arguments, as far as they are remembered, and the limit
 * if that was hit.
 */
export function eventFields(record: AuditRecord, asked: AskedCommand | undefined): object {
  const { agentId, machineId, argv, argvLeft, context, agentName, timeoutMs } = asked ?? {}
  if ('argv' in record) return { ...record, agentName }
  const timedOut = record.event === 'exit' ? isTimeout(record, timeoutMs) : undefined
  const of = { agentId, machineId, argv, argvLeft, timeoutMs: limitHit(record, timeoutMs) }
  return { ...record, ...of, timedOut, context, agentName }
}

const CSV_COLUMNS = [
  'tsUnixMs',
  'event',
  'requestId',
  'agentId',
  'machineId',
  'argv',
  'matchedAcl',
  'stdinBytes',
  'timeoutMs',
  'pid',
  'kind',
  'bytes',
  'code',
  'signal',
  'durationMs',
  'stdoutBytes',
  'stderrBytes',
  'truncated',
  'reason',
  'line',
  'offset',
] as const
/** Behind the file's name, since they came later. */
const CSV_LAST_COLUMNS = ['timedOut', 'argvLeft', 'principal', 'context', 'agentName'] as const

export const CSV_HEAD = ['time', ...CSV_COLUMNS, 'file', ...CSV_LAST_COLUMNS].join(',')

/**
 * An event as a row of CSV: argv is a JSON array, absent values are empty, and every row has what its request
 * said, if that is known, so that a spreadsheet can group by agent.
 */
export function csvRow(
  record: AuditRecord,
  asked: AskedCommand | undefined,
  { line, file }: { line: number | null; file: string },
): string {
  const fields = new Map<string, unknown>(
    Object.entries({
      ...eventFields(record, asked),
      ...{ principal: asked?.context?.principal, line, file },
    }),
  )
  const time = isoTime(record.tsUnixMs)
  const columns = [...CSV_COLUMNS, 'file', ...CSV_LAST_COLUMNS]
  return [time, ...columns.map((column) => csvCell(fields.get(column)))].join(',')
}

/** A moment in UTC, as spreadsheets read it. */
export function isoTime(ms: number): string {
  return formatTime(ms, true).replace(' ', 'T')
}

/** A spreadsheet runs text that begins with one of these. */
const FORMULA = /^[=+\-@]/
const NEEDS_QUOTES = /[",]/

/** A value of a row; text that a spreadsheet would run gets a ' before it. */
export function csvCell(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') return csvQuoted(exactJson(value))
  const text = visible(value)
  return csvQuoted(FORMULA.test(text) ? `'${text}` : text)
}

function csvQuoted(text: string): string {
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
