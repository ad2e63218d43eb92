import {
  DURABLE,
  JOURNAL_DESCRIPTOR,
  JOURNAL_DEVICE,
  JOURNAL_END,
  JOURNAL_INODE,
  JOURNAL_OFFSET,
  JOURNAL_SPARE,
  JOURNAL_START,
  JOURNAL_STATE,
  JOURNAL_TAIL,
  JOURNAL_WITNESS,
  NO_DESCRIPTOR,
  positionDelta,
  type RingMemory,
} from '../ring/memory-map'

/*
 * The group journal: what a drainer was about to append, and where, noted in shared memory before
 * the write. A drainer that takes over from a dead one, or tries again after a failed write, compares
 * the file with its own bytes from that offset on and appends only what is missing; so a line is
 * neither lost nor written twice.
 *
 *   state  | the group at [start, end) ...
 *   -------+--------------------------------------------------------------
 *   VOID   | has not been begun, or must be written again from its start
 *   BEGUN  | may be in the file from `offset` on: nothing, a part or all
 *   ASKED  | the same, but its first witness has been asked, and its answer is not known
 *   DOUBTED| the same, but no witness is left to ask, or one has told of an error
 *
 * Bytes that can be read back prove nothing by themselves: a sync of them may have failed, and they
 * may be in the page cache alone. A drainer that has seen its sync fail voids the note. One that died
 * in that very moment could not; so the note names *witnesses*, descriptions of the file that were open
 * before the write. The kernel reports an error of the disk once to each description, so if a sync of
 * a witness returns 0, no sync of the dead drainer has failed, and the bytes are safe. A witness, too,
 * is told only once: it counts as asked before it is, so that nobody who comes later trusts its second
 * answer. Hence there are two: only when two drainers in a row have died while they asked is a group
 * doubted that no disk has lost. A doubted group is written again from its start.
 *
 * Apart from the group, the journal remembers whether the end of the file is doubted: from the start
 * of a sync until one has succeeded. What can be read back there may be lost.
 */
const VOID = 0
const BEGUN = 1
const ASKED = 2
const DOUBTED = 3

/** Which file, where in it, and through which descriptors. */
export interface FilePlace {
  readonly device: bigint
  readonly inode: bigint
  /** Bytes from the file's start. */
  readonly offset: bigint
  /** Through which the group is written; -1 once it is closed. */
  readonly fd: number
  /** See above. Both stay open as long as a note names them. */
  readonly witness: number
  /** The second witness. */
  readonly spare: number
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
    this.adopt(place)
    Atomics.store(this.#control, JOURNAL_STATE, BEGUN)
  }

  /**
   * Notes that the group which the note is about is in this drainer's hands now. The note holds in
   * between: if it were made anew, a drainer that died over that would leave none of what is in the
   * file already.
   */
  adopt({ fd, witness, spare }: FilePlace): void {
    Atomics.store(this.#control, JOURNAL_DESCRIPTOR, fd)
    Atomics.store(this.#control, JOURNAL_WITNESS, witness)
    Atomics.store(this.#control, JOURNAL_SPARE, spare)
  }

  /** Says that the descriptor is about to be closed: its number may soon be another file's. */
  dropDescriptor(): void {
    Atomics.store(this.#control, JOURNAL_DESCRIPTOR, NO_DESCRIPTOR)
  }

  /** The next witness to ask, which counts as asked from now on; undefined when none is left. */
  takeWitness(): number | undefined {
    const state = Atomics.load(this.#control, JOURNAL_STATE)
    if (state !== BEGUN && state !== ASKED) return undefined
    Atomics.store(this.#control, JOURNAL_STATE, state + 1)
    return Atomics.load(this.#control, state === BEGUN ? JOURNAL_WITNESS : JOURNAL_SPARE)
  }

  /** Says that the witness has told of no error, or that it has. */
  hear(isClean: boolean): void {
    Atomics.store(this.#control, JOURNAL_STATE, isClean ? BEGUN : DOUBTED)
  }

  /** Whether a witness is left to ask. */
  get isTrusted(): boolean {
    return Atomics.load(this.#control, JOURNAL_STATE) !== DOUBTED
  }

  /** Whether the end of the file may be lost, though it can be read back. */
  get isTailDoubted(): boolean {
    return Atomics.load(this.#control, JOURNAL_TAIL) !== 0
  }

  /** Says that a sync begins, or that a sync has failed. */
  doubtTail(): void {
    Atomics.store(this.#control, JOURNAL_TAIL, 1)
  }

  /** Says that all of the file was synced. */
  trustTail(): void {
    Atomics.store(this.#control, JOURNAL_TAIL, 0)
  }

  /** Forgets the note. */
  clear(): void {
    Atomics.store(this.#control, JOURNAL_STATE, VOID)
  }

  /** End of the group that was begun at the durable position and is not published, if there is one. */
  unfinishedEnd(): number | undefined {
    const durable = Atomics.load(this.#control, DURABLE)
    const end = Atomics.load(this.#control, JOURNAL_END)
    const isUnfinished = this.isAbout(durable, end) && positionDelta(end, durable) > 0
    return isUnfinished ? end : undefined
  }

  /** Whether there is a note, and it is about the group of these positions. */
  isAbout(start: number, end: number): boolean {
    return (
      Atomics.load(this.#control, JOURNAL_STATE) !== VOID &&
      Atomics.load(this.#control, JOURNAL_START) === start &&
      Atomics.load(this.#control, JOURNAL_END) === end
    )
  }

  /** Where the noted group starts in the file, if there is a note. */
  place(): FilePlace | undefined {
    if (Atomics.load(this.#control, JOURNAL_STATE) === VOID) return undefined
    return {
      device: BigInt.asUintN(64, this.#counters[JOURNAL_DEVICE] ?? 0n),
      inode: BigInt.asUintN(64, this.#counters[JOURNAL_INODE] ?? 0n),
      offset: this.#counters[JOURNAL_OFFSET] ?? 0n,
      fd: Atomics.load(this.#control, JOURNAL_DESCRIPTOR),
      witness: Atomics.load(this.#control, JOURNAL_WITNESS),
      spare: Atomics.load(this.#control, JOURNAL_SPARE),
    }
  }
}
