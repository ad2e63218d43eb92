import { fstatSync, readSync, writeSync } from 'node:fs'
import { COUNT_TORN_TAILS } from '../ring/counters'
import type { CountersView } from '../ring/memory-map'
import type { Notice } from '../ring/messages'
import { sleep } from '../ring/wake-up'
import { at } from './attempt'
import type { GroupJournal } from './group-journal'

/*
 * The repair of the file's end, before a group is appended where the file does not end as we left it:
 *
 *   the file ends with ...                              | is written      | told of
 *   ----------------------------------------------------+-----------------+---------
 *   a fragment that stays the same: a torn tail         | a newline       | yes
 *   a newline that a failed sync may yet lose           | another newline | no
 *   a newline, or nothing at all                        | nothing         | no
 *
 * Nothing is ever taken away.
 */

/** How long a tail must stay the same to count as torn: another process may be in its `write`. */
const SETTLE_MS = 20
/** What a disk loses or keeps as one, at the least. */
const SECTOR_BYTES = 512n
/** How much is read at once where the start of a fragment is looked for. */
const SCAN_BYTES = 64 * 1024
const NEWLINE = 0x0a
const NOTHING = Buffer.alloc(0)

/** Sees to it that the next line starts on a line of its own. */
export class TailRepair {
  readonly #counters: CountersView
  readonly #journal: GroupJournal
  readonly #onNotice: (notice: Notice) => void

  constructor(counters: CountersView, journal: GroupJournal, onNotice: (notice: Notice) => void) {
    this.#counters = counters
    this.#journal = journal
    this.#onNotice = onNotice
  }

  /** Repairs the end of a file of `size` bytes; returns its size after that. */
  repair(fd: number, size: bigint): bigint {
    const settledSize = this.#settledSize(fd, size)
    if (isWhole(fd, settledSize)) {
      return this.#isAtRisk(settledSize) ? this.#addNewline(fd, settledSize) : settledSize
    }
    const bytes = fragmentBytes(fd, settledSize)
    const repairedSize = this.#addNewline(fd, settledSize)
    Atomics.add(this.#counters.counts, COUNT_TORN_TAILS, 1n)
    this.#onNotice({ kind: 'torn-tail', offset: Number(settledSize) - bytes, bytes })
    return repairedSize
  }

  /** The size once the file ends with a newline, or with a fragment to which nobody adds. */
  #settledSize(fd: number, openedSize: bigint): bigint {
    let size = openedSize
    while (!isWhole(fd, size)) {
      sleep(SETTLE_MS)
      // On a busy machine a write may stand still for longer. The kernel lets one write at a time into
      // a file: one of nothing returns when the other is over.
      writeSync(fd, NOTHING)
      const settled = fstatSync(fd, { bigint: true }).size
      if (settled === size) break
      size = settled
    }
    return size
  }

  /**
   * Whether the disk may lose the newline that can be read back. After a failed sync, the one at the
   * end of a sector may be lost with it, and the next line would follow upon what was before. Within a
   * sector, what is appended takes the rest of it to the disk again.
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

/** Length of what follows the last newline in a file of `size` bytes. */
export function fragmentBytes(fd: number, size: bigint): number {
  const end = Number(size)
  const chunk = Buffer.allocUnsafe(Math.min(end, SCAN_BYTES))
  for (let to = end; to > 0; ) {
    const from = Math.max(0, to - chunk.length)
    const read = readSync(fd, chunk, 0, to - from, from)
    const newline = chunk.subarray(0, read).lastIndexOf(NEWLINE)
    if (newline >= 0) return end - (from + newline + 1)
    to = from
  }
  return end
}
