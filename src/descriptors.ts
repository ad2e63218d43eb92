import { GroupJournal } from './journal'
import { OPEN_DESCRIPTOR, OPEN_WITNESS, type RingMemory } from './layout'
import { closeQuietly } from './log-file'

/*
 * What the worker has open. Its descriptors outlive it, for the sake of the journal's witness, so they
 * are noted in shared memory for whoever comes after it. A number is taken out of the note before it is
 * closed: after that it may be another file's.
 */
const NONE = -1

/** The note. Written by the worker's sink alone; a sink of the calling thread keeps none. */
export class OpenDescriptors {
  readonly #control: Int32Array

  constructor(memory: RingMemory) {
    this.#control = memory.control
  }

  note(fd: number, witness: number): void {
    Atomics.store(this.#control, OPEN_WITNESS, witness)
    Atomics.store(this.#control, OPEN_DESCRIPTOR, fd)
  }

  clear(): void {
    Atomics.store(this.#control, OPEN_DESCRIPTOR, NONE)
    Atomics.store(this.#control, OPEN_WITNESS, NONE)
  }
}

/**
 * Closes what a dead worker has left open. What the journal names is left to the drainer that takes up
 * its group, which needs it. Called by the holder of the DRAINER word alone: a number is closed once.
 */
export function closeLeftovers(memory: RingMemory): void {
  const { control } = memory
  const noted = new GroupJournal(memory).place()
  for (const word of [OPEN_DESCRIPTOR, OPEN_WITNESS]) {
    const fd = Atomics.exchange(control, word, NONE)
    if (fd > 0 && fd !== noted?.fd && fd !== noted?.witness) closeQuietly(fd)
  }
}

/** Closes a dead drainer's descriptor that the journal names; by the holder of DRAINER alone. */
export function closeNoted(memory: RingMemory, fd: number): void {
  for (const word of [OPEN_DESCRIPTOR, OPEN_WITNESS]) {
    Atomics.compareExchange(memory.control, word, fd, NONE)
  }
  closeQuietly(fd)
}
