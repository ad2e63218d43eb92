import type { Message } from '../stream/message'

const TIMESTAMP = /"ts_unix_ms":(\d{1,15})\b/
const HEAD_BYTES = 256

/** Counts since the shipper was opened, and where it stands. */
export interface ShipStats {
  /** The index of the next line to be stored. */
  readonly index: number
  /** Lines stored since the start, markers included. */
  readonly shippedLines: number
  /** Lines that are too long, and have a marker in their place, since the start. */
  readonly oversizeLines: number
  /** Gaps that were passed over since the start. */
  readonly gaps: number
  /** Attempts that failed since the start: no answer, or no room. */
  readonly failures: number
  /**
   * Lines in the log that are not stored yet. Those that were not read are estimated from their bytes, by the length
   * of the lines before.
   */
  readonly lagLines: number
  /** How old the oldest line is that is not stored, by its own time: seconds; 0 if there is none. */
  readonly lagSeconds: number
}

/** What is read and not stored: where a batch ends, and how old its first line is. */
interface Waiting {
  readonly end: number
  readonly sinceMs: number
}

/** Keeps the counts of a shipper. */
export class ShipMeter {
  /** What was not read at the last look. */
  unread: { readonly lines: number; readonly bytes: number } = { lines: 0, bytes: 0 }
  #index = 0
  #readEnd = 0
  #readBytes = 0
  #readLines = 0
  #shipped = 0
  #oversize = 0
  #gaps = 0
  #failures = 0
  #waiting: Waiting[] = []

  get index(): number {
    return this.#index
  }

  /** Of the text that was not read: an estimate for lines whose bytes are not known. */
  get unreadBytes(): number {
    return this.unread.bytes + Math.round(this.unread.lines * this.#lineBytes)
  }

  /** The mean length of the lines that were read. */
  get #lineBytes(): number {
    return this.#readLines === 0 ? 1 : this.#readBytes / this.#readLines
  }

  /** Begins behind the stream's last line. */
  startAt(index: number): void {
    this.#index = index
    this.#readEnd = index
    this.#waiting = []
  }

  addRead(messages: readonly Message[]): void {
    const [first] = messages
    const last = messages.findLast(({ kind }) => kind !== 'checkpoint')
    if (first === undefined || last === undefined) return
    this.#readEnd = last.index + 1
    this.#waiting.push({ end: this.#readEnd, sinceMs: timeOf(first) ?? Date.now() })
    for (const { kind, body } of messages) {
      if (kind !== 'line') continue
      this.#readLines++
      this.#readBytes += body.length + 1
    }
  }

  addStored(messages: readonly Message[]): void {
    for (const { kind, index } of messages) {
      if (kind === 'checkpoint') continue
      this.#index = index + 1
      if (kind === 'gap') this.#gaps++
      else this.#shipped++
      if (kind === 'oversize') this.#oversize++
    }
    this.#waiting = this.#waiting.filter(({ end }) => end > this.#index)
  }

  addFailure(): void {
    this.#failures++
  }

  stats(): ShipStats {
    const unreadLines = this.unread.lines + Math.round(this.unread.bytes / this.#lineBytes)
    const [oldest] = this.#waiting
    return {
      index: this.#index,
      shippedLines: this.#shipped,
      oversizeLines: this.#oversize,
      gaps: this.#gaps,
      failures: this.#failures,
      lagLines: this.#readEnd - this.#index + unreadLines,
      lagSeconds: oldest === undefined ? 0 : Math.max(0, (Date.now() - oldest.sinceMs) / 1_000),
    }
  }
}

/** A line's own time. */
function timeOf({ body }: Message): number | undefined {
  const digits = TIMESTAMP.exec(body.toString('latin1', 0, HEAD_BYTES))?.[1]
  return digits === undefined ? undefined : Number(digits)
}
