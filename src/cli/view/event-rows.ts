import type { AuditRecord } from '../../format/records'
import { CSV_HEAD, csvRow, eventFields, eventLine, hasDate, whoOf } from '../shared/event-text'
import { fileName } from '../shared/log-input'
import type { AskedCommand } from '../shared/request-memory'
import type { RowKind } from './output'

/** An event that is to be shown. */
export interface EventRow {
  readonly record: AuditRecord
  /** Its line. */
  readonly text: string
  readonly asked: AskedCommand | undefined
  readonly file: string
  /** False if only the file's end was read: then the line number is unknown. */
  readonly isLineKnown: boolean
}

const lineOf = ({ record, isLineKnown }: EventRow) => (isLineKnown ? record.line : null)

/** A row per event. */
export const EVENT_ROWS: RowKind<EventRow> = {
  list: 'events',
  csvHead: CSV_HEAD,
  msOf: ({ record }) => record.tsUnixMs,
  whoOf: ({ asked }) => whoOf(asked),
  pretty: ({ record, asked }, style) => eventLine(record, asked, style),
  csv: (row) => csvRow(row.record, row.asked, { line: lineOf(row), file: fileName(row.file) }),
  json: (row) => ({ ...eventFields(row.record, row.asked), line: lineOf(row), file: row.file }),
  raw: ({ text }) => text,
  hasDate,
}
