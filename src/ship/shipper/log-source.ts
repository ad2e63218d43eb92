import { type LogFile, RefusedFileError } from '../../follow/log-file'
import { type FollowNote, LogFollower } from '../../follow/log-follower'
import type { StoredMessage } from '../stream/message'
import { firstLineOf, openPlace, replay, skipLines } from './find-place'
import { type CutLine, LineCutter } from './line-cutter'
import type { LineBatch, LineSource, ResumeTask, ShipNote } from './line-source'
import { filePlace, type Place } from './place'
import { ShipStoppedError } from './ship-error'

/** Of a log's text that is read at once, and of lines: what is in flight. */
const BATCH_BYTES = 1024 * 1024
const BATCH_LINES = 8_192
/** Files that are known to be shipped, in the state. */
const KNOWN_MAX = 1_000
/** The origin of lines without a seal. */
const NO_ORIGIN = '-'

export interface LogSourceOptions {
  /** Absolute. */
  readonly log: string
  /** The longest body that the stream takes. */
  readonly maxBodyBytes: number
  /** Whether lines that are gone are passed over, with a marker in the stream. */
  readonly acceptsGap: boolean
  readonly onNote: (note: ShipNote) => void
}

/** A file that is being read. */
interface Reading {
  readonly chunks: AsyncGenerator<Buffer, void>
  readonly cutter: LineCutter
}

/** A log without a seal: its lines count from 0, in the order in which they are met. */
export class LogSource implements LineSource {
  readonly origin = NO_ORIGIN
  readonly #options: LogSourceOptions
  #follower: LogFollower
  readonly #known = new Set<string>()
  /** A compressed file is unpacked once, batch by batch. */
  readonly #unpacking = new Map<LogFile, Reading>()
  /** Settles once nobody looks at the files. */
  #turn: Promise<unknown> = Promise.resolve()
  #next = 0
  /** Why lines are missing before those that are read next. */
  #lost: string | undefined

  constructor(options: LogSourceOptions) {
    this.#options = options
    this.#follower = this.#newFollower()
  }

