import { isAscii, isUtf8 } from 'node:buffer'
import { NEWLINE } from '../base/bytes'
import { parseLine } from '../format/parse-line'
import { type AuditProblem, type AuditRecord, isProblem, problemAt } from '../format/records'

/** One line: an event, or a problem. */
export type LineEntry =
  | { readonly text: string; readonly record: AuditRecord; readonly problem?: undefined }
  | { readonly text: string; readonly record?: undefined; readonly problem: AuditProblem }

const CARRY_BYTES_KEPT = 64 * 1024
/** The character that invalid UTF-8 is decoded to. */
const REPLACEMENT = '\ufffd'

/**
 * Cuts chunks of bytes into lines and parses them. Memory is bounded by the chunk and by the longest
 * line allowed: a line that goes over several chunks is put together in one buffer, a longer one is
 * only counted.
 */
export class LineSplitter {
  readonly #maxLineBytes: number
  #line: number
  #offset: number
  #blankLines = 0
  /** The beginning of a line whose end has not come yet. */
  #carry = Buffer.allocUnsafe(CARRY_BYTES_KEPT)
  #carried = 0
  /** Bytes so far of a line that is too long to keep; 0 when there is none. */
  #skipped = 0

  /**
   * @param offset where the first chunk stands in its file
   * @param line the number of its first line
   */
  constructor(maxLineBytes: number, offset = 0, line = 1) {
    this.#maxLineBytes = maxLineBytes
    this.#offset = offset
    this.#line = line
  }

  /** Lines that were empty so far: legal, since a writer puts one after a failed sync. */
  get blankLines(): number {
    return this.#blankLines
  }

  /** The offset of the next line in bytes: the bytes pushed, less those carried. */
  get offset(): number {
    return this.#offset
  }

  /** Bytes of a line whose end has not come yet. */
  get pendingBytes(): number {
    return this.#carried + this.#skipped
  }

  /** Takes the next bytes, which may be overwritten afterwards; returns the lines they complete. */
  push(chunk: Buffer): LineEntry[] {
    const entries: LineEntry[] = []
    const isPlain = isAscii(chunk)
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const entry =
        this.pendingBytes > 0
          ? this.#finishCarried(chunk.subarray(start, end))
          : this.#finish(chunk, start, end, isPlain)
      if (entry !== undefined) entries.push(entry)
      start = end + 1
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
    return entries
  }

  /** Ends the input; returns what stands after its last newline. */
  end(): LineEntry | undefined {
    if (this.#skipped > 0) return this.#tooLong(this.#skipped, true)
    if (this.#carried === 0) return undefined
    const bytes = this.#carry.subarray(0, this.#carried)
    const place = { line: this.#line, offset: this.#offset, length: this.#carried }
    const text = bytes.toString()
    const parsed = parseLine(text, place)
    const { field, message } = isProblem(parsed)
      ? parsed
      : { field: undefined, message: 'a whole event, but for its newline' }
    const what = { kind: 'torn', field, message: `incomplete: ${message}` } as const
    this.#next(this.#carried)
    return { text, problem: problemAt(place, text, what, true) }
  }

  #finish(bytes: Buffer, start: number, end: number, isPlain: boolean): LineEntry | undefined {
    const length = end - start
    if (length === 0) {
      this.#blankLines++
      this.#next(1)
      return undefined
    }
    if (length > this.#maxLineBytes) return this.#tooLong(length)
    const text = bytes.toString(isPlain ? 'latin1' : 'utf8', start, end)
    const place = { line: this.#line, offset: this.#offset, length }
    this.#next(length + 1)
    if (!isPlain && text.includes(REPLACEMENT) && !isUtf8(bytes.subarray(start, end))) {
      const what = {
        kind: 'not-utf8',
        field: undefined,
        message: 'bytes that are no UTF-8',
      } as const
      return { text, problem: problemAt(place, text, what) }
    }
    const parsed = parseLine(text, place)
    return isProblem(parsed) ? { text, problem: parsed } : { text, record: parsed }
  }

  #finishCarried(rest: Buffer): LineEntry | undefined {
    this.#keep(rest)
    if (this.#skipped > 0) return this.#tooLong(this.#skipped)
    const bytes = this.#carry.subarray(0, this.#carried)
    const entry = this.#finish(bytes, 0, bytes.length, isAscii(bytes))
    if (this.#carry.length > CARRY_BYTES_KEPT) this.#carry = Buffer.allocUnsafe(CARRY_BYTES_KEPT)
    return entry
  }

  #keep(part: Buffer): void {
    const length = this.#carried + part.length
    if (this.#skipped > 0 || length > this.#maxLineBytes) {
      this.#skipped += length
      this.#carried = 0
      return
    }
    if (length > this.#carry.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, this.#carry.length * 2))
      this.#carry.copy(grown, 0, 0, this.#carried)
      this.#carry = grown
    }
    part.copy(this.#carry, this.#carried)
    this.#carried = length
  }

  #tooLong(length: number, isIncomplete = false): LineEntry {
    const place = { line: this.#line, offset: this.#offset, length }
    const message = `longer than ${this.#maxLineBytes} bytes (maxLineBytes), skipped`
    this.#next(length + 1)
    this.#carry = Buffer.allocUnsafe(CARRY_BYTES_KEPT)
    const what = { kind: 'too-long', field: undefined, message } as const
    return { text: '', problem: problemAt(place, '', what, isIncomplete) }
  }

  #next(bytes: number): void {
    this.#line++
    this.#offset += bytes
    this.#carried = 0
    this.#skipped = 0
  }
}
