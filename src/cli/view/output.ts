import type { AuditProblem, AuditRecord } from '../../format/records'
import { CSV_HEAD, csvRow, eventLine, exactJson, type LineStyle } from '../shared/event-text'
import type { Parties } from '../shared/filter'
import { JSON_VERSION } from '../shared/json'
import { fileName } from '../shared/log-input'

export const FORMATS = ['pretty', 'json', 'jsonl', 'csv', 'raw'] as const
export type Format = (typeof FORMATS)[number]

/** An event that is to be shown. */
export interface Shown {
  readonly record: AuditRecord
  /** Its line. */
  readonly text: string
  readonly parties: Parties | undefined
  readonly file: string
  /** False if only the file's end was read: then the line number is unknown. */
  readonly isLineKnown: boolean
}

/** The destination of text: it takes more once the promise has resolved. */
export type Write = (text: string) => Promise<void>

/** Writes events in one of the formats. */
export class ViewOutput {
  readonly #format: Format
  readonly #style: LineStyle
  readonly #write: Write
  readonly #problems: object[] = []
  #hasEvents = false

  constructor(format: Format, style: LineStyle, write: Write) {
    this.#format = format
    this.#style = style
    this.#write = write
  }

  async begin(): Promise<void> {
    if (this.#format === 'csv') await this.#write(`${CSV_HEAD}\n`)
    if (this.#format === 'json') {
      await this.#write(`{"version":${JSON_VERSION},"command":"view","events":[`)
    }
  }

  async show(events: readonly Shown[]): Promise<void> {
    if (events.length === 0) return
    await this.#write(events.map((event) => this.#textOf(event)).join(''))
  }

  /** A broken line, for the document of `json`. */
  note(file: string, problem: AuditProblem): void {
    if (this.#format === 'json') this.#problems.push({ file, ...problem })
  }

  async end(): Promise<void> {
    if (this.#format === 'json') await this.#write(`\n],"problems":${exactJson(this.#problems)}}\n`)
  }

  #textOf({ record, text, parties, file, isLineKnown }: Shown): string {
    const line = isLineKnown ? record.line : null
    const placed = () => exactJson({ ...record, line, file })
    switch (this.#format) {
      case 'pretty':
        return `${eventLine(record, parties, this.#style)}\n`
      case 'raw':
        return `${text}\n`
      case 'csv':
        return `${csvRow(record, parties, { line, file: fileName(file) })}\n`
      case 'jsonl':
        return `${placed()}\n`
      case 'json': {
        const comma = this.#hasEvents ? ',' : ''
        this.#hasEvents = true
        return `${comma}\n${placed()}`
      }
    }
  }
}
