import { RefusedFileError } from '../../follow/log-file'
import { LogFollower } from '../../follow/log-follower'
import { parseCheckpoint } from '../../seal/note/checkpoint'
import { parseNote } from '../../seal/note/note'
import { CHECKPOINT_FILE } from '../../seal/seal-files'
import { likelyFirst, rangesOf, type SealedRange } from '../../seal/sealer/resume'
import { SealFolder } from '../../seal/sealer/seal-folder'
import { leafOf } from '../../seal/tree/hashes'
import type { Message } from '../stream/message'
import { nextLine, skipIn } from './find-place'
import { type CutLine, sha256Of } from './line-cutter'
import { LineReader } from './line-reader'
import type { LineBatch, LineSource, ResumeTask, ShipNote } from './line-source'
import { ShipStoppedError } from './ship-error'

const BATCH_BYTES = 1024 * 1024
const BATCH_LINES = 8_192

export interface SealedSourceOptions {
  /** Absolute. */
  readonly log: string
  /** The seal's folder, absolute. */
  readonly seal: string
  readonly maxBodyBytes: number
  readonly acceptsGap: boolean
  readonly onNote: (note: ShipNote) => void
}

/** A seal as its checkpoint has it. */
interface Sealed {
  readonly note: Buffer
  readonly origin: string
  readonly size: number
  readonly ranges: readonly SealedRange[]
  readonly leafAt: (index: number) => Buffer
}

/** A log with a seal: the lines that are sealed, with the indexes that they have there, and the seal's checkpoints. */
export class SealedSource implements LineSource {
  readonly origin: string
  readonly #options: SealedSourceOptions
  readonly #folder: SealFolder
  readonly #follower: LogFollower
  #sealed: Sealed
  #next = 0
  /** The checkpoint that went into the stream last. */
  #shippedNote: Buffer | undefined
  #reader: { readonly lines: LineReader; readonly range: SealedRange; index: number } | undefined

