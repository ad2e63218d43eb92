import {
  JOURNAL_DESCRIPTOR,
  JOURNAL_END,
  JOURNAL_PROBE,
  JOURNAL_START,
  JOURNAL_STATE,
  JOURNAL_TAIL_AT_RISK,
  type JournalView,
  NO_DESCRIPTOR,
  PLACE_DEVICE,
  PLACE_INODE,
  PLACE_OFFSET,
  positionDelta,
} from '../ring/memory-map'

/*
 * The group journal notes in shared memory what a drainer is about to append, and where, before
 * the write. A drainer that takes over from a dead one, or tries again after a failed write, compares
 * the file with its own bytes from that offset on and appends only what is missing; so a line is
 * neither lost nor written twice.
 *
 *   state   | the group at [start, end) ...
 *   --------+--------------------------------------------------------------
 *   VOID    | has not been begun, or must be written again from its start
 *   BEGUN   | may be in the file from `offset` on: nothing, a part or all
 *   DOUBTED | may be there too, but nothing vouches for what can be read back
 *
 * Bytes that can be read back prove nothing by themselves: a sync of them may have failed, and they
 * may be in the page cache alone. A drainer that sees its sync fail voids the note. One that died at
 * that very moment could not; so the note names an *error probe*, a second description of the file
 * that was open before the write. The kernel reports an error of the disk once per description (Linux
 * calls that errseq), so if a sync of the probe returns 0, no sync of the dead drainer has failed, and
 * the bytes are safe. The group counts as doubted while the probe is synced: if the drainer dies then,
 * the answer, and with it the error, is used up. A doubted group is written again from its start.
 *
 * Apart from the group, the journal remembers whether the end of the file is at risk: from the start
 * of a sync until one has succeeded, bytes that can be read back there may be lost.
 */
const VOID = 0
const BEGUN = 1
const DOUBTED = 2

/** A place in a file, and the descriptors to reach it through. */
export interface FilePlace {
  readonly device: bigint
  readonly inode: bigint
  /** Bytes from the file's start. */
  readonly offset: bigint
  /** Through which the group is written; -1 once it is closed. */
  readonly fd: number
  /** The error probe, see above. It stays open as long as a note names it. */
  readonly probe: number
}

/** The note about the group that is being written. Held by the drainer. */
export class GroupJournal {
  readonly #words: Int32Array
  readonly #place: BigInt64Array

  constructor({ words, place }: JournalView) {
    this.#words = words
    this.#place = place
  }

  /** Notes that the group of the positions [start, end) is about to be appended at `place`. */
  begin(start: number, end: number, place: FilePlace): void {
    Atomics.store(this.#words, JOURNAL_STATE, VOID)
    this.#place[PLACE_DEVICE] = BigInt.asIntN(64, place.device)
    this.#place[PLACE_INODE] = BigInt.asIntN(64, place.inode)
    this.#place[PLACE_OFFSET] = place.offset
    Atomics.store(this.#words, JOURNAL_START, start)
    Atomics.store(this.#words, JOURNAL_END, end)
    this.adopt(place)
    Atomics.store(this.#words, JOURNAL_STATE, BEGUN)
  }

  /**
   * Notes that the noted group is in this drainer's hands now. The rest of the note stays as it is: if it
   * were made anew, a drainer that died meanwhile would leave no note of the bytes that are in the file
   * already.
   */
  adopt({ fd, probe }: FilePlace): void {
    Atomics.store(this.#words, JOURNAL_DESCRIPTOR, fd)
    Atomics.store(this.#words, JOURNAL_PROBE, probe)
  }

  /** Notes that the descriptor is about to be closed: its number may soon be another file's. */
  dropDescriptor(): void {
    Atomics.store(this.#words, JOURNAL_DESCRIPTOR, NO_DESCRIPTOR)
  }

  /** Forgets the descriptor and the probe: their numbers may be other files' by now. */
  dropDescriptors(): void {
    this.dropDescriptor()
    Atomics.store(this.#words, JOURNAL_PROBE, NO_DESCRIPTOR)
  }

  /** The probe to sync; the group is doubted until {@link recordProbe}. Undefined if it already was. */
  takeProbe(): number | undefined {
    if (Atomics.load(this.#words, JOURNAL_STATE) !== BEGUN) return undefined
    Atomics.store(this.#words, JOURNAL_STATE, DOUBTED)
    return Atomics.load(this.#words, JOURNAL_PROBE)
  }

  /** Notes the probe's answer: whether no sync of the file has failed since it was opened. */
  recordProbe(isClean: boolean): void {
    Atomics.store(this.#words, JOURNAL_STATE, isClean ? BEGUN : DOUBTED)
  }

  /** Whether the end of the file may be lost, though it can be read back. */
  get isTailAtRisk(): boolean {
    return Atomics.load(this.#words, JOURNAL_TAIL_AT_RISK) !== 0
  }

  /** Notes that a sync begins, or that a sync has failed. */
  markTailAtRisk(): void {
    Atomics.store(this.#words, JOURNAL_TAIL_AT_RISK, 1)
  }

  /** Notes that the whole file was synced. */
  markTailSafe(): void {
    Atomics.store(this.#words, JOURNAL_TAIL_AT_RISK, 0)
  }

  /** Forgets the note. */
  clear(): void {
    Atomics.store(this.#words, JOURNAL_STATE, VOID)
  }

  /** End of the group that was begun at the durable position and is not published, if there is one. */
  unfinishedEnd(durable: number): number | undefined {
    const end = Atomics.load(this.#words, JOURNAL_END)
    const isUnfinished = this.isAbout(durable, end) && positionDelta(end, durable) > 0
    return isUnfinished ? end : undefined
  }

  /** Whether there is a note, and it is about the group of these positions. */
  isAbout(start: number, end: number): boolean {
    return (
      Atomics.load(this.#words, JOURNAL_STATE) !== VOID &&
      Atomics.load(this.#words, JOURNAL_START) === start &&
      Atomics.load(this.#words, JOURNAL_END) === end
    )
  }

  /** Where the noted group starts in the file, if there is a note. */
  place(): FilePlace | undefined {
    if (Atomics.load(this.#words, JOURNAL_STATE) === VOID) return undefined
    return {
      device: BigInt.asUintN(64, this.#place[PLACE_DEVICE] ?? 0n),
      inode: BigInt.asUintN(64, this.#place[PLACE_INODE] ?? 0n),
      offset: this.#place[PLACE_OFFSET] ?? 0n,
      fd: Atomics.load(this.#words, JOURNAL_DESCRIPTOR),
      probe: Atomics.load(this.#words, JOURNAL_PROBE),
    }
  }
}
