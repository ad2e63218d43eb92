import { once } from 'node:events'
import type { FileHandle } from 'node:fs/promises'
import { followBatches } from '../../reader/follow-audit'
import { lastLinesStart } from '../../reader/last-lines'
import { type LineEntry, LineSplitter } from '../../reader/line-splitter'
import type { PathChange } from '../../reader/path-watch'
import { MAX_LINE_BYTES } from '../../reader/read-audit'
import { compressorOfFile } from '../../rotation/compressed'
import { formatCount } from '../../toolkit/text/numbers'
import { checkSpan } from '../shared/arguments'
import { CliError, EXIT_PASS, usageError } from '../shared/errors'
import { FollowNotes } from '../shared/follow-notes'
import {
  bytesOf,
  bytesOfOpen,
  DEFAULT_LOG,
  fileName,
  hasEnd,
  openLog,
  readBetween,
  readError,
  readFrom,
  readLog,
  readOn,
  readOpen,
  STDIN,
  startOfLast,
} from '../shared/log-input'
import { ProblemCount } from '../shared/problem-count'
import { SearchedSpan } from '../shared/searched-span'
import { type Skimmed, skim, skimStream } from '../shared/skim'
import type { RowOutput } from './output'
import type { RowSource } from './row-source'

/** What is to be read, and how much of it. */
export interface ViewTask {
  readonly files: readonly string[]
  readonly follow?: boolean | undefined
  /** Only the last ones. */
  readonly lines?: number | undefined
  readonly reverse?: boolean | undefined
  /** Milliseconds since 1970. */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** How many of the events that are there already `--follow` shows, as `tail -f` does. */
const FOLLOW_LINES = 10

/** How far before the events of a tail their requests are looked for. */
const LOOK_BACK_BYTES = 4 * 2 ** 20

/** Rows that `--reverse` holds, since the last one is the first to be shown. */
const REVERSE_MAX = 100_000

/** Reads the logs, and shows the rows that are asked for. */
export class View<Row> {
  readonly #source: RowSource<Row>
  readonly #output: RowOutput<Row>
  readonly #task: ViewTask
  readonly #problems = new ProblemCount()
  readonly #searched: SearchedSpan
  /** The last rows so far, if only they are shown. */
  #kept: Row[] = []
  readonly #keptMax: number | undefined
  #hasDropped = false

  constructor(source: RowSource<Row>, output: RowOutput<Row>, task: ViewTask, isUtc: boolean) {
    this.#source = source
    this.#output = output
    this.#task = task
    this.#searched = new SearchedSpan(isUtc)
    const { follow, lines, reverse } = task
    if (!follow) this.#keptMax = reverse ? (lines ?? REVERSE_MAX) : lines
  }

  async run(): Promise<number> {
    this.#check()
    await this.#output.begin()
    let failure: CliError | undefined
    if (this.#task.follow) await this.#follow()
    else failure = await this.#readAll()
    await this.#output.end()
    this.#report(failure !== undefined)
    if (failure !== undefined) throw failure
    return EXIT_PASS
  }

  #check(): void {
    const { follow, files, since, until, reverse } = this.#task
    checkSpan(since, until)
    if (!follow) return
    if (reverse) throw usageError('--follow shows the newest last; leave out --reverse')
    if (files.length > 1) throw usageError('--follow takes one file')
    if (files[0] === STDIN) throw usageError('--follow takes a file; - is read to its end anyway')
  }

  #report(hasFailed: boolean): void {
    const { follow, lines, reverse, files } = this.#task
    this.#problems.tell()
    if (follow) return
    for (const note of this.#source.notes()) tell(note)
    if (reverse && lines === undefined && this.#hasDropped) {
      tell(`only the last ${formatCount(REVERSE_MAX)} are shown; --lines shows as many as it says`)
    }
    // Of a single log that cannot be read the error says enough.
    const isSearched = !hasFailed || files.length > 1
    if (this.#output.count === 0 && lines !== 0 && isSearched) {
      tell(`nothing found; searched ${this.#searched.text(files)}`)
    }
  }

  /** Reads one file after the other; reports one that cannot be read, and reads the others. */
  async #readAll(): Promise<CliError | undefined> {
    const { lines, files, since } = this.#task
    let failure: CliError | undefined
    for (const file of files) {
      try {
        if (lines !== undefined && files.length === 1 && !this.#source.needsAll) {
          await this.#readLast(file, lines)
        } else if (since !== undefined && !this.#source.needsAll) {
          await this.#readSince(file, since)
        } else await this.#showAll(file, readLog(file))
      } catch (thrown) {
        if (!(thrown instanceof CliError)) throw thrown
        if (failure !== undefined) tell(failure.message)
        failure = thrown
      }
    }
    await this.#show(this.#source.end())
    this.#dropBefore(this.#keptMax ?? 0)
    await this.#output.show(this.#task.reverse ? this.#kept.toReversed() : this.#kept)
    return failure
  }

