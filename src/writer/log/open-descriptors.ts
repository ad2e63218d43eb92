import { closeSync, fstatSync, openSync } from 'node:fs'
import { codeOf } from '../../base/describe'
import {
  DESCRIPTOR_WORDS,
  DURABLE,
  type JournalView,
  NO_DESCRIPTOR,
  OPEN_DEVICE,
  OPEN_FOLDER,
  OPEN_INODE,
  type SharedMemory,
} from '../ring/memory-map'
import { type FilePlace, GroupJournal } from './group-journal'

/*
 * The descriptors that the worker has open. If the calling thread is the main one, they outlive the
 * worker, for the sake of the journal's error probe; so they are noted in shared memory for its successor.
 * A number is taken out of the note before it is closed, because afterwards it may be another file's. For
 * that reason the successor also compares device and inode before it closes or trusts a number. Below
 * another thread Node closes a worker's open descriptors, and the numbers are forgotten unread.
 *
 * The journal names descriptors too, those of the group that is being written. So who closes one?
 *
 *   it stands in         | because the worker ...                | it is closed by
 *   ---------------------+---------------------------------------+----------------------------------------
 *   OPEN_* alone         | has the file open, between two groups | `discard` of its sink
 *   OPEN_* and JOURNAL_* | is in the middle of a group           | `discard`, once the group is over
 *   JOURNAL_* alone      | has left the file, as one that failed | the sink that takes up that group,
 *                        | in the middle of a group, or has died | or gives it up
 *
 * `discard` in the middle of a group closes the descriptor of the writes alone, and so turns the second
 * row's probe into the third row's. After the worker's death `closeLeftovers` does so with both, and
 * closes what belongs to no group, or to one that has its outcome already. It is called before the next
 * worker opens anything, and when there is none any more; if the calling thread drains before that, its
 * sink finds the dead worker's in both, and takes them out of both. The calling thread keeps
 * its own OPEN_* to itself, since nobody outlives it, and is in the journal as the worker is.
 */

/** The word of the note that holds a descriptor. */
export type DescriptorWord = (typeof DESCRIPTOR_WORDS)[number]

/** The file that a descriptor is meant to refer to. */
export type FileIdentity = Pick<FilePlace, 'device' | 'inode'>

/** The note. The worker's sink keeps it in shared memory; a sink on the calling thread need not. */
export class OpenDescriptors {
  readonly #words: Int32Array
  readonly #place: BigInt64Array

  constructor({ words, place }: JournalView) {
    this.#words = words
    this.#place = place
  }

  /** A note that nobody else reads. */
  static unshared(): OpenDescriptors {
    const words = new Int32Array(Math.max(...DESCRIPTOR_WORDS) + 1).fill(NO_DESCRIPTOR)
    return new OpenDescriptors({ words, place: new BigInt64Array(OPEN_INODE + 1) })
  }

