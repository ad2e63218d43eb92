import { closeSync, openSync } from 'node:fs'
import { type FilePlace, GroupJournal } from './journal'
import { DESCRIPTOR_WORDS, NO_DESCRIPTOR, type RingMemory } from './layout'

/*
 * What the worker has open. Its descriptors outlive it, for the sake of the journal's witnesses, so they
 * are noted in shared memory for whoever comes after it. A number is taken out of the note before it is
 * closed: after that it may be another file's.
 */

/** Which of the note's places a descriptor takes. */
export type DescriptorWord = (typeof DESCRIPTOR_WORDS)[number]

/** The note. The worker's sink keeps it in the ring's memory; one of the calling thread needs none. */
export class OpenDescriptors {
  readonly #control: Int32Array

  constructor(control: Int32Array) {
    this.#control = control
  }

  /** A note that nobody else reads. */
  static unshared(): OpenDescriptors {
    const control = new Int32Array(Math.max(...DESCRIPTOR_WORDS) + 1)
    return new OpenDescriptors(control.fill(NO_DESCRIPTOR))
  }

  /** Opens a file and notes its descriptor. */
  open(word: DescriptorWord, path: string, flags: number, mode?: number): number {
    // In one expression: a thread can be ended at each call of a function, and what is open by then
    // and not noted stays open for ever.
    return Atomics.store(this.#control, word, openSync(path, flags, mode))
  }

  /** Takes the descriptor out of the note; it stays open. Returns {@link NO_DESCRIPTOR} for none. */
  forget(word: DescriptorWord): number {
    return Atomics.exchange(this.#control, word, NO_DESCRIPTOR)
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
 */
export function closeLeftovers(memory: RingMemory): void {
  const journal = new GroupJournal(memory)
  const noted = journal.place()
  const isUnfinished = journal.unfinishedEnd() !== undefined
  if (noted !== undefined && !isUnfinished) {
    // It died between publishing the group's outcome and forgetting the group.
    journal.clear()
    closeNoted(memory, noted)
  }
  const descriptors = new OpenDescriptors(memory.control)
  for (const word of DESCRIPTOR_WORDS) {
    const fd = descriptors.forget(word)
    const isKept = noted !== undefined && [noted.fd, noted.witness, noted.spare].includes(fd)
    if (fd !== NO_DESCRIPTOR && !isKept) closeQuietly(fd)
  }
}

/** Closes a dead drainer's descriptors that a note of the journal names; by the holder of DRAINER. */
export function closeNoted(memory: RingMemory, { fd, witness, spare }: FilePlace): void {
  for (const noted of [fd, witness, spare]) {
    if (noted === NO_DESCRIPTOR) continue
    for (const word of DESCRIPTOR_WORDS) {
      Atomics.compareExchange(memory.control, word, noted, NO_DESCRIPTOR)
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