  async #readLast(file: string, lines: number): Promise<void> {
    if (file === STDIN) return this.#showAll(file, readLog(file))
    const handle = await openLog(file)
    try {
      if (!(await hasEnd(handle))) return await this.#showAll(file, readOpen(file, handle))
      const { size } = await handle.stat()
      const start = await this.#startOfLast(file, handle, size, lines)
      await this.#showAll(file, readFrom(handle, start), start === 0)
    } finally {
      await handle.close()
    }
  }

  async #readSince(file: string, since: number): Promise<void> {
    if (file === STDIN) return this.#readStreamSince(file, bytesOf(file), since)
    const handle = await openLog(file)
    try {
      if (!(await hasEnd(handle))) {
        return await this.#readStreamSince(file, bytesOfOpen(file, handle), since)
      }
      const { offset, line } = await this.#skim(file, handle, since)
      await this.#showAll(file, readFrom(handle, offset, line))
    } catch (thrown) {
      throw thrown instanceof CliError ? thrown : readError(file, thrown)
    } finally {
      await handle.close()
    }
  }

  /** Passes over what stands before all events from that time on, and learns the requests shortly before these. */
  async #skim(file: string, handle: FileHandle, since: number): Promise<Skimmed> {
    const skimmed = await skim(handle, since, this.#onSkimmed(file))
    this.#searched.addSkimmed(skimmed)
    await this.#learnBefore(file, handle, skimmed.offset)
    return skimmed
  }

  #onSkimmed(file: string): (entry: LineEntry) => void {
    return ({ problem }) => {
      if (problem === undefined) return
      this.#problems.add(file, problem)
      this.#output.note(file, problem)
    }
  }

  /** As {@link #readSince}, from bytes that come once. */
  async #readStreamSince(
    file: string,
    bytes: AsyncGenerator<Buffer>,
    sinceMs: number,
  ): Promise<void> {
    const task = { sinceMs, keptBytes: LOOK_BACK_BYTES }
    try {
      const { skimmed, before, next } = await skimStream(bytes, task, this.#onSkimmed(file))
      this.#searched.addSkimmed(skimmed)
      this.#learn(file, new LineSplitter(MAX_LINE_BYTES).push(before))
      const { offset, line } = skimmed
      await this.#showAll(file, readOn(bytes, { next, offset, line }))
    } finally {
      await bytes.return(undefined)
    }
  }

  async #follow(): Promise<void> {
    const [file = DEFAULT_LOG] = this.#task.files
    const compressor = await compressorOfFile(file).catch((thrown: unknown) => {
      throw readError(file, thrown)
    })
    if (compressor !== undefined) {
      const compressed = `${fileName(file)} is compressed by ${compressor.name}`
      throw usageError(`--follow: ${compressed}, nothing is appended to it`)
    }
    let start = 0
    const from = async (handle: FileHandle, size: number) => {
      start = await this.#startOfFollowing(file, handle, size)
      return start
    }
    const changes = new FollowNotes(file)
    const onChange = (change: PathChange) => {
      if (change === 'rotated' || change === 'truncated') start = 0
      changes.tell(change)
    }
    try {
      for await (const entries of followBatches(file, { from, onChange })) {
        changes.read()
        await this.#take(file, entries, start === 0)
        this.#problems.tell()
      }
    } catch (thrown) {
      throw readError(file, thrown)
    }
  }

  async #startOfFollowing(file: string, handle: FileHandle, size: number): Promise<number> {
    const { since, lines = since === undefined ? FOLLOW_LINES : undefined } = this.#task
    if (lines === undefined) {
      if (since === undefined || this.#source.needsAll) return 0
      return (await this.#skim(file, handle, since)).offset
    }
    if (this.#source.kind.list === 'events') return this.#startOfLast(file, handle, size, lines)
    // Commands are shown when they end: those that end from now on.
    const end = await lastLinesStart(handle, size, 0)
    await this.#learnBefore(file, handle, end)
    return end
  }

  async #startOfLast(
    file: string,
    handle: FileHandle,
    size: number,
    count: number,
  ): Promise<number> {
    const { needsAll } = this.#source
    const isWanted = ({ record, text }: LineEntry) =>
      record !== undefined &&
      this.#source.take({ record, text, file, isLineKnown: false }).length > 0
    const start = await startOfLast(handle, size, count, isWanted, needsAll)
    if (!needsAll) await this.#learnBefore(file, handle, start)
    return start
  }

  /** The requests of the events that are about to be shown may stand shortly before them. */
  async #learnBefore(file: string, handle: FileHandle, end: number): Promise<void> {
    const start = Math.max(0, end - LOOK_BACK_BYTES)
    for await (const entries of readBetween(handle, start, end)) this.#learn(file, entries)
  }

  #learn(file: string, entries: readonly LineEntry[]): void {
    for (const { record, text } of entries) {
      if (record !== undefined) this.#source.learn({ record, text, file, isLineKnown: false })
    }
  }

  async #showAll(
    file: string,
    batches: AsyncIterable<readonly LineEntry[]>,
    isLineKnown = true,
  ): Promise<void> {
    for await (const entries of batches) await this.#take(file, entries, isLineKnown)
  }

  async #take(file: string, entries: readonly LineEntry[], isLineKnown: boolean): Promise<void> {
    const rows: Row[] = []
    for (const { record, problem, text } of entries) {
      if (record === undefined) {
        this.#problems.add(file, problem, isLineKnown)
        this.#output.note(file, problem)
        continue
      }
      this.#searched.add(record)
      const ready = this.#source.take({ record, text, file, isLineKnown })
      for (const row of ready) rows.push(row)
    }
    await this.#show(rows)
  }

  async #show(rows: readonly Row[]): Promise<void> {
    const max = this.#keptMax
    if (max === undefined) {
      await this.#output.show(rows)
      return
    }
    for (const row of rows) this.#kept.push(row)
    if (this.#kept.length > 2 * max) this.#dropBefore(max)
  }

  /** Keeps the last rows only. */
  #dropBefore(max: number): void {
    const dropped = this.#kept.length - max
    if (dropped <= 0) return
    this.#hasDropped = true
    this.#kept = this.#kept.slice(dropped)
  }
}

export async function writeOut(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

function tell(text: string): void {
  process.stderr.write(`x0x-exec-audit: ${text}\n`)
}
