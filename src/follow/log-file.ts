import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { uptime } from 'node:os'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { NEWLINE } from '../base/bytes'
import { codeOf, textOf } from '../base/describe'
import { compressorOfOpen } from '../rotation/compressed'

/** The bytes before a position that prove, when they are read again, that the file is what it was. */
const SEAM_BYTES = 4_096
const CHUNK_BYTES = 256 * 1024
/** A link is refused, and a FIFO without a writer is no hang. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Milliseconds since the machine was started: nobody sets this clock, and it is the same for each process. */
export function uptimeMs(): number {
  return Math.round(uptime() * 1_000)
}

/** A file whose lines must not be taken for the log's. The message names the file, the reason and the remedy. */
export class RefusedFileError extends Error {
  override readonly name = 'RefusedFileError'
}

/** A file's device and inode, which name one file as long as it is open. */
export interface FileIdentity {
  readonly device: bigint
  readonly inode: bigint
}

/** Where reading goes on: behind the newline at `position - 1`, with the bytes before it. */
interface Place {
  readonly position: number
  readonly seam: Buffer
}

const START: Place = { position: 0, seam: Buffer.alloc(0) }

/**
 * One file of a log, open for reading. Its position, in bytes of its text, is where the first line begins that was
 * not kept yet; it moves only with {@link keep}, so that what could not be used is read again.
 */
export class LogFile implements FileIdentity {
  readonly device: bigint
  readonly inode: bigint
  readonly owner: bigint
  /** When it was opened: milliseconds since 1970, by a clock that may be set. */
  readonly openedMs: number
  /** The same time, since the machine was started. */
  readonly openedUptimeMs: number
  #kept = START
  #read = START
  /** The size at which reading found no more whole lines. */
  #emptyAt: bigint | undefined
  #isPackRead = false
  #keptHead: Buffer | undefined

  private constructor(
    readonly path: string,
    readonly handle: FileHandle,
    stats: BigIntStats,
    /** Whether gzip has compressed it: then it no longer grows, and is read once. */
    readonly isPacked: boolean,
  ) {
    this.device = stats.dev
    this.inode = stats.ino
    this.owner = stats.uid
    this.openedMs = Date.now()
    this.openedUptimeMs = uptimeMs()
  }

  /**
   * Opens a file of the log; undefined if nothing stands there.
   * @param owner the user id that it must have; undefined for the first file
   * @throws RefusedFileError for a link, a hard link, anything but a regular file, and another user's file; what the file system throws
   */
  static async open(path: string, owner?: bigint | undefined): Promise<LogFile | undefined> {
    const handle = await openPlain(path)
    if (handle === undefined) return undefined
    try {
      const stats = await handle.stat({ bigint: true })
      // It was removed between the two calls.
      if (stats.nlink === 0n && stats.isFile()) {
        await handle.close()
        return undefined
      }
      checkFile(path, stats, owner)
      const compressor = await compressorOfOpen(handle)
      if (compressor !== undefined && compressor.name !== 'gzip') {
        throw new RefusedFileError(
          `${path} is compressed by ${compressor.name}, which is not read; use ${compressor.cat} to unpack it, or let logrotate use gzip`,
        )
      }
      return new LogFile(path, handle, stats, compressor !== undefined)
    } catch (thrown) {
      await handle.close()
      throw thrown
    }
  }

  get name(): string {
    return basename(this.path)
  }

  get position(): number {
    return this.#kept.position
  }

  is({ device, inode }: FileIdentity): boolean {
    return this.device === device && this.inode === inode
  }

