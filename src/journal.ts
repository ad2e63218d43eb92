import {
  DURABLE,
  JOURNAL_DEVICE,
  JOURNAL_END,
  JOURNAL_INODE,
  JOURNAL_OFFSET,
  JOURNAL_START,
  JOURNAL_STATE,
  positionDelta,
  type RingMemory,
} from './layout'

/*
 * The group journal: what a drainer was about to append, and where, noted in shared memory before
 * the write. A drainer that takes over from a dead one, or tries again after a failed write, compares
 * the file with its own bytes from that offset on and appends only what is missing; so a line is
 * neither lost nor written twice. The note is void after a failed sync: then the bytes in the file
 * prove nothing (they may be in the page cache alone), and the whole group is written again.
 *
 *   state  | the group at [start, end) ...
 *   -------+--------------------------------------------------------------
 *   VOID   | has not been begun, or must be written again from its start
 *   BEGUN  | may be in the file from `offset` on: nothing, a part or all
 */
const VOID = 0
const BEGUN = 1

/** Which file, and where in it. */
export interface FilePlace {
  readonly device: bigint
  readonly inode: bigint
  /** Bytes from the file's start. */
  readonly offset: bigint
}

/** The note about the group that is being written. Held by the drainer. */
export class GroupJournal {
  readonly #control: Int32Array
  readonly #counters: BigInt64Array

  constructor(memory: RingMemory) {
    this.#control = memory.control
    this.#counters = memory.counters
  }

  /** Notes that the group of the positions [start, end) is about to be appended at `place`. */
  begin(start: number, end: number, place: FilePlace): void {
    Atomics.store(this.#control, JOURNAL_STATE, VOID)
    this.#counters[JOURNAL_DEVICE] = BigInt.asIntN(64, place.device)
    this.#counters[JOURNAL_INODE] = BigInt.asIntN(64, place.inode)
    this.#counters[JOURNAL_OFFSET] = place.offset
    Atomics.store(this.#control, JOURNAL_START, start)
    Atomics.store(this.#control, JOURNAL_END, end)
    Atomics.store(this.#control, JOURNAL_STATE, BEGUN)
  }

  /** Forgets the note. */
  clear(): void {
    Atomics.store(this.#control, JOURNAL_STATE, VOID)
  }

  /** End of the group that was begun at the durable position and is not published, if there is one. */
  unfinishedEnd(): number | undefined {
    if (Atomics.load(this.#control, JOURNAL_STATE) !== BEGUN) return undefined
    const durable = Atomics.load(this.#control, DURABLE)
    const end = Atomics.load(this.#control, JOURNAL_END)
    const isUnfinished =
      Atomics.load(this.#control, JOURNAL_START) === durable && positionDelta(end, durable) > 0
    return isUnfinished ? end : undefined
  }

  /** Where the begun group starts in the file, if there is a note. */
  place(): FilePlace | undefined {
    if (Atomics.load(this.#control, JOURNAL_STATE) !== BEGUN) return undefined
    return {
      device: BigInt.asUintN(64, this.#counters[JOURNAL_DEVICE] ?? 0n),
      inode: BigInt.asUintN(64, this.#counters[JOURNAL_INODE] ?? 0n),
      offset: this.#counters[JOURNAL_OFFSET] ?? 0n,
    }
  }
}
