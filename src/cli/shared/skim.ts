import type { FileHandle } from 'node:fs/promises'
import { NEWLINE } from '../../base/bytes'
import { EVENT_NAMES } from '../../format/events'
import { type LineEntry, LineSplitter } from '../../reader/line-splitter'
import { MAX_LINE_BYTES } from '../../reader/read-audit'

/*
 * Where a log's events from a time on begin. A clock can be set back by any amount, so lines are not in the order of
 * their times, and a binary search may step over an event that is asked for: it could hide a command whose machine was
 * in the wrong year. So the time of each line is looked at, and nothing else of it: an event has one exact form, and
 * its time stands at a known place. That takes a tenth of the time of reading it.
 */

/** The lines of a log before all that is asked for. */
export interface Skimmed {
  /** Where the next line begins. */
  readonly offset: number
  /** Its number. */
  readonly line: number
  /** How many events were passed over, and the least and the greatest time in them. */
  readonly events: number
  readonly firstMs: number
  readonly lastMs: number
}

const CHUNK_BYTES = 2 ** 20
const EVENT_AT = '{"event":"'.length
/** What stands before the time, by the first letter of the event's name. */
const HEADS = new Map(
  EVENT_NAMES.map((name) => [name.charCodeAt(0), Buffer.from(`{"event":"${name}","ts_unix_ms":`)]),
)
const COMMA = 0x2c
const LINE_END = '}'.charCodeAt(0)
const ZERO = 0x30
const NINE = 0x39
/** A number of so few digits is a safe integer. */
const DIGITS_MAX = 15

/**
 * Finds the first event of a plain file that is not before a time.
 * @param onProblem takes each line before it that is no event, as far as that shows without reading it to its end
 */
export async function skim(
  handle: FileHandle,
  sinceMs: number,
  onProblem: (entry: LineEntry) => void,
): Promise<Skimmed> {
  const skimmer = new Skimmer(sinceMs, onProblem)
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, skimmer.offset)
    const isEnd = !skimmer.take(buffer.subarray(0, bytesRead))
    if (isEnd) return skimmer
  }
}

/** The lines of a stream before all that is asked for. */
export interface SkimmedStream {
  readonly skimmed: Skimmed
  /** The last of them. */
  readonly before: Buffer
  /** What has been read behind them. */
  readonly next: Buffer
}

/**
 * As {@link skim}, for bytes that come once, such as those of a file that is decompressed.
 * @param keptBytes how much of what is passed over is kept
 */
export async function skimStream(
  bytes: AsyncGenerator<Buffer>,
  { sinceMs, keptBytes }: { readonly sinceMs: number; readonly keptBytes: number },
  onProblem: (entry: LineEntry) => void,
): Promise<SkimmedStream> {
  const skimmer = new Skimmer(sinceMs, onProblem)
  const kept: Buffer[] = []
  let keptLength = 0
  let next: Buffer = Buffer.alloc(0)
  for (;;) {
    const { value, done } = await bytes.next()
    if (done) break
    // A copy, since the next chunk overwrites this one.
    const chunk = Buffer.concat([next, value])
    const from = skimmer.offset
    skimmer.take(chunk)
    const passed = skimmer.offset - from
    next = chunk.subarray(passed)
    kept.push(chunk.subarray(0, passed))
    keptLength += passed
    for (let [first] = kept; first !== undefined; [first] = kept) {
      if (keptLength - first.length < keptBytes) break
      keptLength -= first.length
      kept.shift()
    }
    if (next.includes(NEWLINE) || next.length >= CHUNK_BYTES) break
  }
  const before = Buffer.concat(kept)
  return { skimmed: skimmer, before: before.subarray(Math.max(0, before.length - keptBytes)), next }
}

class Skimmer implements Skimmed {
  offset = 0
  line = 1
  events = 0
  firstMs = Number.POSITIVE_INFINITY
  lastMs = Number.NEGATIVE_INFINITY
  readonly #sinceMs: number
  readonly #onProblem: (entry: LineEntry) => void

  constructor(sinceMs: number, onProblem: (entry: LineEntry) => void) {
    this.#sinceMs = sinceMs
    this.#onProblem = onProblem
  }

  /**
   * Passes over the whole lines of a chunk that begins at {@link offset}. False if it stops there: at an event that
   * is asked for, at a line that has no end in the chunk and so is longer than it, or at the file's end.
   */
  take(chunk: Buffer): boolean {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      if (!this.#passes(chunk, start, end)) {
        this.offset += start
        return false
      }
      this.line++
      start = end + 1
    }
    this.offset += start
    return start > 0
  }

  #passes(chunk: Buffer, start: number, end: number): boolean {
    const isWhole = chunk[end - 1] === LINE_END
    const ms = (isWhole ? timeOf(chunk, start) : undefined) ?? this.#parse(chunk, start, end)
    if (ms === undefined) return true
    if (ms >= this.#sinceMs) return false
    this.events++
    this.firstMs = Math.min(this.firstMs, ms)
    this.lastMs = Math.max(this.lastMs, ms)
    return true
  }

  /** A line that does not begin as events do; if it is one after all, its time. */
  #parse(chunk: Buffer, start: number, end: number): number | undefined {
    const splitter = new LineSplitter(MAX_LINE_BYTES, this.offset + start, this.line)
    const [entry] = splitter.push(chunk.subarray(start, end + 1))
    if (entry?.problem !== undefined) this.#onProblem(entry)
    return entry?.record?.tsUnixMs
  }
}

/** The time of the line that begins there; undefined if it does not begin as an event does. */
function timeOf(chunk: Buffer, start: number): number | undefined {
  const head = HEADS.get(chunk[start + EVENT_AT] ?? 0)
  if (head === undefined) return undefined
  let at = start
  for (const byte of head) if (chunk[at++] !== byte) return undefined
  let ms = 0
  for (let digits = 0; digits <= DIGITS_MAX; digits++) {
    const byte = chunk[at++] ?? 0
    if (byte === COMMA && digits > 0) return ms
    if (byte < ZERO || byte > NINE) return undefined
    ms = 10 * ms + byte - ZERO
  }
  return undefined
}
