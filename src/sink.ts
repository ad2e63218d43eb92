import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { SonicBoom } from 'sonic-boom'
import { type Failure, failureOf, REASON_NOT_A_FILE, REASON_UNLINKED, type Stage } from './failure'
import type { FilePlace, GroupJournal } from './journal'
import { COUNT_OPENS, COUNT_SYNCS, COUNT_TORN_TAILS, type RingMemory } from './layout'
import { sleep } from './signal'

/** How a group is made durable; `none` leaves that to the kernel. */
export type SyncMethod = 'fdatasync' | 'fsync' | 'none'

/** What the sink needs to know of the options and the policy. */
export interface SinkOptions {
  /** Absolute. */
  readonly path: string
  readonly fileMode: number
  readonly dirMode: number
  readonly syncMethod: SyncMethod
}

/** A fragment without its newline was found at the end of the file, and closed with one. */
export interface TornTail {
  readonly kind: 'torn-tail'
  /** Where the fragment starts, in bytes from the file's start. */
  readonly offset: number
  /** Length of the fragment in bytes. */
  readonly bytes: number
}

/** The lines of one group. */
export interface Group {
  /** Ring positions. */
  readonly start: number
  readonly end: number
  /** Whole lines, in order. */
  readonly bytes: Buffer
}

const NEWLINE = 0x0a
const PERMISSION_BITS = 0o777
/** No file's size: the tail of a file that was just opened is always looked at. */
const UNKNOWN_END = -1n
/** Append only, never through a link, never hanging on a FIFO, never a controlling terminal. */
const OPEN_FLAGS =
  constants.O_RDWR |
  constants.O_APPEND |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK |
  constants.O_NOCTTY
/** How often the folder or file may vanish between two of our calls before that is a failure. */
const VANISHED_ATTEMPTS_MAX = 8
/** How long a tail must stay the same to count as torn: another process may be in its `write`. */
const TORN_TAIL_SETTLE_MS = 20
/** How far back the start of a torn fragment is looked for. */
const TORN_TAIL_SCAN_BYTES = 64 * 1024
/** Larger than any group, so that sonic-boom never cuts one. */
const UNLIMITED_WRITE = Number.MAX_SAFE_INTEGER

/** A sonic-boom in buffer mode; its own types know only the text mode. */
interface BufferStream {
  write(bytes: Buffer): boolean
}

interface OpenFile {
  readonly fd: number
  readonly stream: BufferStream
  readonly device: bigint
  readonly inode: bigint
  /** Where our last line ends; elsewhere than the file does, when others append to it or truncate it. */
  end: bigint
}

class Refusal extends Error {
  constructor(readonly reason: number) {
    super()
  }
}

/**
 * The file at the path: the only part of this package that touches the file system to write.
 *
 * A group is appended and synced in one attempt. After any error the descriptor is closed and never
 * used again: a second fdatasync of it could return 0 for bytes that the kernel has already given up,
 * and sonic-boom would write the rejected bytes in front of the next group.
 */
export class Sink {
  readonly #options: SinkOptions
  readonly #memory: RingMemory
  readonly #journal: GroupJournal
  readonly #onTornTail: (tail: TornTail) => void
  readonly #recordSync: (ms: number) => void
  /** Folders whose entries have changed and are not synced yet; kept across failures. */
  readonly #unsyncedFolders = new Set<string>()
  #file: OpenFile | undefined
  #stage: Stage = 'open'
  #writeError: unknown

  constructor(
    options: SinkOptions,
    memory: RingMemory,
    journal: GroupJournal,
    recordSync: (ms: number) => void,
    onTornTail: (tail: TornTail) => void,
  ) {
    this.#options = options
    this.#memory = memory
    this.#journal = journal
    this.#recordSync = recordSync
    this.#onTornTail = onTornTail
  }

