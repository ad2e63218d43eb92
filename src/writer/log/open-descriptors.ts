import { closeSync, openSync } from 'node:fs'
import { DESCRIPTOR_WORDS, type JournalView, NO_DESCRIPTOR } from '../ring/memory-map'
import { type FilePlace, GroupJournal } from './group-journal'

/*
 * What the worker has open. Its descriptors outlive it, for the sake of the journal's error probe, so
 * they are noted in shared memory for its successor. A number is taken out of the note before it is
 * closed: after that it may be another file's.
 *
 * The journal names descriptors too, those of the group that is being written. So who closes one?
 *
 *   it stands in         | because the worker ...                | it is closed by
 *   ---------------------+---------------------------------------+----------------------------------------
 *   OPEN_* alone         | has the file open, between two groups | `discard` of its sink
 *   OPEN_* and JOURNAL_* | is in the middle of a group           | the same, once the group is over
 *   JOURNAL_* alone      | has left the file, as one that failed | `closeForeign` of the sink that takes up
 *                        | in the middle of a group, or has died | that group, or gives it up
 *
 * `discard` in the middle of a group closes the descriptor of the writes alone, and so turns the second
 * row's probe into the third row's. After the worker's death `closeLeftovers` does so with both, and
 * closes what belongs to no group, or to one that has its outcome already. It is called before the next
 * worker opens anything, and when there is none any more; if the calling thread drains before that, its
 * `closeForeign` finds the dead worker's in both, and takes them out of both. The calling thread keeps
 * its own OPEN_* to itself, since nobody outlives it, and is in the journal as the worker is.
 */

/** Which of the note's places a descriptor takes. */
export type DescriptorWord = (typeof DESCRIPTOR_WORDS)[number]

/** The note. The worker's sink keeps it in shared memory; one of the calling thread needs none. */
export class OpenDescriptors {
  readonly #words: Int32Array

  constructor(words: Int32Array) {
    this.#words = words
  }

  /** A note that nobody else reads. */
  static unshared(): OpenDescriptors {
    const words = new Int32Array(Math.max(...DESCRIPTOR_WORDS) + 1)
    return new OpenDescriptors(words.fill(NO_DESCRIPTOR))
  }

  /** Opens a file and notes its descriptor. */
  open(word: DescriptorWord, path: string, flags: number, mode?: number): number {
    // In one expression: a thread can be ended at each call of a function, and what is open by then
    // and not noted stays open for ever.
    return Atomics.store(this.#words, word, openSync(path, flags, mode))
  }

  /** Takes the descriptor out of the note; it stays open. Returns {@link NO_DESCRIPTOR} for none. */
  forget(word: DescriptorWord): number {
    return Atomics.exchange(this.#words, word, NO_DESCRIPTOR)
  }

  /** Closes the descriptor, if there is one. */
  close(word: DescriptorWord): void {
    const fd = this.forget(word)
    if (fd !== NO_DESCRIPTOR) closeQuietly(fd)
  }
}

/**
 * Closes what a dead worker has left open. What the journal notes of an unfinished group is left to the
 * drainer that takes that up, which needs it. Called by the holder of the DRAINER word alone: a number
 * is closed once.
 * @param durable the durable position
 */
export function closeLeftovers(view: JournalView, durable: number): void {
  const journal = new GroupJournal(view)
  const noted = journal.place()
  const isUnfinished = journal.unfinishedEnd(durable) !== undefined
  if (noted !== undefined && !isUnfinished) {
    // It died between publishing the group's outcome and forgetting the group.
    journal.clear()
    closeNoted(view, noted)
  }
  const descriptors = new OpenDescriptors(view.words)
  for (const word of DESCRIPTOR_WORDS) {
    const fd = descriptors.forget(word)
    const isKept = noted !== undefined && [noted.fd, noted.probe].includes(fd)
    if (fd !== NO_DESCRIPTOR && !isKept) closeQuietly(fd)
  }
}

/** Closes a dead drainer's descriptors that a note of the journal names; by the holder of DRAINER. */
export function closeNoted({ words }: JournalView, { fd, probe }: FilePlace): void {
  for (const noted of [fd, probe]) {
    if (noted === NO_DESCRIPTOR) continue
    for (const word of DESCRIPTOR_WORDS) {
      Atomics.compareExchange(words, word, noted, NO_DESCRIPTOR)
    }
    closeQuietly(noted)
  }
}

/** Closes a descriptor for good. Nothing is promised about the close, so its error tells nothing. */
function closeQuietly(fd: number): void {
  try {
    closeSync(fd)
  } catch {
    // It is gone either way.
  }
}