  /** Looks at the file again: whether it has shrunk or changed before its position, and whether it was removed. */
  async look(): Promise<{ isCut: boolean; isRemoved: boolean; hasNews: boolean }> {
    const { size, nlink } = await this.handle.stat({ bigint: true })
    const isRemoved = nlink === 0n
    if (this.isPacked) return { isCut: false, isRemoved, hasNews: !this.#isPackRead }
    const isCut = size < this.position || !(await this.#hasSeam(this.#kept))
    return { isCut, isRemoved, hasNews: size > this.position && size !== this.#emptyAt }
  }

  /**
   * The text from the position to the end, chunk by chunk; a chunk is overwritten by the next one. Only whole lines
   * count as read: those up to the last newline of the chunks that were taken.
   */
  async *chunks(): AsyncGenerator<Buffer, void> {
    this.#read = this.#kept
    let at = this.position
    let before = this.#kept.seam
    for await (const chunk of this.isPacked ? this.#packedChunks() : this.#plainChunks()) {
      const end = chunk.lastIndexOf(NEWLINE) + 1
      if (end > 0) {
        const seam = lastOf(before, chunk.subarray(0, end))
        this.#read = { position: at + end, seam }
      }
      before = lastOf(before, chunk)
      at += chunk.length
      yield chunk
    }
    this.#isPackRead = this.isPacked
    this.#emptyAt = BigInt(at)
  }

  /** Where reading goes on once what was read is kept. */
  get readPosition(): number {
    return this.#read.position
  }

  /** Moves the position behind the whole lines that were read. */
  keep(): void {
    this.#kept = this.#read
  }

  /** Gives up what was read since the last {@link keep}: it is read again. */
  giveUp(): void {
    this.#read = this.#kept
    this.#emptyAt = undefined
    this.#isPackRead = false
  }

  /** Moves to where a line begins; false if the text before it is not this one, or not there. */
  async seek(position: number, seam?: Buffer | undefined): Promise<boolean> {
    const found = await this.#before(position, seam?.length ?? Math.min(position, SEAM_BYTES))
    if (found === undefined || (seam !== undefined && !found.equals(seam))) return false
    if (position > 0 && found.at(-1) !== NEWLINE) return false
    this.#kept = { position, seam: found }
    this.giveUp()
    return true
  }

  /** Whether two files have the same text, as far as a few KiB say: that of the shorter one begins the longer one. */
  async beginsAs(other: LogFile): Promise<boolean> {
    const [one, two] = [await this.#head(), await other.#head()]
    const length = Math.min(one.length, two.length)
    if (length === 0) return one.length === two.length
    return one.subarray(0, length).equals(two.subarray(0, length))
  }

  /** The bytes before the position, for {@link seek} in another file. */
  get seam(): Buffer {
    return this.#kept.seam
  }

  close(): Promise<void> {
    return this.handle.close()
  }

  async #hasSeam({ position, seam }: Place): Promise<boolean> {
    return (await this.#before(position, seam.length))?.equals(seam) === true
  }

  /** As many bytes of the text before a position; undefined if it is shorter. */
  async #before(position: number, length: number): Promise<Buffer | undefined> {
    if (length > position) return undefined
    if (this.isPacked) return await this.#unpackedBefore(position, length)
    const buffer = Buffer.alloc(length)
    if (length === 0) return buffer
    const { bytesRead } = await this.handle.read(buffer, 0, length, position - length)
    return bytesRead === length ? buffer : undefined
  }

  async #unpackedBefore(position: number, length: number): Promise<Buffer | undefined> {
    let at = 0
    let before: Buffer = Buffer.alloc(0)
    try {
      for await (const chunk of unpacked(this.path, this.handle)) {
        const rest = chunk.subarray(0, Math.max(0, position - at))
        before = lastOf(before, rest)
        at += rest.length
        if (at === position && rest.length < chunk.length) break
      }
    } catch (thrown) {
      // What cannot be unpacked is reported when it is read.
      if (!(thrown instanceof RefusedFileError)) throw thrown
    }
    return at === position ? before.subarray(before.length - length) : undefined
  }

  /** The first bytes of its text, read once when there are enough of them. */
  async #head(): Promise<Buffer> {
    if (this.#keptHead !== undefined) return this.#keptHead
    const head = this.isPacked ? await this.#packedHead() : await this.#plainHead()
    if (head.length === SEAM_BYTES) this.#keptHead = head
    return head
  }

  async #plainHead(): Promise<Buffer> {
    const { buffer, bytesRead } = await this.handle.read(Buffer.alloc(SEAM_BYTES), { position: 0 })
    return buffer.subarray(0, bytesRead)
  }

  async #packedHead(): Promise<Buffer> {
    let head: Buffer = Buffer.alloc(0)
    try {
      for await (const chunk of unpacked(this.path, this.handle)) {
        head = Buffer.concat([head, chunk.subarray(0, SEAM_BYTES - head.length)])
        if (head.length === SEAM_BYTES) break
      }
    } catch (thrown) {
      // What cannot be unpacked is reported when it is read.
      if (!(thrown instanceof RefusedFileError)) throw thrown
    }
    return head
  }