  /**
   * Appends a group at the path and syncs it, once. When this returns undefined, every line is in a
   * file that had a name after the sync. A failure leaves nothing behind but perhaps bytes in the
   * file; calling again with the same group completes or rewrites it, see journal.ts.
   */
  append(group: Group): Failure | undefined {
    return this.#attempt(() => {
      for (let attempt = 0; attempt < VANISHED_ATTEMPTS_MAX; attempt++) {
        this.#appendOnce(group)
        if (this.#hasName()) return
        // Deleted under us: what was synced is gone, so the group goes to a fresh file.
        this.#journal.clear()
        this.#discard()
      }
      throw new Refusal(REASON_UNLINKED)
    })
  }

  /** Closes the file and opens the path afresh, creating it where it is missing. */
  reopen(): Failure | undefined {
    return this.#attempt(() => {
      this.#discard()
      const { file, size } = this.#open()
      this.#closeTornTail(file, size)
    })
  }

  /** Closes the file. The next append opens it again. */
  close(): void {
    this.#discard()
  }

  #attempt(action: () => void): Failure | undefined {
    try {
      action()
      return undefined
    } catch (thrown) {
      if (this.#stage === 'sync') this.#journal.clear()
      this.#discard()
      if (thrown instanceof Refusal) return { stage: this.#stage, reason: thrown.reason }
      return failureOf(this.#stage, thrown)
    }
  }

  #appendOnce(group: Group): void {
    const { file, place, present } = this.#place(group)
    if (present === 0) this.#journal.begin(group.start, group.end, place)
    if (present < group.bytes.length) this.#write(file, group.bytes.subarray(present))
    file.end = place.offset + BigInt(group.bytes.length)
    this.#sync(file)
  }

  /** The file at the path, where the group starts in it, and how much of it is there already. */
  #place(group: Group): { file: OpenFile; place: FilePlace; present: number } {
    this.#stage = 'open'
    const { file, size } = this.#current() ?? this.#open()
    const begun = this.#journal.place()
    if (begun !== undefined) {
      const present = this.#presentBytes(file, size, begun, group.bytes)
      if (present > 0) return { file, place: begun, present }
      this.#journal.clear()
    }
    // Where the file ends as we left it, there is nothing to look at.
    const offset = size === file.end ? size : this.#closeTornTail(file, size)
    return { file, place: { ...file, offset }, present: 0 }
  }

  /** The open file and its size, if it is still the one at the path; closes it if it is not. */
  #current(): { file: OpenFile; size: bigint } | undefined {
    const file = this.#file
    const size = file && this.#sizeAtPath(file)
    if (file !== undefined && size !== undefined) return { file, size }
    this.#discard()
    return undefined
  }

  /** Size of the file at the path, if it is still the one that is open. */
  #sizeAtPath(file: OpenFile): bigint | undefined {
    const stats = statSync(this.#options.path, { bigint: true, throwIfNoEntry: false })
    const isSame = stats !== undefined && stats.ino === file.inode && stats.dev === file.device
    return isSame ? stats.size : undefined
  }

  /** How many leading bytes of the group the file holds from where it was begun; 0 if others follow. */
  #presentBytes(file: OpenFile, size: bigint, begun: FilePlace, bytes: Buffer): number {
    if (begun.device !== file.device || begun.inode !== file.inode) return 0
    const length = Number(size - begun.offset)
    if (length <= 0 || length > bytes.length) return 0
    const found = Buffer.allocUnsafe(length)
    const read = readSync(file.fd, found, 0, length, begun.offset)
    return read === length && found.equals(bytes.subarray(0, length)) ? length : 0
  }

  #open(): { file: OpenFile; size: bigint } {
    const { path, fileMode } = this.#options
    const { fd, isCreated } = this.#openDescriptor()
    try {
      const stats = fstatSync(fd, { bigint: true })
      if (!stats.isFile()) throw new Refusal(REASON_NOT_A_FILE)
      if (isCreated && permissionBits(stats.mode) !== fileMode) fchmodSync(fd, fileMode)
      this.#unsyncedFolders.add(dirname(path))
      this.#syncFolders()
      this.#stage = 'open'
      const { dev: device, ino: inode } = stats
      this.#file = { fd, stream: this.#stream(fd), device, inode, end: UNKNOWN_END }
      this.#count(COUNT_OPENS)
      return { file: this.#file, size: stats.size }
    } catch (thrown) {
      closeSync(fd)
      throw thrown
    }
  }

  /** Opens the path, creating file and folders where they are missing. */
  #openDescriptor(): { fd: number; isCreated: boolean } {
    const { path, fileMode } = this.#options
    const create = OPEN_FLAGS | constants.O_CREAT | constants.O_EXCL
    for (let attempt = 0; attempt < VANISHED_ATTEMPTS_MAX; attempt++) {
      this.#stage = 'open'
      const existing = unlessCode(['ENOENT', 'ENOTDIR'], () => openSync(path, OPEN_FLAGS))
      if (existing !== undefined) return { fd: existing, isCreated: false }
      this.#stage = 'folder'
      this.#ensureFolder(dirname(path))
      this.#stage = 'open'
      const created = unlessCode(['EEXIST', 'ENOENT'], () => openSync(path, create, fileMode))
      if (created !== undefined) return { fd: created, isCreated: true }
    }
    throw new Refusal(REASON_UNLINKED)
  }

  #stream(fd: number): BufferStream {
    const stream = new SonicBoom({
      fd,
      sync: true,
      contentMode: 'buffer',
      minLength: 0,
      maxWrite: UNLIMITED_WRITE,
      // A regular file is never busy. If one is, that is an error like any other, and not a reason to
      // sleep and try again for ever.
      retryEAGAIN: () => false,
    })
    stream.on('error', (error) => {
      this.#writeError = error
    })
    return { write: (bytes) => Reflect.apply(stream.write, stream, [bytes]) }
  }

  /** Makes a folder and those above it with the configured mode, whatever the umask. */
  #ensureFolder(folder: string): void {
    const { dirMode } = this.#options
    const make = () => {
      mkdirSync(folder, dirMode)
      return true
    }
    const parent = dirname(folder)
    let isMade = unlessCode(['EEXIST', 'ENOENT'], make)
    if (isMade === undefined && parent !== folder && !isPresent(folder)) {
      this.#ensureFolder(parent)
      isMade = unlessCode('EEXIST', make)
    }
    if (isMade === undefined) return
    if (permissionBits(statSync(folder).mode) !== dirMode) chmodSync(folder, dirMode)
    this.#unsyncedFolders.add(parent)
  }

  /** Makes new names durable: the entries of the file and of the folders made for it. */
  #syncFolders(): void {
    this.#stage = 'folder'
    for (const folder of this.#unsyncedFolders) {
      if (this.#options.syncMethod !== 'none') syncFolder(folder)
      this.#unsyncedFolders.delete(folder)
    }
  }

  /** Closes a fragment at the end of the file with a newline; returns the file's size after that. */
  #closeTornTail(file: OpenFile, openedSize: bigint): bigint {
    let size = openedSize
    for (;;) {
      if (size === 0n || lastByte(file.fd, size) === NEWLINE) return size
      sleep(this.#memory.control, TORN_TAIL_SETTLE_MS)
      const settled = fstatSync(file.fd, { bigint: true }).size
      if (settled === size) break
      size = settled
    }
    const bytes = fragmentBytes(file.fd, size)
    this.#stage = 'write'
    writeSync(file.fd, '\n')
    this.#count(COUNT_TORN_TAILS)
    this.#onTornTail({ kind: 'torn-tail', offset: Number(size) - bytes, bytes })
    return size + 1n
  }

  #write(file: OpenFile, bytes: Buffer): void {
    this.#stage = 'write'
    this.#writeError = undefined
    file.stream.write(bytes)
    if (this.#writeError !== undefined) throw this.#writeError
  }

  #sync({ fd }: OpenFile): void {
    const { syncMethod } = this.#options
    if (syncMethod === 'none') return
    this.#stage = 'sync'
    const start = performance.now()
    if (syncMethod === 'fsync') fsyncSync(fd)
    else fdatasyncSync(fd)
    this.#recordSync(performance.now() - start)
    this.#count(COUNT_SYNCS)
  }

  /** Whether the open file still has a name, anywhere. */
  #hasName(): boolean {
    return this.#file !== undefined && fstatSync(this.#file.fd).nlink > 0
  }

  /** Closes the descriptor for good. The stream is dropped, with whatever it has not written. */
  #discard(): void {
    const file = this.#file
    if (file === undefined) return
    this.#file = undefined
    try {
      closeSync(file.fd)
    } catch {
      // The descriptor is gone either way, and nothing was promised about its close.
    }
  }

  #count(counter: number): void {
    Atomics.add(this.#memory.counters, counter, 1n)
  }
}

