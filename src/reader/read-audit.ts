import { describe } from '../base/describe'
import { invalidOption } from '../base/invalid-option'
import { nameFrom, type Values, valuesOf } from '../base/option-checks'
import {
  type AuditProblem,
  AuditReadError,
  type AuditRecord,
  type BigintAuditRecord,
  withBigints,
} from '../format/records'
import { type LineEntry, LineSplitter } from './line-splitter'
import { type AuditSource, chunksOf } from './source'

/** Options of {@link readAudit}. */
export interface ReadOptions {
  /**
   * Called with each line that is no event, in its place in the order; `'throw'` ends the reading with an
   * {@link AuditReadError} instead. Default: a process warning for each of the first ten.
   */
  onProblem?: 'throw' | ((problem: AuditProblem) => void) | undefined
  /** A longer line is reported and skipped: bytes, 1 to 2^29 - 32; default 128 MiB. */
  maxLineBytes?: number | undefined
  /** Ends the reading with its reason. */
  signal?: AbortSignal | undefined
}

/** The option that makes every u64 of a record a bigint, so that none needs a check. */
export interface BigintOption {
  /** Without it a u64 is a number up to 2^53 - 1, and a bigint above. */
  u64: 'bigint'
}

export const READ_OPTIONS = [
  'onProblem',
  'maxLineBytes',
  'signal',
  'u64',
] as const satisfies readonly (keyof (ReadOptions & BigintOption))[]

/** More than an event of the default `maxEventBytes` takes when each of its bytes is escaped. */
export const MAX_LINE_BYTES = 128 * 2 ** 20
/** V8 has no longer strings. */
const MAX_LINE_BYTES_LIMIT = 2 ** 29 - 32
const WARNINGS_MAX = 10

/** Lines that came together. */
export interface LineBatch {
  readonly entries: readonly LineEntry[]
  /** Empty lines since the beginning, which are legal and no entries. */
  readonly blankLines: number
  /** Bytes read since the beginning; decompressed ones if the file is compressed. */
  readonly bytes: number
}

/**
 * Reads a log's events in their order, in constant memory.
 *
 * Blank lines are skipped. A line that is no event is reported to `onProblem`; a whole last line without a
 * newline is one of these, since nobody has acknowledged it. A file that gzip has compressed is decompressed.
 * Leaves no descriptor open when the loop is left.
 *
 * @throws TypeError or RangeError for a mistake in the options; what the file system throws; AuditReadError with `onProblem: 'throw'`; the signal's reason
 * @example
 * for await (const event of readAudit('/var/log/x0x/exec.log')) {
 *   if (event.event === 'denial') console.log(event.agentId, event.reason)
 * }
 */
export function readAudit(
  source: AuditSource,
  options: ReadOptions & BigintOption,
): AsyncGenerator<BigintAuditRecord, void, void>
export function readAudit(
  source: AuditSource,
  options?: ReadOptions,
): AsyncGenerator<AuditRecord, void, void>
export async function* readAudit(
  source: AuditSource,
  options: ReadOptions = {},
): AsyncGenerator<AuditRecord | BigintAuditRecord, void, void> {
  const shapeOf = recordShape(valuesOf('options', options, READ_OPTIONS))
  const onProblem = problemHandler(options.onProblem)
  for await (const { entries } of readBatches(source, options)) {
    for (const { record, problem } of entries) {
      if (record !== undefined) yield shapeOf(record)
      else onProblem(problem)
    }
  }
}

/** As {@link readAudit}, but all lines of a chunk at once, problems in their place among the events. */
export async function* readBatches(
  source: AuditSource,
  { maxLineBytes, signal }: Pick<ReadOptions, 'maxLineBytes' | 'signal'> = {},
): AsyncGenerator<LineBatch, void, void> {
  const splitter = new LineSplitter(checkMaxLineBytes(maxLineBytes))
  let bytes = 0
  for await (const chunk of chunksOf(source, signal)) {
    bytes += chunk.length
    const entries = splitter.push(chunk)
    yield { entries, blankLines: splitter.blankLines, bytes }
  }
  const last = splitter.end()
  if (last !== undefined) yield { entries: [last], blankLines: splitter.blankLines, bytes }
}

/** Checks the option and fills in its default. */
export function checkMaxLineBytes(value: number = MAX_LINE_BYTES): number {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_LINE_BYTES_LIMIT) return value
  throw invalidOption(
    'maxLineBytes',
    `expected an integer from 1 to ${MAX_LINE_BYTES_LIMIT}, got ${describe(value)}`,
    RangeError,
  )
}

/** The function that gives a record the shape that the option u64 asks for. */
export function recordShape(
  options: Values,
): (record: AuditRecord) => AuditRecord | BigintAuditRecord {
  const u64 = options.get('u64')
  if (u64 === undefined) return (record) => record
  nameFrom('options.u64', u64, ['bigint'])
  return withBigints
}

/** The function that treats a problem, from the option. */
export function problemHandler(
  onProblem: ReadOptions['onProblem'],
): (problem: AuditProblem) => void {
  if (onProblem === undefined) return warnOfFirst(WARNINGS_MAX)
  if (onProblem === 'throw') {
    return (problem) => {
      throw new AuditReadError(problem)
    }
  }
  if (typeof onProblem === 'function') return onProblem
  throw invalidOption('onProblem', `expected 'throw' or a function, got ${describe(onProblem)}`)
}

function warnOfFirst(limit: number): (problem: AuditProblem) => void {
  let count = 0
  return (problem) => {
    if (++count > limit) return
    const more = count === limit ? ' (further ones are not reported; see onProblem)' : ''
    const { message } = new AuditReadError(problem)
    process.emitWarning(`exec audit: ${message}${more}`, { type: 'ExecAuditWarning' })
  }
}
