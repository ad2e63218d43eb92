import { lstat, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { codeOf, textOf } from '../base/describe'
import { filesOfLog } from '../rotation/rotation-order'
import { type FileIdentity, LogFile, RefusedFileError } from './log-file'

/** How long a renamed file is watched for groups that its writer was about to write. */
export const WATCH_MS = 600_000
/** How often the folder is listed again if it has changed meanwhile. */
const LISTINGS_MAX = 5

/** Something that an operator has to know. */
export interface FollowNote {
  /** `truncated`: bytes are lost or were taken from a copy; `refused`: a file is not read. */
  readonly kind: 'truncated' | 'refused'
  readonly message: string
  /** Whether lines that were not read may be gone for good: no copy of a truncated file is there. */
  readonly isLost?: true
}

export interface FollowOptions {
  /** The log, absolute. */
  readonly path: string
  /** The user id that each file must have; undefined: as the first one that is opened. */
  readonly owner?: bigint | undefined
  readonly onNote: (note: FollowNote) => void
  /** Whether a file was read before, although none of its neighbours is known any more. */
  readonly isKnown: (file: LogFile) => Promise<boolean>
  readonly watchMs?: number | undefined
}

interface Followed {
  file: LogFile
  /** When its successor was found, by a clock that is never set; undefined for the newest file. */
  retiredMs: number | undefined
}

/** Files that are not followed yet, the oldest first: those before a file that was read, and those after all such. */
interface Unseen {
  readonly older: Listed[]
  readonly newer: Listed[]
}

/** A file of the log that is there. */
export interface Listed {
  readonly name: string
  readonly identity: FileIdentity
}

/**
 * Follows a log over its rotations: which files have to be read now, in which order. It opens files before anybody
 * reads them, and keeps them open, since a number names one file only while that is open. It knows nothing of lines.
 */
export class LogFollower {
  readonly path: string
  readonly #folder: string
  readonly #options: FollowOptions
  readonly #watchMs: number
  readonly #refused = new Set<string>()
  #owner: bigint | undefined
  #followed: Followed[] = []

  constructor(options: FollowOptions) {
    this.path = options.path
    this.#folder = dirname(options.path)
    this.#options = options
    this.#owner = options.owner
    this.#watchMs = options.watchMs ?? WATCH_MS
  }

  /** The files that are followed now, in the order in which they are read. */
  get files(): readonly LogFile[] {
    return this.#followed.map(({ file }) => file)
  }

  /** The user id that each file has; undefined before the first one. */
  get owner(): bigint | undefined {
    return this.#owner
  }

  /** Whether a file was read before. */
  isKnown(file: LogFile): Promise<boolean> {
    return this.#options.isKnown(file)
  }

  /** Throws a RefusedFileError if what stands at the log's path must not be read. */
  async checkLive(): Promise<void> {
    const file = await LogFile.open(this.path, this.#owner)
    await file?.close()
  }

  /** Begins with files that were opened elsewhere, the oldest first; the last of them is the newest one known. */
  adopt(files: readonly LogFile[]): void {
    const now = performance.now()
    this.#followed = files.map((file, i) => ({
      file,
      retiredMs: i < files.length - 1 ? now : undefined,
    }))
    this.#owner ??= files[0]?.owner
  }

  /** Looks at the folder and at the open files, and returns those that hold text to be read, the oldest first. */
  async look(): Promise<readonly LogFile[]> {
    await this.#findNew()
    const withNews: LogFile[] = []
    for (const followed of [...this.#followed]) {
      const seen = await followed.file.look()
      if (seen.isCut) withNews.push(...(await this.#afterCut(followed)))
      else if (seen.hasNews) withNews.push(followed.file)
      else if (this.#isOver(followed, seen.isRemoved)) await this.#drop(followed)
    }
    return withNews
  }

  /** Gives up a file that turned out to be unreadable. */
  async refuse(file: LogFile, { message }: RefusedFileError): Promise<void> {
    this.#refuse(file, message)
    const followed = this.#followed.find((other) => other.file === file)
    if (followed !== undefined) await this.#drop(followed)
  }

  async close(): Promise<void> {
    await Promise.all(this.#followed.splice(0).map(({ file }) => file.close()))
  }

  #isOver({ file, retiredMs }: Followed, isRemoved: boolean): boolean {
    if (retiredMs === undefined) return false
    return isRemoved || file.isPacked || performance.now() - retiredMs > this.#watchMs
  }

  async #drop(followed: Followed): Promise<void> {
    this.#followed = this.#followed.filter((other) => other !== followed)
    await followed.file.close()
  }

  async #findNew(): Promise<void> {
    const newest = this.#followed.at(-1)
    const live = await identityAt(this.path)
    if (live !== undefined && newest?.file.is(live)) return
    // It was renamed back.
    const back = live && this.#followed.find(({ file }) => file.is(live))
    if (back !== undefined) {
      this.#followed = [...this.#followed.filter((other) => other !== back), back]
      this.#retireAllButNewest()
      return
    }
    for (let i = 0; i < LISTINGS_MAX; i++) if (await this.#openUnseen()) return
  }

  /** False if files were renamed meanwhile: then nothing was opened. */
  async #openUnseen(): Promise<boolean> {
    const before = await this.list()
    const { older, newer } = await this.#unseenOf(before)
    const openedOlder = await this.#openAll(older)
    const openedNewer = await this.#openAll(newer)
    if (!isSameListing(before, await this.list())) {
      await Promise.all([...openedOlder, ...openedNewer].map(({ file }) => file.close()))
      return false
    }
    this.#followed.splice(-1, 0, ...openedOlder)
    this.#followed.push(...openedNewer)
    this.#retireAllButNewest()
    return true
  }

  async #openAll(listed: readonly Listed[]): Promise<Followed[]> {
    const opened: Followed[] = []
    for (const each of listed) {
      const file = await this.openListed(each)
      if (file !== undefined) opened.push({ file, retiredMs: undefined })
    }
    return opened
  }

  #retireAllButNewest(): void {
    for (const followed of this.#followed.slice(0, -1)) followed.retiredMs ??= performance.now()
    const newest = this.#followed.at(-1)
    if (newest !== undefined) newest.retiredMs = undefined
  }

  /**
   * The files that came after the newest one known. If that has no name any more, it asks for each file; those that
   * are older than one that was read stay behind it in rank, so that this one is not taken for a later file.
   */
  async #unseenOf(listed: readonly Listed[]): Promise<Unseen> {
    const newest = this.#followed.at(-1)?.file
    const last = listed.findLastIndex(({ identity }) => newest?.is(identity))
    if (last >= 0) return { older: [], newer: listed.slice(last + 1) }
    const nameless = this.files.filter((file) => !listed.some(({ identity }) => file.is(identity)))
    const unseen: Unseen = { older: [], newer: [] }
    for (const each of listed) {
      if (this.#followed.some(({ file }) => file.is(each.identity))) continue
      if (each.name !== basename(this.path) && (await this.#isKnown(each, nameless))) {
        unseen.older.push(...unseen.newer.splice(0))
      } else unseen.newer.push(each)
    }
    return unseen
  }

  /** Whether a file was read before, or is what gzip has made of one that is open and perhaps not read yet. */
  async #isKnown(listed: Listed, nameless: readonly LogFile[]): Promise<boolean> {
    const file = await this.openListed(listed)
    if (file === undefined) return false
    try {
      for (const open of nameless) if (await open.beginsAs(file)) return true
      return await this.isKnown(file)
    } finally {
      await file.close()
    }
  }

  /** Opens a file that was listed; undefined if another one has its name by now, or it is refused. */
  async openListed({ name, identity }: Listed): Promise<LogFile | undefined> {
    try {
      const file = await LogFile.open(join(this.#folder, name), this.#owner)
      if (file === undefined) return undefined
      if (file.is(identity)) {
        this.#owner ??= file.owner
        return file
      }
      await file.close()
      return undefined
    } catch (thrown) {
      if (!(thrown instanceof RefusedFileError) && codeOf(thrown) !== 'EACCES') throw thrown
      this.#refuse(identity, textOf(thrown instanceof Error ? thrown.message : thrown))
      return undefined
    }
  }

  /** Once for each file and reason: a rotation gives a file its owner when it stands at the path already. */
  #refuse({ device, inode }: FileIdentity, message: string): void {
    const key = `${device}:${inode}:${message}`
    if (this.#refused.has(key)) return
    if (this.#refused.size > 1_000) this.#refused.clear()
    this.#refused.add(key)
    this.#options.onNote({ kind: 'refused', message: `not read: ${message}` })
  }

  /** The log's files that are there, the oldest first. */
  async list(): Promise<readonly Listed[]> {
    const listed: Listed[] = []
    for (const name of filesOfLog(basename(this.path), await readdir(this.#folder))) {
      const identity = await identityAt(join(this.#folder, name))
      if (identity !== undefined) listed.push({ name, identity })
    }
    return listed
  }

  /**
   * The file is no longer what was read: as a rule logrotate has copied and truncated it. What the copy has more is
   * read from there; the file itself is opened again and read from its start.
   */
  async #afterCut(followed: Followed): Promise<readonly LogFile[]> {
    const { file, retiredMs } = followed
    const copy = await this.#findCopy(file)
    const at = `${file.path} was truncated or rewritten before byte ${file.position}`
    const lost =
      copy === undefined
        ? 'no copy of it is there, so what was written into it since the last look is lost'
        : `the rest was read from ${copy.name}; what was written between the copy and the truncation is lost`
    const isLost = copy === undefined ? { isLost: true as const } : {}
    this.#options.onNote({ kind: 'truncated', message: `${at}; ${lost}`, ...isLost })
    const again =
      retiredMs === undefined ? await this.#reopen(file) : copy && (await this.#reopenRenamed(file))
    const place = this.#followed.indexOf(followed)
    const next = [
      ...(copy === undefined ? [] : [{ file: copy, retiredMs: performance.now() }]),
      ...(again === undefined ? [] : [{ file: again, retiredMs }]),
    ]
    this.#followed.splice(place, 1, ...next)
    await file.close()
    return next.map((each) => each.file)
  }

  /** By its name, since a file system may keep its number for the next file at the path. */
  async #reopen(file: LogFile): Promise<LogFile | undefined> {
    const identity = await identityAt(this.path)
    if (identity === undefined) return undefined
    const again = await this.openListed({ name: basename(this.path), identity })
    if (again === undefined || again.is(file)) return again
    // Another file by now: the next look finds it, with those before it.
    await again.close()
    return undefined
  }

  /** One that was renamed after it had been copied and truncated: what was written between is there alone. */
  async #reopenRenamed(file: LogFile): Promise<LogFile | undefined> {
    const listed = (await this.list()).find(({ identity }) => file.is(identity))
    return listed && (await this.openListed(listed))
  }

  async #findCopy(file: LogFile): Promise<LogFile | undefined> {
    if (file.position === 0) return undefined
    for (const { name, identity } of (await this.list()).toReversed()) {
      if (this.#followed.some((other) => other.file.is(identity))) continue
      const copy = await this.openListed({ name, identity })
      if (copy === undefined) continue
      if (await copy.seek(file.position, file.seam)) return copy
      await copy.close()
    }
    return undefined
  }
}

/** The identity of what stands at a path; undefined if nothing does. */
async function identityAt(path: string): Promise<FileIdentity | undefined> {
  try {
    const { dev, ino } = await lstat(path, { bigint: true })
    return { device: dev, inode: ino }
  } catch (thrown) {
    const code = codeOf(thrown)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw thrown
  }
}

/** Whether no file came, went, or was renamed between two listings. */
export function isSameListing(before: readonly Listed[], after: readonly Listed[]): boolean {
  return (
    before.length === after.length &&
    before.every(({ name, identity }, i) => {
      const other = after[i]
      return (
        other?.name === name &&
        other.identity.device === identity.device &&
        other.identity.inode === identity.inode
      )
    })
  )
}