/** The result of `action`, or undefined when it throws one of the codes. */
function unlessCode<T>(codes: string | readonly string[], action: () => T): T | undefined {
  try {
    return action()
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
    if (codes.includes(code) && code !== '') return undefined
    throw thrown
  }
}

/** Asked before a chmod: the umask seldom takes bits away, and the permission model has no fchmod. */
function permissionBits(mode: number | bigint): number {
  return Number(mode) & PERMISSION_BITS
}

function isPresent(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    // Some file systems (FUSE, 9p, CIFS) cannot sync a folder, and say so: there is no more to do.
    unlessCode(['EINVAL', 'ENOTSUP'], () => fsyncSync(fd))
  } finally {
    closeSync(fd)
  }
}

function lastByte(fd: number, size: bigint): number | undefined {
  const byte = Buffer.allocUnsafe(1)
  readSync(fd, byte, 0, 1, size - 1n)
  return byte[0]
}

/** Length of what follows the last newline, as far back as it is looked for. */
function fragmentBytes(fd: number, size: bigint): number {
  const length = Math.min(Number(size), TORN_TAIL_SCAN_BYTES)
  const tail = Buffer.allocUnsafe(length)
  readSync(fd, tail, 0, length, size - BigInt(length))
  return length - 1 - tail.lastIndexOf(NEWLINE)
}
