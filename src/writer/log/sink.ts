import {
  type BigIntStats,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  readlinkSync,
  readSync,
} from 'node:fs'
import { constants } from 'node:os'
import { basename } from 'node:path'
import { performance } from 'node:perf_hooks'
import { COUNT_OPENS, COUNT_ROTATIONS, COUNT_SYNCS, FILE_END } from '../ring/counters'
import { type Failure, REASON_UNLINKED } from '../ring/failure-word'
import {
  type CountersView,
  type JournalView,
  OPEN_DESCRIPTOR,
  OPEN_PROBE,
  type SharedMemory,
} from '../ring/memory-map'
import type { LogFileOptions, Notice } from '../ring/messages'
import { AppendStream } from './append-stream'
import { at, attempt, Refusal } from './attempt'
import { type FilePlace, GroupJournal } from './group-journal'
import { closeNoted, isOf, isOther, notedDescriptors, OpenDescriptors } from './open-descriptors'
import { LogFileOpener, type OpenedLog, VANISHED_ATTEMPTS_MAX } from './open-log'
import { TailRepair } from './tail-repair'

const { errno } = constants

/** The lines of one group, and which it is. */
export interface GroupLines {
  /** Ring positions. */
  readonly start: number
  readonly end: number
  /** Whole lines, in order. */
  readonly bytes: Buffer
}

/** The errors of a file system that must be repaired, or is gone. */
const BROKEN_DISK = new Set<number>([
  errno.EIO,
  errno.ENODEV,
  errno.ENOTCONN,
  errno.ENXIO,
  errno.EROFS,
  errno.ESTALE,
])
/** No file has this size: the tail of a file that was just opened is always checked. */
const UNKNOWN_END = -1n

/** The sink's reports. */
export interface SinkEvents {
  /** A sync has returned, after `ms` milliseconds. */
  onSync(ms: number): void
  onNotice(notice: Notice): void
}

interface OpenFile extends Omit<OpenedLog, 'size'> {
  readonly stream: AppendStream
  /** Where our last line ends. The file ends elsewhere if others append to it or truncate it. */
  end: bigint
}

/**
 * The file at the path. With open-log.ts, which opens it, tail-repair.ts, which repairs its end, and the
 * files that those two need, it is the only part of the writer that touches the file system.
 *
 * A group is appended and synced in one attempt. After any error the descriptor is closed and never
 * used again: a second fdatasync of it could return 0 for bytes that the kernel has already given up.
 */
export class Sink {
  readonly #options: LogFileOptions
  readonly #counters: CountersView
  readonly #journalView: JournalView
  readonly #journal: GroupJournal
  readonly #events: SinkEvents
  readonly #opener: LogFileOpener
  readonly #tail: TailRepair
  readonly #descriptors: OpenDescriptors
  #file: OpenFile | undefined
  /** Whether this thread made the journal's note, or has adopted it. */
  #isNoteOwn = false

  constructor(
    options: LogFileOptions,
    memory: Pick<SharedMemory, 'counters' | 'journal'>,
    events: SinkEvents,
    descriptors = OpenDescriptors.unshared(),
  ) {
    this.#options = options
    this.#descriptors = descriptors
    this.#counters = memory.counters
    this.#journalView = memory.journal
    this.#journal = new GroupJournal(memory.journal)
    this.#events = events
    this.#opener = new LogFileOpener(options, descriptors, events.onNotice)
    this.#tail = new TailRepair(memory.counters, this.#journal, events.onNotice)
  }

