import { formatDuration, formatShortDuration, formatTime } from '../../toolkit/text/time'
import { type CommandLife, isTimedOut } from '../shared/command-table'
import {
  askedArgv,
  clockOf,
  csvCell,
  foldParts,
  ID_DIGITS,
  isoTime,
  type LineStyle,
  outcomeOf,
  type Part,
  padded,
  paintParts,
  secondsOf,
  shortOutcomeOf,
  whoOf,
} from '../shared/event-text'
import { isFailure } from '../shared/filter'
import { fileName } from '../shared/log-input'
import type { RowKind } from './output'

const GAP = '  '

/** The forms of a row's head, from the fullest to the shortest, with the columns of duration and end. */
const HEADS = [
  { timeOf: (time: string) => time, hasId: true, isShort: false, durationWidth: 12, endWidth: 18 },
  { timeOf: clockOf, hasId: true, isShort: true, durationWidth: 7, endWidth: 9 },
  { timeOf: secondsOf, hasId: false, isShort: true, durationWidth: 7, endWidth: 9 },
] as const
type Head = (typeof HEADS)[number]

/** The fullest head that leaves half of the line to the arguments. */
function headFor(time: string, { width, isFolded, whoWidth = ID_DIGITS }: LineStyle): Head {
  const used = ({ timeOf, hasId, durationWidth, endWidth }: Head) => {
    const columns = [timeOf(time).length, whoWidth, durationWidth, endWidth]
    const all = hasId ? [...columns, ID_DIGITS] : columns
    return all.reduce((sum, column) => sum + column + GAP.length, 0)
  }
  const fitting = isFolded ? HEADS[0] : HEADS.find((head) => used(head) * 2 <= width)
  return fitting ?? HEADS[2]
}

function pretty(life: CommandLife, style: LineStyle): string {
  const { paint, width, isFolded, isUtc, whoWidth = ID_DIGITS } = style
  const time = formatTime(life.tsUnixMs, isUtc)
  const { timeOf, hasId, isShort, durationWidth, endWidth } = headFor(time, style)
  const { end, asked } = life
  const duration = end?.event === 'exit' ? end.durationMs : undefined
  const format = isShort ? formatShortDuration : formatDuration
  const endStyle = end === undefined ? 'yellow' : isGood(life) ? 'green' : 'red'
  const parts: Part[] = [
    ['dim', `${timeOf(time)}${GAP}`],
    [undefined, `${padded(whoOf(asked), whoWidth)}${GAP}`],
    [undefined, hasId ? `${life.requestId.slice(0, ID_DIGITS)}${GAP}` : ''],
    [
      undefined,
      `${(duration === undefined ? '-' : format(duration)).padStart(durationWidth)}${GAP}`,
    ],
    [endStyle, `${endText(life, isShort).padEnd(endWidth)}${GAP}`],
    ['bold', asked === undefined ? '-' : askedArgv(asked)],
    ['dim', notesText(life)],
  ]
  return isFolded ? foldParts(parts, paint, { width, column: 0 }) : paintParts(parts, paint, width)
}

function isGood({ end }: CommandLife): boolean {
  return end?.event === 'exit' && !isFailure(end)
}

/** How it ended, in a word or two; `open` if no end is known. */
function endText(life: CommandLife, isShort: boolean): string {
  const { end } = life
  if (end === undefined) return 'open'
  if (end.event === 'denial') return 'denied'
  if (isTimedOut(life)) return 'timed out'
  return isShort ? shortOutcomeOf(end) : outcomeOf(end)
}

/** What else is worth knowing. */
function notesText(life: CommandLife): string {
  const { end, asked, warnings, startedMs, isGivenUp } = life
  const limit = asked?.timeoutMs
  const notes = [
    ...(end?.event === 'denial' ? [end.reason] : []),
    ...(isTimedOut(life) && limit !== undefined ? [`limit ${formatDuration(limit)}`] : []),
    ...warnings,
    ...(end === undefined && startedMs === null ? ['never started'] : []),
    ...(isGivenUp ? ['its end was not looked for'] : []),
  ]
  return notes.length === 0 ? '' : `${GAP}(${notes.join(', ')})`
}

function fieldsOf(life: CommandLife) {
  const { requestId, tsUnixMs, asked, startedMs, end, warnings, line, file } = life
  const exit = end?.event === 'exit' ? end : undefined
  return {
    ...{ tsUnixMs, requestId, agentId: asked?.agentId ?? null },
    ...{ machineId: asked?.machineId ?? null, argv: asked?.argv ?? null },
    ...{ argvLeft: asked?.argvLeft ?? 0, matchedAcl: asked?.matchedAcl ?? null },
    ...{ stdinBytes: asked?.stdinBytes ?? null, timeoutMs: asked?.timeoutMs ?? null },
    ...{ startedMs, pid: asked?.pid ?? null, warnings },
    end: end === undefined ? 'open' : end.event === 'exit' ? 'exit' : 'denial',
    ...{ endedMs: end?.tsUnixMs ?? null, code: exit?.code ?? null, signal: exit?.signal ?? null },
    ...{ timedOut: isTimedOut(life), durationMs: exit?.durationMs ?? null },
    ...{ stdoutBytes: exit?.stdoutBytes ?? null, stderrBytes: exit?.stderrBytes ?? null },
    truncated: exit?.truncated ?? null,
    reason: end?.event === 'denial' ? end.reason : null,
    ...{ principal: asked?.context?.principal ?? null, context: asked?.context ?? null },
    agentName: asked?.agentName ?? null,
    ...{ line, file },
  }
}

const CSV_COLUMNS = [
  ...['tsUnixMs', 'requestId', 'agentId', 'machineId', 'argv', 'argvLeft', 'matchedAcl'],
  ...['stdinBytes', 'timeoutMs', 'startedMs', 'pid', 'warnings', 'end', 'endedMs', 'code'],
  ...['signal', 'timedOut', 'durationMs', 'stdoutBytes', 'stderrBytes', 'truncated', 'reason'],
  ...['principal', 'context', 'agentName', 'line', 'file'],
]

function csv(life: CommandLife): string {
  const fields = { ...fieldsOf(life), warnings: life.warnings.join(' ') }
  const values = new Map<string, unknown>(Object.entries({ ...fields, file: fileName(life.file) }))
  const cells = CSV_COLUMNS.map((column) => csvCell(values.get(column)))
  return [isoTime(life.tsUnixMs), ...cells].join(',')
}

/** A row per command. */
export const COMMAND_ROWS: RowKind<CommandLife> = {
  list: 'commands',
  csvHead: ['time', ...CSV_COLUMNS].join(','),
  msOf: ({ tsUnixMs }) => tsUnixMs,
  whoOf: ({ asked }) => whoOf(asked),
  pretty,
  csv,
  json: fieldsOf,
  raw: () => undefined,
  hasDate: (style) => headFor(formatTime(0, style.isUtc), style) === HEADS[0],
}