  async resume(task: ResumeTask): Promise<void> {
    await this.#follower.checkLive().catch((thrown: unknown) => {
      if (thrown instanceof RefusedFileError) {
        throw new ShipStoppedError(`nothing is shipped: ${thrown.message}`)
      }
      throw thrown
    })
    for (const line of task.place?.known ?? []) this.#known.add(line)
    if (task.from !== undefined && task.isGapDue) await this.#goToGap(task.from, task.place)
    else if (task.from !== undefined) await this.#goTo(task.from, task.place)
    else if (task.last === undefined) await this.#goTo(0, undefined)
    else await this.#goBehind(task.last, task)
  }

  read(): Promise<LineBatch> {
    return this.#alone(() => this.#readBatch())
  }

  async #readBatch(): Promise<LineBatch> {
    const files = await this.#follower.look()
    if (this.#lost !== undefined) return this.#gap(this.#lost)
    const lines: CutLine[] = []
    let hasMore = false
    for (const file of files) {
      const before = lines.length
      const isBegun = file.position === 0
      try {
        hasMore = await this.#readFile(file, lines)
      } catch (thrown) {
        if (!(thrown instanceof RefusedFileError)) throw thrown
        lines.length = before
        this.#unpacking.delete(file)
        await this.#follower.refuse(file, thrown)
        continue
      }
      if (isBegun) this.#addKnown(lines.slice(before).find(({ bytes }) => bytes > 0)?.sha256)
      // A line that a power cut could take would be in the stream alone.
      if (lines.length > before) await file.handle.datasync()
      // Many small files are as much as a large one.
      hasMore ||= isFull(lines)
      if (hasMore) break
    }
    const first = this.#next
    this.#next += lines.length
    return { first, lines, hasMore, place: this.#place() }
  }

  async unread(): Promise<{ readonly lines: number; readonly bytes: number }> {
    // In an outage nothing is read, and files are rotated and deleted meanwhile: those that are open stay.
    await this.#alone(() => this.#follower.look())
    let bytes = 0
    for (const file of this.#follower.files) {
      if (!file.isPacked) bytes += Math.max(0, (await file.handle.stat()).size - file.position)
    }
    return { lines: 0, bytes }
  }

  async close(): Promise<void> {
    for (const { chunks } of this.#unpacking.values()) await chunks.return()
    this.#unpacking.clear()
    await this.#follower.close()
  }

  /** Runs an action when no other one looks at the files. */
  #alone<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(action)
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** Reads a file's new lines; true if the batch is full. */
  async #readFile(file: LogFile, lines: CutLine[]): Promise<boolean> {
    const reading = this.#unpacking.get(file) ?? this.#newReading(file)
    const { chunks, cutter } = reading
    if (file.isPacked) this.#unpacking.set(file, reading)
    let at = file.position
    let bytes = 0
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      const chunk: Buffer = next.value
      let full: number | undefined
      cutter.push(chunk, (line, end) => {
        if (full !== undefined) return
        lines.push(line)
        if (lines.length >= BATCH_LINES && !file.isPacked) full = at + end
      })
      at += chunk.length
      bytes += chunk.length
      if (full === undefined && (bytes < BATCH_BYTES || lines.length === 0)) continue
      file.keep()
      if (!file.isPacked) await chunks.return()
      if (full !== undefined) await file.seek(full)
      return true
    }
    this.#unpacking.delete(file)
    file.keep()
    return false
  }

  #newReading(file: LogFile): Reading {
    return { chunks: file.chunks(), cutter: new LineCutter(this.#options.maxBodyBytes) }
  }

  #gap(reason: string): LineBatch {
    if (!this.#options.acceptsGap) {
      throw new ShipStoppedError(
        `lines from index ${this.#next} on are lost: ${reason}; --accept-gap ships on behind them, and leaves a record in the stream`,
      )
    }
    this.#lost = undefined
    const first = this.#next++
    const gap = { from: first, to: first, reason }
    return { first, lines: [], gap, hasMore: true, place: this.#place() }
  }

  #place(): Place {
    return {
      index: this.#next,
      files: this.#follower.files.filter(({ position }) => position > 0).map(filePlace),
      known: [...this.#known],
    }
  }

  #addKnown(sha256: Buffer | undefined): void {
    if (sha256 === undefined) return
    this.#known.add(sha256.toString('hex'))
    for (const oldest of this.#known) {
      if (this.#known.size <= KNOWN_MAX) break
      this.#known.delete(oldest)
    }
  }

  #newFollower(): LogFollower {
    return new LogFollower({
      path: this.#options.log,
      onNote: (note) => this.#onFollowNote(note),
      isKnown: async (file) =>
        this.#known.has((await firstLineOf(file))?.toString('hex') ?? 'none'),
    })
  }

  #onFollowNote({ kind, message, isLost }: FollowNote): void {
    if (isLost === true) this.#lost ??= message
    else this.#options.onNote({ kind, message })
  }

  async #startOver(): Promise<void> {
    await this.#follower.close()
    this.#follower = this.#newFollower()
  }

  /** The line with this index, counted from a place, or else from the oldest file that is there. */
  async #goTo(index: number, place: Place | undefined): Promise<void> {
    this.#next = index
    if (place !== undefined && place.index <= index) {
      const isThere = await openPlace(this.#follower, place)
      if (isThere && (await skipLines(this.#follower, index - place.index, undefined))) return
      await this.#startOver()
    }
    this.#known.clear()
    if (await skipLines(this.#follower, index, undefined)) return
    throw new ShipStoppedError(
      `the files of ${this.#options.log} have fewer than ${index} lines, so the line ${index} is not known`,
    )
  }

  /** The place behind the lines that are missing, whose record comes first. */
  async #goToGap(index: number, place: Place | undefined): Promise<void> {
    await this.#goTo(place?.index ?? index, place)
    this.#next = index
    this.#lost =
      'an earlier run has found that lines are missing here, and could not store its record'
  }

  async #goBehind(last: StoredMessage, { place, read }: ResumeTask): Promise<void> {
    this.#next = last.index + 1
    const ahead = place === undefined ? -1 : last.index + 1 - place.index
    if (place !== undefined && ahead >= 0 && (await openPlace(this.#follower, place))) {
      // Behind a gap the place is the state's word.
      const isGap = last.kind === 'gap' && ahead === 0
      if (isGap || (await skipLines(this.#follower, ahead, last.sha256))) return
    }
    this.#known.clear()
    await this.#startOver()
    let isFound = await skipLines(this.#follower, last.index + 1, last.sha256)
    for (const isTrimmed of [false, true]) {
      if (isFound) break
      await this.#startOver()
      isFound = await replay(this.#follower, read(), last, isTrimmed)
    }
    if (isFound) return await this.#knowFiles()
    await this.#startOver()
    await this.#passGap(last, read)
  }

  /** Keeps by which lines the files are known that were shipped, if only in part. */
  async #knowFiles(): Promise<void> {
    for (const file of this.#follower.files) {
      const { position } = file
      if (position === 0) continue
      this.#addKnown(await firstLineOf(file))
      await file.seek(position)
    }
  }

  /** The stream's last line is in no file: the file that held it is gone, or was changed. */
  async #passGap(last: StoredMessage, read: ResumeTask['read']): Promise<void> {
    const { log, acceptsGap } = this.#options
    const files = await this.#follower.look()
    const there = `the stream's last line has index ${last.index} and SHA-256 ${last.sha256.toString('hex')}`
    if (!acceptsGap) {
      throw new ShipStoppedError(
        `${there}, and no file of ${log} has it behind the lines that were shipped before it: its file is gone, or was changed. Restore it; or --accept-gap ships the files that are not in the stream as from index ${last.index + 2} on, and leaves a record of the gap`,
      )
    }
    const firstLines = new Map<string, LogFile>()
    for (const file of files) {
      const first = await firstLineOf(file)
      await file.seek(0)
      if (first !== undefined) firstLines.set(first.toString('hex'), file)
    }
    for await (const { sha256 } of read()) {
      const hex = sha256.toString('hex')
      if (!firstLines.has(hex)) continue
      this.#known.add(hex)
      firstLines.delete(hex)
    }
    // Files that are in the stream, if only in part, are not shipped again.
    const isNew = new Set(firstLines.values())
    for (const file of files) if (!isNew.has(file)) await passOver(file)
    this.#lost = `the file with the line ${last.index} is gone or was changed, and nobody knows how many lines stood behind it`
  }
}

function isFull(lines: readonly CutLine[]): boolean {
  return (
    lines.length >= BATCH_LINES || lines.reduce((sum, { bytes }) => sum + bytes, 0) >= BATCH_BYTES
  )
}

/** Goes to the end of a file. */
async function passOver(file: LogFile): Promise<void> {
  for await (const _ of file.chunks());
  file.keep()
}
