import { NEWLINE } from '../../base/bytes'
import { type LogFile, RefusedFileError } from '../../follow/log-file'
import type { Listed, LogFollower } from '../../follow/log-follower'
import type { StoredMessage } from '../stream/message'
import { LineCutter, sha256Of } from './line-cutter'
import { type FilePlace, filePlace, type Place } from './place'

/*
 * Finds the line that a stream ends with in the files that are there: from a place that an earlier run kept, else by
 * counting from the oldest file, else by comparing with the stream, line by line. Each leaves the files behind the
 * lines that are shipped.
 */

/** The hash of a line without characters. */
const BLANK = sha256Of(new Uint8Array())
/** Longer lines are hashed piece by piece. */
const BODY_MAX = 64 * 1024

/** Opens the files of a place, each where it stood; false if the newest of them is gone. */
export async function openPlace(follower: LogFollower, { files }: Place): Promise<boolean> {
  const listed = await follower.list()
  const found: LogFile[] = []
  for (const place of files) {
    const file = await findFile(follower, listed, place, found)
    if (file !== undefined) found.push(file)
    else if (place === files.at(-1)) {
      await Promise.all(found.map((each) => each.close()))
      return false
    }
  }
  follower.adopt(found)
  return true
}

/** The file with the bytes that stood before a place, the most likely one first. */
async function findFile(
  follower: LogFollower,
  listed: readonly Listed[],
  place: FilePlace,
  taken: readonly LogFile[],
): Promise<LogFile | undefined> {
  const isLikely = ({ name, identity: { device, inode } }: Listed) =>
    `${device}:${inode}` === `${place.device}:${place.inode}` || name === `${place.name}.gz`
  const candidates = [...listed.filter(isLikely), ...listed.filter((each) => !isLikely(each))]
  for (const each of candidates) {
    if (taken.some((file) => file.is(each.identity))) continue
    const file = await follower.openListed(each)
    if (file === undefined) continue
    if ((await file.seek(place.offset)) && filePlace(file).seam === place.seam) return file
    await file.close()
  }
  return undefined
}

/**
 * Moves the files behind so many lines.
 * @param sha256 what the last of them must be; undefined if that is not known
 * @returns false if there are fewer, or the last one is another one
 */
export async function skipLines(
  follower: LogFollower,
  count: number,
  sha256: Buffer | undefined,
): Promise<boolean> {
  if (count === 0) return true
  let left = count - 1
  for (const file of await follower.look()) {
    left = await skipIn(file, left)
    if (left > 0) continue
    const last = await nextLine(file)
    // It stands in the next file.
    if (last === undefined) continue
    await file.seek(last.end)
    return sha256 === undefined || last.sha256.equals(sha256)
  }
  return false
}

/** Moves a file behind so many lines, or all that it has. Returns how many are left. */
export async function skipIn(file: LogFile, count: number): Promise<number> {
  if (count === 0) return 0
  let left = count
  let at = file.position
  for await (const chunk of file.chunks()) {
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, end + 1)) {
      if (--left > 0) continue
      await file.seek(at + end + 1)
      return 0
    }
    at += chunk.length
  }
  file.keep()
  return left
}

interface HashedLine {
  readonly sha256: Buffer
  /** Where it ends in the file's text, behind its newline. */
  readonly end: number
}

async function* hashedLines(file: LogFile): AsyncGenerator<readonly HashedLine[], void> {
  const cutter = new LineCutter(BODY_MAX)
  let at = file.position
  for await (const chunk of file.chunks()) {
    const lines: HashedLine[] = []
    cutter.push(chunk, ({ sha256 }, end) => lines.push({ sha256, end: at + end }))
    at += chunk.length
    yield lines
  }
}

/** A file's next line; undefined if it has none. Where the file stands then is undefined. */
export async function nextLine(file: LogFile): Promise<HashedLine | undefined> {
  for await (const [line] of hashedLines(file)) if (line !== undefined) return line
  return undefined
}

/** The SHA-256 of a file's first line that is not blank, by which the file is known; it stands anywhere after. */
export async function firstLineOf(file: LogFile): Promise<Buffer | undefined> {
  await file.seek(0)
  let before = 0
  for await (const lines of hashedLines(file)) {
    for (const { sha256, end } of lines) {
      if (end - before > 1) return sha256
      before = end
    }
  }
  return undefined
}

/** One file's lines, with the next one at hand. */
class LineWalker {
  readonly #lines: AsyncGenerator<readonly HashedLine[], void>
  #some: readonly HashedLine[] = []
  #at = 0
  /** Behind the lines that were taken. */
  position: number

