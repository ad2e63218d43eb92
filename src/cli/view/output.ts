import type { AuditProblem } from '../../format/records'
import { formatTime } from '../../toolkit/text/time'
import { textWidth } from '../../toolkit/text/width'
import { usageError } from '../shared/errors'
import { exactJson, ID_DIGITS, type LineStyle } from '../shared/event-text'
import { JSON_VERSION } from '../shared/json'

export const FORMATS = ['pretty', 'json', 'jsonl', 'csv', 'raw', 'ocsf'] as const
export type Format = (typeof FORMATS)[number]

/** How one kind of row is written. */
export interface RowKind<Row> {
  /** The name of the list in the document of `json`. */
  readonly list: string
  readonly csvHead: string
  msOf(row: Row): number
  whoOf(row: Row): string
  pretty(row: Row, style: LineStyle): string
  csv(row: Row): string
  json(row: Row): object
  /** Its line, if it is one. */
  raw(row: Row): string | undefined
  /** Whether a line of this style has its date. */
  hasDate(style: LineStyle): boolean
}

/** The destination of text: it takes more once the promise has resolved. */
export type Write = (text: string) => Promise<void>

const BOM = '\ufeff'
/** The most columns of whoever asked. */
const WHO_WIDTH_MAX = 16

/** Writes rows in one of the formats. */
export class RowOutput<Row> {
  readonly #kind: RowKind<Row>
  readonly #format: Format
  readonly #style: LineStyle
  readonly #hasBom: boolean
  readonly #write: Write
  readonly #problems: object[] = []
  #count = 0
  #whoWidth = ID_DIGITS
  #day = ''

  constructor(
    kind: RowKind<Row>,
    { format, style, hasBom }: { format: Format; style: LineStyle; hasBom: boolean },
    write: Write,
  ) {
    this.#kind = kind
    this.#format = format
    this.#style = style
    this.#hasBom = hasBom
    this.#write = write
  }

  /** The rows so far. */
  get count(): number {
    return this.#count
  }

  async begin(): Promise<void> {
    if (this.#format === 'csv') {
      await this.#write(`${this.#hasBom ? BOM : ''}${this.#kind.csvHead}\n`)
    }
    if (this.#format === 'json') {
      const { list } = this.#kind
      await this.#write(`{"version":${JSON_VERSION},"command":"view","${list}":[`)
    }
  }

  async show(rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return
    if (this.#format === 'pretty') this.#widenFor(rows)
    await this.#write(rows.map((row) => this.#textOf(row)).join(''))
  }

  /** A broken line, for the document of `json`. */
  note(file: string, problem: AuditProblem): void {
    if (this.#format === 'json') this.#problems.push({ file, ...problem })
  }

  async end(): Promise<void> {
    if (this.#format === 'json') await this.#write(`\n],"problems":${exactJson(this.#problems)}}\n`)
  }

  #textOf(row: Row): string {
    this.#count++
    switch (this.#format) {
      case 'pretty':
        return this.#pretty(row)
      case 'raw':
        return `${this.#rawOf(row)}\n`
      case 'csv':
        return `${this.#kind.csv(row)}\n`
      case 'jsonl':
      case 'ocsf':
        return `${exactJson(this.#kind.json(row))}\n`
      case 'json':
        return `${this.#count > 1 ? ',' : ''}\n${exactJson(this.#kind.json(row))}`
    }
  }

  /** Before the first of them is shown, so that their columns stand below each other. */
  #widenFor(rows: readonly Row[]): void {
    for (const row of rows) {
      const who = textWidth(this.#kind.whoOf(row))
      this.#whoWidth = Math.max(this.#whoWidth, Math.min(who, WHO_WIDTH_MAX))
    }
  }

  #rawOf(row: Row): string {
    const text = this.#kind.raw(row)
    if (text === undefined) throw usageError('a command is no line; -o raw prints events')
    return text
  }

  #pretty(row: Row): string {
    const { paint, width, isFolded = false, isUtc } = this.#style
    const style = { paint, width, isFolded, isUtc, whoWidth: this.#whoWidth }
    const line = `${this.#kind.pretty(row, style)}\n`
    if (this.#kind.hasDate(style)) return line
    const [day = ''] = formatTime(this.#kind.msOf(row), isUtc).split(' ')
    if (day === this.#day) return line
    this.#day = day
    return `${paint('bold', isUtc ? `${day} UTC` : day)}\n${line}`
  }
}