  private constructor(options: SealedSourceOptions, folder: SealFolder, sealed: Sealed) {
    this.#options = options
    this.#folder = folder
    this.#sealed = sealed
    this.origin = sealed.origin
    this.#follower = new LogFollower({
      path: options.log,
      onNote: ({ kind, message }) => options.onNote({ kind, message }),
      isKnown: () => Promise.resolve(false),
    })
  }

  /** Throws a ShipStoppedError if there is no seal. */
  static async open(options: SealedSourceOptions): Promise<SealedSource> {
    const folder = new SealFolder(options.seal)
    return new SealedSource(options, folder, await readSeal(folder))
  }

  async resume({ last, from, hasCheckpoint }: ResumeTask): Promise<void> {
    await this.#follower.checkLive().catch((thrown: unknown) => {
      if (!(thrown instanceof RefusedFileError)) throw thrown
      throw new ShipStoppedError(`nothing is shipped: ${thrown.message}`)
    })
    const { size, ranges, leafAt, note } = this.#sealed
    const first = ranges[0]?.first ?? 0
    this.#next = from ?? (last === undefined ? first : last.index + 1)
    if (this.#next > size) {
      throw new ShipStoppedError(
        `the stream has the lines up to ${this.#next - 1}, and the seal only those up to ${size - 1}: it was put back to an older state; verify it with --checkpoint of the stream`,
      )
    }
    const isLine = last?.kind === 'line' || last?.kind === 'oversize'
    if (isLine && !leafOf(last.sha256).equals(leafAt(last.index))) {
      throw new ShipStoppedError(
        `the stream's last line, of index ${last.index}, is not the one that is sealed under that index; verify the log against its seal`,
      )
    }
    if (hasCheckpoint && this.#next === size) this.#shippedNote = note
  }

  async read(): Promise<LineBatch> {
    if (this.#next >= this.#sealed.size) await this.#renew()
    const { size } = this.#sealed
    const lines: CutLine[] = []
    let bytes = 0
    while (this.#next < size && bytes < BATCH_BYTES && lines.length < BATCH_LINES) {
      const range = this.#rangeOf(this.#next)
      const reader = await this.#readerAt(range)
      if (reader === undefined) {
        // What was read before it is shipped first.
        if (lines.length > 0) break
        return this.#gap(range)
      }
      const some = await reader.lines.take(Math.min(range.end - this.#next, BATCH_LINES))
      this.#check(some, range)
      lines.push(...some)
      bytes += some.reduce((sum, line) => sum + line.bytes + 1, 0)
      this.#next += some.length
      reader.index = this.#next
    }
    const first = this.#next - lines.length
    return { first, lines, hasMore: this.#next < size, place: this.#place() }
  }

  async asides(): Promise<readonly Message[]> {
    const { note: body, size: index, origin } = this.#sealed
    if (this.#next < index || index === 0 || this.#shippedNote?.equals(body) === true) return []
    this.#shippedNote = body
    return [{ kind: 'checkpoint', index, origin, sha256: sha256Of(body), prev: undefined, body }]
  }

  unread(): Promise<{ readonly lines: number; readonly bytes: number }> {
    return Promise.resolve({ lines: this.#sealed.size - this.#next, bytes: 0 })
  }

  async close(): Promise<void> {
    await this.#reader?.lines.close()
    await this.#follower.close()
  }

  async #renew(): Promise<void> {
    const { origin, size } = this.#sealed
    const sealed = await readSeal(this.#folder)
    if (sealed.origin !== origin) {
      throw new ShipStoppedError(
        `the seal was begun anew as ${sealed.origin}; ship it into a stream of its own`,
      )
    }
    if (sealed.size < size) {
      throw new ShipStoppedError(
        `the seal has ${sealed.size} lines, and had ${size}: it was put back to an older state`,
      )
    }
    this.#sealed = sealed
  }

  #place() {
    return { index: this.#next, files: [], known: [] }
  }

  #rangeOf(index: number): SealedRange {
    const range = this.#sealed.ranges.find(({ first, end }) => index >= first && index < end)
    if (range !== undefined) return range
    throw new ShipStoppedError(
      `the seal's file segments does not say where the line ${index} is; restore it from a copy`,
    )
  }

  /** A reader that stands before the next line; undefined if its file is gone. */
  async #readerAt(range: SealedRange) {
    const open = this.#reader
    if (open?.range.first === range.first && open.index === this.#next) return open
    await open?.lines.close()
    this.#reader = undefined
    for (const listed of likelyFirst(await this.#follower.list(), range)) {
      const file = await this.#follower.openListed(listed)
      if (file === undefined) continue
      const isThere = await file.seek(range.offset)
      const first = isThere ? await nextLine(file) : undefined
      if (first?.sha256.toString('hex') !== range.sha256) {
        await file.close()
        continue
      }
      await file.seek(range.offset)
      await skipIn(file, this.#next - range.first)
      const lines = new LineReader(file, this.#options.maxBodyBytes)
      this.#reader = { lines, range, index: this.#next }
      return this.#reader
    }
    return undefined
  }

  /** Throws a ShipStoppedError unless these lines are the sealed ones. */
  #check(lines: readonly CutLine[], { end, file }: SealedRange): void {
    if (lines.length === 0) {
      throw new ShipStoppedError(
        `${file} ends before the line ${this.#next}, and the lines up to ${end - 1} were sealed in it; verify the log against its seal`,
      )
    }
    const at = lines.findIndex(
      ({ sha256 }, i) => !leafOf(sha256).equals(this.#sealed.leafAt(this.#next + i)),
    )
    if (at < 0) return
    throw new ShipStoppedError(
      `${file}: the line ${this.#next + at} is not the one that was sealed; verify the log against its seal`,
    )
  }

  #gap({ end, file }: SealedRange): LineBatch {
    const [from, to] = [this.#next, end - 1]
    const reason = `the file with the lines ${from} to ${to}, which was ${file}, is gone`
    if (!this.#options.acceptsGap) {
      throw new ShipStoppedError(
        `${reason}; restore it, or --accept-gap ships on behind them, and leaves a record in the stream`,
      )
    }
    this.#next = end
    return { first: to, lines: [], gap: { from, to, reason }, hasMore: true, place: this.#place() }
  }
}

async function readSeal(folder: SealFolder): Promise<Sealed> {
  const path = folder.file(CHECKPOINT_FILE)
  const note = await folder.read(CHECKPOINT_FILE)
  if (note === undefined) {
    throw new ShipStoppedError(`${path} is not there; make it with: x0x-exec-audit seal init`)
  }
  const { origin, size } = parseCheckpoint(parseNote(note, path).text, path)
  const ranges = rangesOf(await folder.segments(size), size)
  return { note, origin, size, ranges, leafAt: folder.leavesOf(size) }
}
