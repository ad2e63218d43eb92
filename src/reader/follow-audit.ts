import type { FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe } from '../base/describe'
import { invalidOption } from '../base/invalid-option'
import { isUrl, valuesOf } from '../base/option-checks'
import type { AuditRecord, BigintAuditRecord } from '../format/records'
import { lastLinesStart } from './last-lines'
import { type LineEntry, LineSplitter } from './line-splitter'
import { type PathChange, PathWatch } from './path-watch'
import {
  type BigintOption,
  checkMaxLineBytes,
  problemHandler,
  READ_OPTIONS,
  type ReadOptions,
  recordShape,
} from './read-audit'
import { CHUNK_BYTES } from './source'

/** Options of {@link followAudit}. */
export interface FollowOptions extends ReadOptions {
  /**
   * Where to begin in the file that is there: with its first event (default), behind its last line, or
   * at an offset in bytes where a line begins. Files that come later are read from their start.
   */
  from?: 'start' | 'end' | number | undefined
  /** How often to look if the kernel reports no changes: milliseconds, 10 to 60,000; default 250. */
  pollMs?: number | undefined
  /**
   * Called when nothing stands at the path (`missing`), when what stands there cannot be opened
   * (`unreadable`), when its file is another one (`rotated`), and when it has become shorter (`truncated`), so
   * that it is read from its start again.
   */
  onChange?: ((change: PathChange) => void) | undefined
}

/** Where to begin, or a function that finds it in the file once that is open. */
export type FollowFrom =
  | 'start'
  | 'end'
  | number
  | ((handle: FileHandle, size: number) => Promise<number>)

const FOLLOW_OPTIONS = [
  ...READ_OPTIONS,
  'from',
  'pollMs',
  'onChange',
] as const satisfies readonly (keyof (FollowOptions & BigintOption))[]
const POLL_MS = 250
const POLL_MS_MIN = 10
const POLL_MS_MAX = 60_000
const SETTLE_MS = 100

/**
 * Reads a log's events and goes on as more are appended, as `tail -F` does: over rotation by rename
 * (the old file is read to its end first), truncation (the file is read from its start again),
 * deletion, and from before the file exists. A last line without a newline is waited for.
 *
 * A file that cannot be opened is an error when the following begins. Later it is tried again, since a rotation
 * may give a new file its mode or its owner only when it stands at the path.
 *
 * It ends when its signal is aborted or the loop is left. A waiting iterator keeps the process alive;
 * one that nobody reads from does not.
 *
 * Two things no follower of a path can see: a file that comes and goes between two looks (`pollMs`, and
 * only if the kernel reports no changes), and a truncation after which the file has grown again
 * beyond where it was read to.
 *
 * @throws what the file system throws, but for a file that is missing, or cannot be opened later on; AuditReadError with `onProblem: 'throw'`
 */
export function followAudit(
  path: string | URL,
  options: FollowOptions & BigintOption,
): AsyncGenerator<BigintAuditRecord, void, void>
export function followAudit(
  path: string | URL,
  options?: FollowOptions,
): AsyncGenerator<AuditRecord, void, void>
export function followAudit(
  path: string | URL,
  options: FollowOptions = {},
): AsyncGenerator<AuditRecord | BigintAuditRecord, void, void> {
  const shapeOf = recordShape(valuesOf('options', options, FOLLOW_OPTIONS))
  const onProblem = problemHandler(options.onProblem)
  const stop = new AbortController()
  const records = recordsOf(followBatches(path, options, stop.signal), onProblem, shapeOf)
  return {
    next: () => records.next(),
    throw: (error: unknown) => {
      stop.abort()
      return records.throw(error)
    },
    // A generator that waits would return only once it has something to yield.
    return: () => {
      stop.abort()
      return records.return()
    },
    [Symbol.asyncIterator]() {
      return this
    },
    async [Symbol.asyncDispose]() {
      await this.return()
    },
  }
}

async function* recordsOf(
  batches: AsyncIterable<readonly LineEntry[]>,
  onProblem: ReturnType<typeof problemHandler>,
  shapeOf: ReturnType<typeof recordShape>,
): AsyncGenerator<AuditRecord | BigintAuditRecord, void, void> {
  for await (const entries of batches) {
    for (const { record, problem } of entries) {
      if (record !== undefined) yield shapeOf(record)
      else onProblem(problem)
    }
  }
}

/** As {@link followAudit}, but all lines of a chunk at once, problems in their place among the events. */
export async function* followBatches(
  path: string | URL,
  options: Omit<FollowOptions, 'from'> & { from?: FollowFrom | undefined },
  stop?: AbortSignal,
): AsyncGenerator<readonly LineEntry[], void, void> {
  const signals = [options.signal, stop].filter((signal) => signal !== undefined)
  const follower = new Follower(resolve(isUrl(path) ? fileURLToPath(path) : path), options)
  const end = () => follower.end()
  for (const signal of signals) signal.addEventListener('abort', end)
  if (signals.some(({ aborted }) => aborted)) end()
  try {
    yield* follower.read()
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', end)
    await follower.close()
  }
}

