import { constants } from 'node:os'
import { I32_MAX } from '../../base/integers'
import type { AuditRecord, ExitRecord } from '../../format/records'
import type { Paint } from '../../toolkit/text/colour'
import { formatBytes } from '../../toolkit/text/numbers'
import { formatDuration, formatTime } from '../../toolkit/text/time'
import { cutToWidth, foldsOf, type TextPlace } from '../../toolkit/text/width'
import { quoteArgv, visible, visibleJson } from './escape'
import { isFailure, type Parties } from './filter'

/** The style of lines for people. */
export interface LineStyle {
  readonly paint: Paint
  /** Columns of the terminal; longer lines are cut, or folded. */
  readonly width: number
  readonly isFolded?: boolean
  readonly isUtc: boolean
}

type Style = Parameters<Paint>[0]
type Part = readonly [style: Style | undefined, text: string]

const ID_DIGITS = 8
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
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
)

/** An event as one line for people, without its newline. */
export function eventLine(
  record: AuditRecord,
  parties: Parties | undefined,
  { paint, width, isFolded, isUtc }: LineStyle,
): string {
  const headWidth = isFolded ? Number.POSITIVE_INFINITY : width
  const parts = [...headParts(record, parties, headWidth, isUtc), ...eventParts(record)]
  if (!isFolded) return paintParts(parts, paint, width)
  return foldParts(parts, paint, { width, column: 0 })
}

const clockOf = (time: string) => time.replace(/^\S+-\d\d-\d\d /, '')
const secondsOf = (time: string) => clockOf(time).replace(/\.\d{3}/, '')

/**
 * The forms of a line's head, from the fullest to the shortest, and the columns that each must
 * leave. The id stays, since `show` needs it.
 */
const HEADS: readonly {
  readonly timeOf: (time: string) => string
  readonly hasAgent: boolean
  readonly leave: number
}[] = [
  { timeOf: (time) => time, hasAgent: true, leave: 20 },
  { timeOf: clockOf, hasAgent: true, leave: 20 },
  { timeOf: clockOf, hasAgent: false, leave: 20 },
  { timeOf: secondsOf, hasAgent: false, leave: 10 },
  { timeOf: () => '', hasAgent: false, leave: 0 },
]

/** The time and the parties of an event, as far as a terminal of this width has room for them. */
function headParts(
  record: AuditRecord,
  parties: Parties | undefined,
  width: number,
  isUtc: boolean,
): Part[] {
  const time = formatTime(record.tsUnixMs, isUtc)
  const style = isFailure(record) ? 'red' : EVENT_STYLES[record.event]
  const event = `${record.event.padEnd(EVENT_WIDTH)}  `
  const id = `${record.requestId.slice(0, ID_DIGITS)}  `
  const agent = `${(parties?.agentId.slice(0, ID_DIGITS) ?? '-').padEnd(ID_DIGITS)}  `
  let head: Part[] = []
  for (const { timeOf, hasAgent, leave } of HEADS) {
    const shown = timeOf(time)
    const whose = hasAgent ? id + agent : id
    head = [
      ['dim', shown === '' ? '' : `${shown}  `],
      [style, event],
      [undefined, whose],
    ]
    const used = shown.length + 2 + event.length + whose.length
    if (used + leave <= width) return head
  }
  return head
}

/** The rest of an event, besides its time and its parties. */
export function eventParts(record: AuditRecord): Part[] {
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
      return [[undefined, `pid ${record.pid}`]]
    case 'warning': {
      const { kind, bytes } = record
      return [['yellow', bytes === null ? kind : `${kind} at ${formatBytes(bytes)}`]]
    }
    case 'exit':
      return exitParts(record)
    case 'denial':
      return [
        ['red', record.reason],
        [undefined, '  '],
        ['bold', quoteArgv(record.argv)],
      ]
  }
}

/** Without a limit `exec` asks for the longest time of a timer; the runner takes 0 for 1 s. */
function limitText(timeoutMs: number): string {
  if (timeoutMs === 0) return 'limit 0, which is 1 s'
  return timeoutMs >= I32_MAX ? 'no limit' : `limit ${formatDuration(timeoutMs)}`
}

function exitParts(record: ExitRecord): Part[] {
  const { durationMs, stdoutBytes, stderrBytes, truncated } = record
  const output = `stdout ${formatBytes(stdoutBytes)}, stderr ${formatBytes(stderrBytes)}`
  return [
    [isFailure(record) ? 'red' : 'green', outcomeOf(record)],
    [undefined, `  after ${formatDuration(durationMs)}`],
    ['dim', `  (${output}${truncated ? ', truncated' : ''})`],
  ]
}

/** How a command ended. */
function outcomeOf({ code, signal }: ExitRecord): string {
  const killed = signal === null ? undefined : `killed by ${signalName(signal)}`
  if (code === null) return killed ?? 'ended, code unknown'
  return killed === undefined ? `exit ${code}` : `exit ${code}, ${killed}`
}

function signalName(signal: number): string {
  return SIGNAL_NAMES.get(signal) ?? `signal ${signal}`
}

/** Paints the parts, cut to the width. */
function paintParts(parts: readonly Part[], paint: Paint, width: number): string {
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

export const CSV_HEAD = ['time', ...CSV_COLUMNS, 'file'].join(',')

/**
 * An event as a row of CSV: argv is a JSON array, absent values are empty, and every row has its parties if
 * they are known, so that a spreadsheet can group by agent.
 */
export function csvRow(
  record: AuditRecord,
  parties: Parties | undefined,
  { line, file }: { line: number | null; file: string },
): string {
  const fields = new Map<string, unknown>(Object.entries({ ...parties, ...record, line }))
  const time = formatTime(record.tsUnixMs, true).replace(' ', 'T')
  const cells = CSV_COLUMNS.map((column) => csvCell(fields.get(column)))
  return [time, ...cells, csvCell(file)].join(',')
}

/** A spreadsheet runs text that begins with one of these. */
const FORMULA = /^[=+\-@]/
const NEEDS_QUOTES = /[",]/

function csvCell(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') return csvQuoted(exactJson(value))
  const text = visible(value)
  return csvQuoted(FORMULA.test(text) ? `'${text}` : text)
}

function csvQuoted(text: string): string {
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
