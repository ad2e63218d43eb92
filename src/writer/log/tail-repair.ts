import { fstatSync, readSync, writeSync } from 'node:fs'
import { NEWLINE } from '../../base/bytes'
import { COUNT_TORN_TAILS } from '../ring/counters'
import type { CountersView } from '../ring/memory-map'
import type { Notice } from '../ring/messages'
import { sleep } from '../ring/wake-up'
import { at } from './attempt'
import type { GroupJournal } from './group-journal'

/*
 * The repair of the file's end, before a group is appended to a file that does not end as we left it:
 *
 *   the file ends with ...                              | is written                 | reported
 *   ----------------------------------------------------+----------------------------+---------
 *   a fragment that does not grow: a torn tail          | a newline                  | yes
 *   a fragment to which another process goes on adding  | a newline, with the group  | yes
 *   a newline that a failed sync may yet lose           | another newline            | no
 *   a newline, or nothing at all                        | nothing                    | no
 *
 * Nothing is ever removed. A group waits once, for a second, for a process that goes on adding without
 * newlines; while that does not stop, each later group waits for a moment only. Its bytes may come between
 * the repair and the group, so that newline is written together with the group.
 */

/** How long a tail must not grow to count as torn: another process may be in its `write`. */
const SETTLE_MS = 20
/** How long to wait in all for a tail to which another process adds. */
const SETTLE_MS_MAX = 1_000
/** The smallest unit that a disk loses or keeps as a whole. */
const SECTOR_BYTES = 512n
/** How much to read at once in the search for the start of a fragment. */
const SCAN_BYTES = 64 * 1024
/** How far back to search for the start of a fragment. */
const SCAN_BYTES_MAX = 1024 * 1024
const NOTHING = Buffer.alloc(0)

/** Where the next group starts, and what must be written in front of it, in one write with it. */
export interface RepairedTail {
  readonly offset: bigint
  readonly guard: '' | '\n'
}

/** Makes sure that the next line starts on a line of its own. */
export class TailRepair {
  readonly #counters: CountersView
  readonly #journal: GroupJournal
  readonly #onNotice: (notice: Notice) => void
  /** Whether another process was still adding at the end of the last wait. */
  #isGrowing = false

  constructor(counters: CountersView, journal: GroupJournal, onNotice: (notice: Notice) => void) {
    this.#counters = counters
    this.#journal = journal
    this.#onNotice = onNotice
  }

  /** Repairs the end of a file of `size` bytes. */
  repair(fd: number, size: bigint): RepairedTail {
    const settledSize = this.#settledSize(fd, size)
    if (isWhole(fd, settledSize)) {
      this.#isGrowing = false
      const isAtRisk = this.#isAtRisk(settledSize)
      return { offset: isAtRisk ? this.#addNewline(fd, settledSize) : settledSize, guard: '' }
    }
    const { bytes, mayBeLonger } = fragmentBytes(fd, settledSize)
    const offset = this.#isGrowing ? settledSize + 1n : this.#addNewline(fd, settledSize)
    Atomics.add(this.#counters.counts, COUNT_TORN_TAILS, 1n)
    this.#onNotice({ kind: 'torn-tail', offset: Number(settledSize) - bytes, bytes, mayBeLonger })
    return { offset, guard: this.#isGrowing ? '\n' : '' }
  }

  /** The size once the file ends with a newline, or with a fragment after its wait. */
  #settledSize(fd: number, openedSize: bigint): bigint {
    let size = openedSize
    let slices = this.#isGrowing ? 1 : SETTLE_MS_MAX / SETTLE_MS
    while (!isWhole(fd, size)) {
      sleep(SETTLE_MS)
      // On a busy machine a write may stall for longer. The kernel lets one write at a time into a file,
      // so an empty one returns when the other is over.
      writeSync(fd, NOTHING)
      const settled = fstatSync(fd, { bigint: true }).size
      this.#isGrowing = settled !== size
      size = settled
      if (!this.#isGrowing || --slices <= 0) break
    }
    return size
  }

  /**
   * Whether the disk may lose the newline that can be read back. After a failed sync, a newline at the
   * end of a sector may be lost with the sector, and the next line would continue the line before it.
   * Within a sector, the next append takes the rest of the sector to the disk again.
   */
  #isAtRisk(size: bigint): boolean {
    return this.#journal.isTailAtRisk && size % SECTOR_BYTES === 0n && size > 0n
  }

  #addNewline(fd: number, size: bigint): bigint {
    at('write', () => writeSync(fd, '\n'))
    return size + 1n
  }
}

function isWhole(fd: number, size: bigint): boolean {
  return size === 0n || endsWithNewline(fd, size)
}

/** Whether a file of `size` bytes ends with a newline. */
export function endsWithNewline(fd: number, size: bigint): boolean {
  const byte = Buffer.allocUnsafe(1)
  return readSync(fd, byte, 0, 1, size - 1n) === 1 && byte[0] === NEWLINE
}

/**
 * Length of the fragment after the last newline in a file of `size` bytes; it may be longer than `bytes`,
 * which end at a mebibyte.
 */
export function fragmentBytes(fd: number, size: bigint): { bytes: number; mayBeLonger: boolean } {
  const end = Number(size)
  const first = Math.max(0, end - SCAN_BYTES_MAX)
  const chunk = Buffer.allocUnsafe(Math.min(end, SCAN_BYTES))
  for (let to = end; to > first; ) {
    const from = Math.max(first, to - chunk.length)
    const read = readSync(fd, chunk, 0, to - from, from)
    const newline = chunk.subarray(0, read).lastIndexOf(NEWLINE)
    if (newline >= 0) return { bytes: end - (from + newline + 1), mayBeLonger: false }
    to = from
  }
  return { bytes: end - first, mayBeLonger: first > 0 }
}