  /** Opens a file and notes its descriptor. */
  open(word: DescriptorWord, path: string, flags: number, mode?: number): number {
    // In one expression: a thread can be ended at each call of a function, and a descriptor that is open
    // but not noted then stays open for ever.
    return Atomics.store(this.#words, word, openSync(path, flags, mode))
  }

  /** Notes which file the open descriptors are of. */
  identify({ device, inode }: FileIdentity): void {
    this.#place[OPEN_DEVICE] = BigInt.asIntN(64, device)
    this.#place[OPEN_INODE] = BigInt.asIntN(64, inode)
  }

  /** Notes that the next file is not known yet. */
  forgetIdentity(): void {
    this.identify({ device: 0n, inode: 0n })
  }

  /** Which file the open descriptors are of; undefined if that is not known. */
  get identity(): FileIdentity | undefined {
    const device = BigInt.asUintN(64, this.#place[OPEN_DEVICE] ?? 0n)
    const inode = BigInt.asUintN(64, this.#place[OPEN_INODE] ?? 0n)
    return inode === 0n ? undefined : { device, inode }
  }

  /** Takes the descriptor out of the note; it stays open. Returns {@link NO_DESCRIPTOR} for none. */
  forget(word: DescriptorWord): number {
    return Atomics.exchange(this.#words, word, NO_DESCRIPTOR)
  }

  /**
   * Closes the descriptor, if there is one. With an `identity` it is let alone if it certainly belongs to another
   * file: somebody has closed ours by mistake, and has got its number.
   */
  close(word: DescriptorWord, identity?: FileIdentity): void {
    const fd = Atomics.load(this.#words, word)
    if (fd === NO_DESCRIPTOR) return
    // Checked first, because the thread may be ended between forgetting a number and closing it.
    const isForeign = identity !== undefined && isOther(fd, identity)
    this.forget(word)
    if (!isForeign) closeQuietly(fd)
  }
}

/**
 * Closes what a dead worker left open. The descriptors of an unfinished group in the journal stay open for
 * the drainer that takes the group up. Only the holder of the DRAINER word calls this, so that a number is
 * closed once.
 * @param descriptorsOutlive whether the numbers are still the worker's, see LogFileOptions
 */
export function closeLeftovers(
  { journal: view, ring }: Pick<SharedMemory, 'journal' | 'ring'>,
  descriptorsOutlive: boolean,
): void {
  const journal = new GroupJournal(view)
  const descriptors = new OpenDescriptors(view)
  if (!descriptorsOutlive) {
    journal.dropDescriptors()
    for (const word of DESCRIPTOR_WORDS) descriptors.forget(word)
  }
  const noted = journal.place()
  const durable = Atomics.load(ring.words, DURABLE)
  const isUnfinished = journal.unfinishedEnd(durable) !== undefined
  if (noted !== undefined && !isUnfinished) {
    // The worker died between publishing the group's outcome and forgetting the group.
    const numbers = notedDescriptors(noted)
    journal.clear()
    closeNoted(view, numbers)
  }
  const { identity } = descriptors
  for (const word of DESCRIPTOR_WORDS) {
    const fd = Atomics.load(view.words, word)
    if (fd === NO_DESCRIPTOR) continue
    const isKept = noted !== undefined && [noted.fd, noted.probe].includes(fd)
    const isForeign = word === OPEN_FOLDER ? isNoFolder(fd) : isOther(fd, identity)
    // Checked first, because this thread too may be ended between forgetting a number and closing it.
    if (isKept || isForeign) descriptors.forget(word)
    else descriptors.close(word)
  }
}

/**
 * The descriptors that a note of the journal names, as far as they are still of its file. Call it before
 * the note is forgotten, because the calling thread may be ended meanwhile.
 */
export function notedDescriptors(noted: FilePlace): number[] {
  const numbers = [noted.fd, noted.probe]
  return numbers.filter((fd) => fd !== NO_DESCRIPTOR && !isOther(fd, noted))
}

/** Takes descriptors of a dead drainer out of the note of open ones, and closes them. */
export function closeNoted({ words }: JournalView, numbers: readonly number[]): void {
  for (const fd of numbers) {
    for (const word of DESCRIPTOR_WORDS) Atomics.compareExchange(words, word, fd, NO_DESCRIPTOR)
    closeQuietly(fd)
  }
}

/** Whether the number is certainly a descriptor of that file. */
export function isOf(fd: number, { device, inode }: FileIdentity): boolean {
  try {
    const stats = fstatSync(fd, { bigint: true })
    return stats.dev === device && stats.ino === inode
  } catch {
    return false
  }
}

/** Whether the number is certainly no descriptor of that file or, if the file is unknown, of any file. */
export function isOther(fd: number, identity: FileIdentity | undefined): boolean {
  try {
    const stats = fstatSync(fd, { bigint: true })
    if (identity === undefined) return !stats.isFile()
    return stats.dev !== identity.device || stats.ino !== identity.inode
  } catch (thrown) {
    // A broken disk does not make the number another file's.
    return codeOf(thrown) === 'EBADF'
  }
}

function isNoFolder(fd: number): boolean {
  try {
    return !fstatSync(fd).isDirectory()
  } catch (thrown) {
    return codeOf(thrown) === 'EBADF'
  }
}

/** Closes a descriptor for good. No promise depends on the close, so its error does not matter. */
function closeQuietly(fd: number): void {
  try {
    closeSync(fd)
  } catch {
    // It is gone either way.
  }
}