  async *#plainChunks(): AsyncGenerator<Buffer, void> {
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
    for (let at = this.position; ; ) {
      const { bytesRead } = await this.handle.read(buffer, 0, CHUNK_BYTES, at)
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  async *#packedChunks(): AsyncGenerator<Buffer, void> {
    let skip = this.position
    for await (const chunk of unpacked(this.path, this.handle)) {
      const rest = chunk.subarray(Math.min(skip, chunk.length))
      skip -= chunk.length - rest.length
      if (rest.length > 0) yield rest
    }
  }
}

/**
 * The text of a compressed file, which stays open however the loop is left.
 * @throws RefusedFileError if it is damaged, or not whole
 */
async function* unpacked(path: string, handle: FileHandle): AsyncGenerator<Buffer, void> {
  const source = Readable.from(rawChunks(handle), { objectMode: false })
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES })
  source.on('error', (error) => gunzip.destroy(error))
  try {
    for await (const chunk of source.pipe(gunzip)) if (Buffer.isBuffer(chunk)) yield chunk
  } catch (thrown) {
    if (codeOf(thrown)?.startsWith('Z_') !== true) throw thrown
    throw new RefusedFileError(
      `${path} cannot be unpacked (${textOf(thrown)}); gunzip --test it, and restore it from a copy`,
    )
  } finally {
    source.destroy()
    gunzip.destroy()
  }
}

async function* rawChunks(handle: FileHandle): AsyncGenerator<Buffer, void> {
  for (let at = 0; ; ) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(CHUNK_BYTES), { position: at })
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** The end of two buffers that follow each other, as a copy. */
function lastOf(before: Buffer, after: Buffer): Buffer {
  if (after.length >= SEAM_BYTES) return Buffer.from(after.subarray(-SEAM_BYTES))
  return Buffer.concat([before, after]).subarray(-SEAM_BYTES)
}

async function openPlain(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, FLAGS)
  } catch (thrown) {
    const code = codeOf(thrown)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    if (code === 'ELOOP') {
      throw new RefusedFileError(`${path} is a symbolic link; name the log itself`)
    }
    // A socket, or a device without a driver.
    if (code === 'ENXIO') throw new RefusedFileError(`${path} is no regular file; remove it`)
    throw thrown
  }
}

function checkFile(path: string, stats: BigIntStats, owner: bigint | undefined): void {
  if (!stats.isFile()) {
    const kind = stats.isFIFO() ? 'a FIFO' : stats.isDirectory() ? 'a folder' : 'a device'
    throw new RefusedFileError(`${path} is ${kind}, and no regular file; remove it`)
  }
  if (stats.nlink > 1n) {
    throw new RefusedFileError(
      `${path} has ${stats.nlink} names (hard links), so another name leads into it; remove the others: find / -xdev -inum ${stats.ino}`,
    )
  }
  if (owner !== undefined && stats.uid !== owner) {
    throw new RefusedFileError(
      `${path} belongs to the user ${stats.uid}, and the log's first file to ${owner}; chown it, if it is the log`,
    )
  }
}