class Follower {
  readonly #watch: PathWatch
  readonly #from: FollowFrom
  readonly #maxLineBytes: number
  readonly #onChange: (change: PathChange) => void
  #file: FollowedFile | undefined
  #toldAbsence: PathWatch['absence']
  #isEnded = false

  constructor(path: string, options: Parameters<typeof followBatches>[1]) {
    const { from, pollMs, maxLineBytes, onChange } = options
    this.#from = typeof from === 'function' ? from : checkFrom(from)
    this.#maxLineBytes = checkMaxLineBytes(maxLineBytes)
    this.#onChange = onChange ?? (() => undefined)
    this.#watch = new PathWatch(path, checkPollMs(pollMs))
  }

  end(): void {
    this.#isEnded = true
    void this.#watch.end()
  }

  async close(): Promise<void> {
    await this.#watch.end()
    await this.#file?.handle.close()
  }

  async *read(): AsyncGenerator<readonly LineEntry[], void, void> {
    if (this.#isEnded) return
    await this.#watch.start()
    if (this.#watch.hasNext) await this.#begin(this.#from)
    while (!this.#isEnded) {
      // Asked before the file is read: what it holds once its successor is there is all of it.
      const { hasNext } = this.#watch
      yield* this.#rest()
      if (this.#isEnded) return
      if (hasNext) yield* this.#moveOn()
      else await this.#wait()
    }
  }

  /** The bytes of the file that were not read yet. */
  async *#rest(): AsyncGenerator<readonly LineEntry[], void, void> {
    const file = this.#file
    if (file === undefined) return
    for (;;) {
      const entries = await file.next()
      if (entries === undefined) {
        if (!(await file.isTruncated())) return
        const last = file.restart()
        if (last !== undefined) yield [last]
        this.#onChange('truncated')
      } else if (entries.length > 0) {
        yield entries
      }
      if (this.#isEnded) return
    }
  }

  async *#moveOn(): AsyncGenerator<readonly LineEntry[], void, void> {
    const old = this.#file
    if (old !== undefined) {
      // Another process may be in a write to it still.
      await setTimeout(SETTLE_MS)
      yield* this.#rest()
      if (this.#isEnded) return
      const last = old.restart()
      if (last !== undefined) yield [last]
      this.#onChange('rotated')
    }
    await this.#begin('start')
    await old?.handle.close()
  }

  async #begin(from: FollowFrom): Promise<void> {
    const found = this.#watch.take()
    if (found === undefined) return
    this.#file = new FollowedFile(found.handle, this.#maxLineBytes)
    this.#toldAbsence = undefined
    await this.#file.seek(from)
  }

  async #wait(): Promise<void> {
    const { absence } = this.#watch
    if (absence !== undefined && absence !== this.#toldAbsence) this.#onChange(absence)
    this.#toldAbsence = absence
    await this.#watch.change()
  }
}

/** A file that is read as it grows. */
class FollowedFile {
  readonly #maxLineBytes: number
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  #splitter: LineSplitter
  /** How far it was read. */
  #position = 0

  constructor(
    readonly handle: FileHandle,
    maxLineBytes: number,
  ) {
    this.#maxLineBytes = maxLineBytes
    this.#splitter = new LineSplitter(maxLineBytes)
  }

  async seek(from: FollowFrom): Promise<void> {
    if (from === 'start') return
    const { size } = await this.handle.stat()
    if (typeof from === 'function') this.#position = await from(this.handle, size)
    else this.#position = from === 'end' ? await lastLinesStart(this.handle, size, 0) : from
    this.#splitter = new LineSplitter(this.#maxLineBytes, this.#position)
  }

  /** The lines of the next chunk; undefined at the end. */
  async next(): Promise<readonly LineEntry[] | undefined> {
    const { bytesRead } = await this.handle.read(this.#buffer, 0, CHUNK_BYTES, this.#position)
    if (bytesRead === 0) return undefined
    this.#position += bytesRead
    return this.#splitter.push(this.#buffer.subarray(0, bytesRead))
  }

  async isTruncated(): Promise<boolean> {
    return (await this.handle.stat()).size < this.#position
  }

  /** Reads from the start again; returns what stood after the last newline. */
  restart(): LineEntry | undefined {
    const last = this.#splitter.end()
    this.#position = 0
    this.#splitter = new LineSplitter(this.#maxLineBytes)
    return last
  }
}

function checkFrom(from: unknown = 'start'): 'start' | 'end' | number {
  if (from === 'start' || from === 'end') return from
  if (typeof from === 'number' && Number.isSafeInteger(from) && from >= 0) return from
  throw invalidOption(
    'from',
    `expected 'start', 'end' or an offset in bytes, got ${describe(from)}`,
    RangeError,
  )
}

function checkPollMs(value: number = POLL_MS): number {
  if (typeof value === 'number' && value >= POLL_MS_MIN && value <= POLL_MS_MAX) return value
  const expected = `a number from ${POLL_MS_MIN} to ${POLL_MS_MAX}`
  throw invalidOption('pollMs', `expected ${expected}, got ${describe(value)}`, RangeError)
}
