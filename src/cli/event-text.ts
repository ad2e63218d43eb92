import { constants } from 'node:os'
import { INT32_MAX } from '../option-checks'
import type { AuditRecord, ExitRecord } from '../reader/records'
import { quoteArgv, visible, visibleJson } from './escape'
import { isFailure, type Parties } from './filter'
import type { Paint } from './terminal'
import { formatBytes, formatDuration, formatTime } from './time'

/** How lines for people are made. */
export interface LineStyle {
  readonly paint: Paint
  /** Cells of the terminal; longer lines are cut. */
  readonly width: number
  readonly isUtc: boolean
}

type Style = Parameters<Paint>[0]
type Part = readonly [style: Style | undefined, text: string]

const ID_DIGITS = 8
const EVENT_CELLS = 'request'.length
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
  { paint, width, isUtc }: LineStyle,
): string {
  const agent = parties?.agentId.slice(0, ID_DIGITS) ?? '-'
  const style = isFailure(record) ? 'red' : EVENT_STYLES[record.event]
  return paintParts(
    [
      ['dim', `${formatTime(record.tsUnixMs, isUtc)}  `],
      [style, `${record.event.padEnd(EVENT_CELLS)}  `],
      [undefined, `${record.requestId.slice(0, ID_DIGITS)}  ${agent.padEnd(ID_DIGITS)}  `],
      ...eventParts(record),
    ],
    paint,
    width,
  )
}

/** What an event says, besides when and whose it is. */
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

/** The longest that a timer has is what `exec` asks for without a limit. */
function limitText(timeoutMs: number): string {
  return timeoutMs >= INT32_MAX ? 'no limit' : `limit ${formatDuration(timeoutMs)}`
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
export function outcomeOf({ code, signal }: ExitRecord): string {
  const killed = signal === null ? undefined : `killed by ${signalName(signal)}`
  if (code === null) return killed ?? 'ended, code unknown'
  return killed === undefined ? `exit ${code}` : `exit ${code}, ${killed}`
}

function signalName(signal: number): string {
  return SIGNAL_NAMES.get(signal) ?? `signal ${signal}`
}

/** Paints the parts, in as many cells as there are. */
export function paintParts(parts: readonly Part[], paint: Paint, width: number): string {
  let left = width
  let line = ''
  for (const [style, text] of parts) {
    const cut = cutToWidth(text, left)
    line += style === undefined || cut.text === '' ? cut.text : paint(style, cut.text)
    if (cut.isCut) return line
    left -= cut.cells
  }
  return line
}

/** Characters that take no cell, and such that take two. */
const NO_CELL = /\p{M}/u
const TWO_CELLS =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u
const PRINTABLE_ASCII = /^[ -~]*$/

function cutToWidth(text: string, width: number): { text: string; cells: number; isCut: boolean } {
  if (text.length <= width && PRINTABLE_ASCII.test(text)) {
    return { text, cells: text.length, isCut: false }
  }
  let cells = 0
  let end = 0
  /** Where to cut, so that the ellipsis still fits. */
  let fitting = 0
  for (const character of text) {
    cells += cellsOf(character)
    if (cells > width) return { text: `${text.slice(0, fitting)}…`, cells: width, isCut: true }
    end += character.length
    if (cells < width) fitting = end
  }
  return { text, cells, isCut: false }
}

function cellsOf(character: string): number {
  if (NO_CELL.test(character)) return 0
  return TWO_CELLS.test(character) ? 2 : 1
}

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
 * An event as a row of CSV: argv as a JSON array, absent values empty, and in every row whose it is, if
 * that is known: a spreadsheet can group by agent then.
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

/** A spreadsheet runs text that begins so. */
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