  constructor(readonly file: LogFile) {
    this.position = file.position
    this.#lines = hashedLines(file)
  }

  /** Takes the next line if it is this one. */
  async take(sha256: Buffer): Promise<boolean> {
    const next = await this.#next()
    if (next?.sha256.equals(sha256) !== true) return false
    this.#at++
    this.position = next.end
    return true
  }

  /** Goes behind the first line that is this one; false if there is none. */
  async find(sha256: Buffer): Promise<boolean> {
    for (let next = await this.#next(); next !== undefined; next = await this.#next()) {
      this.#at++
      this.position = next.end
      if (next.sha256.equals(sha256)) return true
    }
    return false
  }

  async hasNext(): Promise<boolean> {
    return (await this.#next()) !== undefined
  }

  async #next(): Promise<HashedLine | undefined> {
    while (this.#at === this.#some.length) {
      const { value, done } = await this.#lines.next()
      if (done || value === undefined) return undefined
      this.#some = value
      this.#at = 0
    }
    return this.#some[this.#at]
  }

  async close(): Promise<void> {
    await this.#lines.return()
    await this.file.seek(this.position)
  }
}

/**
 * Moves the files behind the lines that are in the stream, in the order in which they stand there: it may differ from
 * the files' own, since a rotated file may get a last group after its successor's first one.
 * @param messages the stream's, up to its end
 * @param last the message that must be reached
 * @param isTrimmed whether the stream's oldest line is looked for in the files; else the oldest file's first line is
 * looked for in the stream, since the files before it may be gone
 * @returns false if a line of the stream is not where it must be
 */
export async function replay(
  follower: LogFollower,
  messages: AsyncIterable<StoredMessage>,
  last: StoredMessage,
  isTrimmed: boolean,
): Promise<boolean> {
  const walkers = (await follower.look()).map((file) => new LineWalker(file))
  try {
    return await follow(walkers, messages, last, isTrimmed)
  } catch (thrown) {
    // A file that cannot be read is reported when it is shipped.
    if (thrown instanceof RefusedFileError) return false
    throw thrown
  } finally {
    for (const walker of walkers) await walker.close()
  }
}

async function follow(
  walkers: readonly LineWalker[],
  messages: AsyncIterable<StoredMessage>,
  last: StoredMessage,
  isTrimmed: boolean,
): Promise<boolean> {
  const anchor = isTrimmed ? undefined : await anchorOf(walkers)
  let current: LineWalker | undefined
  let isBegun = false
  for await (const message of messages) {
    const { kind, sha256 } = message
    if (kind === 'checkpoint') continue
    // Behind a gap a file begins that is not known yet.
    if (kind === 'gap') current = undefined
    else if (isBegun) {
      current = await walkerOf(walkers, current, sha256)
      if (current === undefined) return false
    } else if (isTrimmed && !sha256.equals(BLANK)) {
      current = await findFirst(walkers, sha256)
      if (current === undefined) return false
    } else if (await anchor?.take(sha256)) current = anchor
    isBegun ||= current !== undefined
    if (message.index < last.index) continue
    const isReached = current !== undefined && sha256.equals(last.sha256)
    return isReached && (await hasAllBefore(walkers, current))
  }
  return false
}

/**
 * The oldest file that has lines, behind its first blank ones: those tell nothing, and if the line behind them is in
 * the stream, they are.
 */
async function anchorOf(walkers: readonly LineWalker[]): Promise<LineWalker | undefined> {
  for (const walker of walkers) {
    if (!(await walker.hasNext())) continue
    while (await walker.take(BLANK));
    return walker
  }
  return undefined
}

async function walkerOf(
  walkers: readonly LineWalker[],
  current: LineWalker | undefined,
  sha256: Buffer,
): Promise<LineWalker | undefined> {
  if (await current?.take(sha256)) return current
  for (const walker of walkers) {
    if (walker !== current && (await walker.take(sha256))) return walker
  }
  return undefined
}

/** The stream was trimmed: it begins somewhere in the files. */
async function findFirst(
  walkers: readonly LineWalker[],
  sha256: Buffer,
): Promise<LineWalker | undefined> {
  for (const walker of walkers) if (await walker.find(sha256)) return walker
  return undefined
}

/** Whether no file before this one was passed over: its lines would be shipped again. */
async function hasAllBefore(
  walkers: readonly LineWalker[],
  last: LineWalker | undefined,
): Promise<boolean> {
  for (const walker of walkers.slice(0, last === undefined ? 0 : walkers.indexOf(last))) {
    if (walker.position === 0 && (await walker.hasNext())) return false
  }
  return true
}
