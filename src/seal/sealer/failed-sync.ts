import { constants } from 'node:fs'
import { type FileHandle, open, statfs } from 'node:fs/promises'
import { codeOf } from '../../base/describe'
import type { LogFile } from '../../follow/log-file'
import { FAILED_SYNC_FILE } from '../seal-files'
import { readBootId } from './boot-id'
import type { SealFolder } from './seal-folder'

/** The numbers by which statfs(2) knows file systems whose direct reads never come from the page cache. */
const EXT4 = 0xef53
const XFS = 0x58465342
/** Direct reads begin and end at these, in the file and in memory: no disk has larger blocks. */
const BLOCK = 4_096
const ALIGNMENT_STEP = 8
const CHUNK_BYTES = 256 * 1024

/**
 * Whether a sync of the log has failed. Linux reports a page that it could not write once, and counts it as written
 * from then on: the next sync succeeds, and readers see bytes that a power cut takes. So after a failure, until the
 * machine is started again, each line is read past the page cache before it is signed. A file in the seal's folder
 * keeps that over a sealer's restart.
 */
export class FailedSync {
  readonly #folder: SealFolder
  /** This start of the machine. */
  readonly boot: string
  #isKnown: boolean
  #isKept: boolean

  private constructor(folder: SealFolder, boot: string, isKnown: boolean) {
    this.#folder = folder
    this.boot = boot
    this.#isKnown = isKnown
    this.#isKept = isKnown
  }

  static async load(folder: SealFolder): Promise<FailedSync> {
    const boot = await readBootId()
    const kept = await folder.read(FAILED_SYNC_FILE)
    return new FailedSync(folder, boot, kept?.toString().trim() === boot)
  }

  /**
   * Syncs a part of the log, and reads it back if a sync has failed before.
   * @param from in bytes of the file's text
   * @param to as `from`; what is compressed is read whole
   * @throws what the sync throws; an Error that says what to do if the part is not known to be on the disk
   */
  async sync(file: LogFile, from: number, to: number): Promise<void> {
    try {
      await file.handle.datasync()
    } catch (thrown) {
      this.#isKnown = true
      await this.#keep()
      throw thrown
    }
    if (!this.#isKnown) return
    await this.#keep()
    await this.#check(file, from, to)
  }

  async #keep(): Promise<void> {
    if (this.#isKept) return
    await this.#folder.replace(FAILED_SYNC_FILE, Buffer.from(`${this.boot}\n`))
    this.#isKept = true
  }

  async #check(file: LogFile, from: number, to: number): Promise<void> {
    const { handle, path, isPacked } = file
    const disk = await openPastCache(handle)
    if (disk === undefined) {
      throw new Error(
        `a sync of ${path} has failed, and its file system cannot tell what is on the disk; restart the machine, or ` +
          `stop the sealer, unmount the volume, mount it again and remove ${this.#folder.file(FAILED_SYNC_FILE)}`,
      )
    }
    try {
      const end = isPacked ? (await handle.stat()).size : to
      const lost = await firstDifference(handle, disk, isPacked ? 0 : from, end)
      if (lost === undefined) return
      throw new Error(
        `${path} has bytes from ${lost} on in memory alone, since a sync has failed; copy it while the machine runs, ` +
          'look at the disk, and restart the machine',
      )
    } finally {
      await disk.close()
    }
  }
}

/** The same file once more, read from the disk itself; undefined if that is not to be had. */
async function openPastCache({ fd }: FileHandle): Promise<FileHandle | undefined> {
  const same = `/proc/self/fd/${fd}`
  if (constants.O_DIRECT === undefined) return undefined
  const { type } = await statfs(same)
  if (type !== EXT4 && type !== XFS) return undefined
  return await open(same, constants.O_RDONLY | constants.O_DIRECT)
}

/** The block where two readings of a part of a file differ first; undefined if they are equal. */
async function firstDifference(
  cached: FileHandle,
  disk: FileHandle,
  from: number,
  to: number,
): Promise<number | undefined> {
  const onDisk = await alignedFor(disk)
  const expected = Buffer.alloc(CHUNK_BYTES)
  for (let start = from - (from % BLOCK); start < to; start += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, to - start)
    await cached.read(expected, 0, length, start)
    await disk.read(onDisk, 0, CHUNK_BYTES, start)
    for (let at = 0; at < length; at += BLOCK) {
      const end = Math.min(at + BLOCK, length)
      if (!onDisk.subarray(at, end).equals(expected.subarray(at, end))) return start + at
    }
  }
  return undefined
}

/** A buffer where the disk takes it, found by trying: Node.js does not say where a buffer is in memory. */
async function alignedFor(disk: FileHandle): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES + BLOCK)
  for (let at = 0; ; at += ALIGNMENT_STEP) {
    const aligned = buffer.subarray(at, at + CHUNK_BYTES)
    try {
      await disk.read(aligned, 0, BLOCK, 0)
      return aligned
    } catch (thrown) {
      if (codeOf(thrown) !== 'EINVAL' || at + ALIGNMENT_STEP >= BLOCK) throw thrown
    }
  }
}