  /**
   * Appends a group at the path and syncs it, once. If this returns undefined, every line is in a file
   * that was still linked after the sync. A failure leaves nothing behind but perhaps bytes in the file;
   * another call with that group completes or rewrites it, see group-journal.ts.
   */
  append(group: GroupLines): Failure | undefined {
    return this.#attempt(() => {
      for (let attempt = 0; attempt < VANISHED_ATTEMPTS_MAX; attempt++) {
        if (!this.#appendOnce(group)) continue
        // The sync has succeeded: if this fails, the file holds the whole group for another try.
        if (at('open', () => this.#isLinked())) return
        // Deleted under us: the synced lines are gone, so the group goes to a fresh file.
        this.#count(COUNT_ROTATIONS)
        this.#discard({ keepNote: false })
      }
      throw new Refusal(REASON_UNLINKED)
    })
  }

  /** Closes the file and opens the path afresh, creating it if it is missing. */
  reopen(): Failure | undefined {
    return this.#attempt(() => {
      this.#discard({ keepNote: false })
      const { file, size } = this.#open()
      const { offset, guard } = this.#tail.repair(file.fd, size)
      if (guard === '') file.end = offset
    })
  }

  /**
   * Called when this thread becomes the drainer. Returns the end of the group that another one had begun
   * at the durable position, if there is one.
   */
  takeOver(durable: number): number | undefined {
    this.#isNoteOwn = false
    return this.#journal.unfinishedEnd(durable)
  }

  /** Forgets the group that was appended or given up. Called once its outcome is published. */
  endGroup(): void {
    const note = this.#journal.place()
    if (note === undefined) return
    const numbers = this.#foreignDescriptors(note)
    this.#journal.clear()
    closeNoted(this.#journalView, numbers)
  }

  /**
   * Closes the file; the next append opens it again. May be called while another thread drains: the
   * journal's note is then that thread's, and is left alone.
   */
  close(): void {
    this.#discard({ keepNote: true })
  }

  #attempt(action: () => void): Failure | undefined {
    const failure = attempt(action)
    if (failure === undefined) return undefined
    // After a failed sync, or on a broken disk, the file's content proves nothing, and the note's probe
    // would keep that disk from being unmounted. After a failed write a part of the group may be there.
    this.#discard({ keepNote: failure.stage !== 'sync' && !BROKEN_DISK.has(failure.reason) })
    return failure
  }

  /** Returns false if another process has written into the middle of the group. */
  #appendOnce(group: GroupLines): boolean {
    const noted = this.#journal.place()
    const { file, place, present, guard } = at('open', () => this.#place(group, noted))
    const numbers = noted === undefined ? [] : at('open', () => this.#foreignDescriptors(noted))
    if (present > 0) this.#journal.adopt(place)
    else this.#journal.begin(group.start, group.end, place)
    this.#isNoteOwn = true
    closeNoted(this.#journalView, numbers)
    const { bytes } = group
    const isWhole = at('write', () => {
      const isInOneWrite =
        present === bytes.length || file.stream.append(guarded(bytes.subarray(present), guard))
      // Another process may have appended between two parts of the group, and cut a line in two.
      return (present === 0 && isInOneWrite) || this.#isInFile(file, place.offset, bytes)
    })
    if (!isWhole) {
      this.endGroup()
      return false
    }
    file.end = place.offset + BigInt(bytes.length)
    Atomics.store(this.#counters.counts, FILE_END, file.end)
    at('sync', () => this.#sync(file))
    return true
  }

  /** The file at the path, where the group starts in it, and how much of it is there already. */
  #place(
    group: GroupLines,
    noted: FilePlace | undefined,
  ): { file: OpenFile; place: FilePlace; present: number; guard: string } {
    const { file, size } = this.#current() ?? this.#open()
    const { fd, probe, device, inode } = file
    if (noted !== undefined && this.#journal.isAbout(group.start, group.end)) {
      const present = this.#presentBytes(file, size, noted, group.bytes)
      if (present > 0) return { file, place: { ...noted, fd, probe }, present, guard: '' }
    }
    // If the file ends as we left it, there is nothing to check.
    const { offset, guard } =
      size === file.end ? { offset: size, guard: '' } : this.#tail.repair(fd, size)
    return { file, place: { fd, probe, device, inode, offset }, present: 0, guard }
  }

  /** The open file and its size, if it is still the one at the path; closes it if it is not. */
  #current(): { file: OpenFile; size: bigint } | undefined {
    const file = this.#file
    if (file === undefined) return undefined
    // Something in this process may have closed it by mistake: then the number may be another file's.
    const isLost = isOther(file.fd, file)
    const stats = statsOf(this.#options.path)
    const isAtPath = stats?.ino === file.inode && stats.dev === file.device
    if (isAtPath && !isLost) return { file, size: stats.size }
    if (!isAtPath) this.#count(COUNT_ROTATIONS)
    this.#discard({ keepNote: true })
    return undefined
  }

  /**
   * How many leading bytes of the group the file certainly holds from where it was begun; 0 if other
   * bytes follow, or if the probe reports an error since.
   */
  #presentBytes(file: OpenFile, size: bigint, noted: FilePlace, bytes: Buffer): number {
    if (noted.device !== file.device || noted.inode !== file.inode) return 0
    const length = Number(size - noted.offset)
    if (length <= 0 || length > bytes.length) return 0
    if (!this.#isProbeClean(noted)) return 0
    return this.#isInFile(file, noted.offset, bytes.subarray(0, length)) ? length : 0
  }

  #isInFile({ fd }: OpenFile, offset: bigint, bytes: Buffer): boolean {
    const found = Buffer.allocUnsafe(bytes.length)
    return readSync(fd, found, 0, bytes.length, offset) === bytes.length && found.equals(bytes)
  }

  #isProbeClean(noted: FilePlace): boolean {
    if (this.#options.syncMethod === 'none') return true
    const probe = this.#journal.takeProbe()
    const isClean = probe !== undefined && this.#isStillOpen(probe, noted) && canSync(probe)
    if (!isClean) this.#journal.markTailAtRisk()
    this.#journal.recordProbe(isClean)
    return isClean
  }

  #open(): { file: OpenFile; size: bigint } {
    const { size, ...opened } = this.#opener.open()
    this.#file = { ...opened, stream: new AppendStream(opened.fd), end: UNKNOWN_END }
    this.#count(COUNT_OPENS)
    return { file: this.#file, size }
  }

  #sync({ fd }: OpenFile): void {
    const { syncMethod } = this.#options
    if (syncMethod === 'none') return
    this.#journal.markTailAtRisk()
    const start = performance.now()
    if (syncMethod === 'fsync') fsyncSync(fd)
    else fdatasyncSync(fd)
    this.#journal.markTailSafe()
    this.#events.onSync(performance.now() - start)
    this.#count(COUNT_SYNCS)
  }

  /**
   * Whether the open file is still linked, at the path or elsewhere after a rename. The count of links
   * does not prove it: NFS and FUSE do not delete an open file, they hide it under a name of their own.
   */
  #isLinked(): boolean {
    const file = this.#file
    if (file === undefined) return false
    const stats = statsOf(this.#options.path)
    if (stats?.ino === file.inode && stats.dev === file.device) return true
    return !isHidden(file.fd, this.#options.path) && fstatSync(file.fd).nlink > 0
  }

  /**
   * Closes the file for good. The stream is dropped, with whatever it has not written. With
   * `keepNote` the journal's note stays, and with it the probe that it names.
   */
  #discard({ keepNote }: { readonly keepNote: boolean }): void {
    if (!keepNote) this.endGroup()
    const file = this.#file
    if (file === undefined) return
    this.#file = undefined
    const isNoted = this.#journal.place()?.probe === file.probe
    if (isNoted) {
      this.#journal.dropDescriptor()
      this.#descriptors.forget(OPEN_PROBE)
    } else {
      this.#descriptors.close(OPEN_PROBE, file)
    }
    this.#descriptors.close(OPEN_DESCRIPTOR, file)
  }

  /** The descriptors of a note that are not those of the open file: their drainer is dead. */
  #foreignDescriptors(noted: FilePlace): readonly number[] {
    const isForeign = noted.probe !== this.#file?.probe
    return isForeign && this.#areNumbersKept ? notedDescriptors(noted) : []
  }

  /** Whether the numbers in the note are still those of the descriptors that they were made for. */
  get #areNumbersKept(): boolean {
    return this.#isNoteOwn || this.#options.descriptorsOutlive
  }

  #isStillOpen(probe: number, noted: FilePlace): boolean {
    return this.#areNumbersKept && isOf(probe, noted)
  }

  #count(counter: number): void {
    Atomics.add(this.#counters.counts, counter, 1n)
  }
}

/** The entry at the path itself: a link in the log's place is not followed. */
function statsOf(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })
}

/** The bytes behind a guard, so that both are one write. */
function guarded(bytes: Buffer, guard: string): Buffer {
  return guard === '' ? bytes : Buffer.concat([Buffer.from(guard), bytes])
}

/** Whether the open file has a dotted name, like a deleted one, though the log has none. */
function isHidden(fd: number, path: string): boolean {
  try {
    const name = basename(readlinkSync(`/proc/self/fd/${fd}`))
    return name.startsWith('.') && !basename(path).startsWith('.')
  } catch {
    // Without /proc it cannot be known.
    return false
  }
}

function canSync(fd: number): boolean {
  try {
    fdatasyncSync(fd)
    return true
  } catch {
    return false
  }
}
