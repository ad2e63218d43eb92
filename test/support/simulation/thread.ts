import fs from 'node:fs'
import {
  DESCRIPTOR_WORDS,
  DURABLE,
  JOURNAL_STATE,
  NO_DESCRIPTOR,
  type SharedMemory,
} from '../../../src/writer/ring/memory-map'
import type { Call, Fault, Interference, SimulatedDisk } from './disk'

/** Ends a thread in the middle of its work. */
class Death extends Error {}

/** Decides what happens before a call: time passes, others touch the files, or the call fails. */
export type World = (call: Call) => Fault | undefined

const JOURNAL_WORDS_BEFORE_A_CALL: ReadonlySet<number> = new Set([
  ...DESCRIPTOR_WORDS,
  JOURNAL_STATE,
])
const JOURNAL_VOID = 0

/**
 * The thread that drains, as far as it can be ended: before or after each of its system calls, and
 * after the stores to shared memory that a function call follows. The rest of an ended thread's work still runs,
 * since JavaScript cannot be stopped, but has no effect: its system calls do nothing, and the shared memory
 * is set back to its state at the end of the thread.
 */
export class SimulatedThread implements Interference {
  /** Points at which the thread may still be ended before it is. */
  pointsLeft = Number.POSITIVE_INFINITY
  /** Whether it is the machine that will end then. */
  isPowerCut = false
  /** Whether the thread that runs now can be ended alone. */
  isMortal = false
  /** Descriptors that the thread was about to close when it ended: their numbers were forgotten. */
  readonly closing = new Set<number>()
  #memory: SharedMemory | undefined
  #snapshot: Uint8Array | undefined
  #isClosing = false
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  get isEnded(): boolean {
    return this.#snapshot !== undefined
  }

  /** Runs a piece of the drainer's work; returns undefined when the thread has ended in it. */
  run<T>(memory: SharedMemory, work: () => T): T | undefined {
    this.#memory = memory
    try {
      const result = work()
      return this.isEnded ? undefined : result
    } catch (thrown) {
      if (this.isEnded) return undefined
      throw thrown
    } finally {
      this.#memory = undefined
      this.#undo(memory)
    }
  }

  /** A new thread takes the place of the one that has ended. */
  replace(): void {
    this.#snapshot = undefined
    this.closing.clear()
    this.pointsLeft = Number.POSITIVE_INFINITY
  }

  before(call: Call, fd: number): Fault | undefined {
    if (this.isEnded) this.#noteClosing(call, fd)
    else this.#point(call, fd)
    if (this.isEnded) throw new Death()
    return this.#world(call)
  }

  after(call: Call): void {
    // The number of a new descriptor is noted in the expression that opens it.
    if (call !== 'open') this.#point(call)
    if (this.isEnded) throw new Death()
  }

  /** After a store to shared memory. */
  stored(words: Int32Array, word: number, value: number): void {
    const { ring, journal } = this.#memory ?? {}
    if (words === ring?.words && word === DURABLE) this.#point()
    if (words !== journal?.words || !JOURNAL_WORDS_BEFORE_A_CALL.has(word)) return
    // In the middle of a note, no function is called.
    if (word !== JOURNAL_STATE || value !== JOURNAL_VOID) this.#point()
  }

  #point(call?: Call, fd = NO_DESCRIPTOR): void {
    if (this.#memory === undefined || this.isEnded) return
    if (!this.isMortal && !this.isPowerCut) return
    if (--this.pointsLeft > 0) return
    this.#snapshot = new Uint8Array(this.#memory.buffer).slice()
    this.#isClosing = true
    if (call !== undefined && fd !== NO_DESCRIPTOR) this.#noteClosing(call, fd)
  }

  #noteClosing(call: Call, fd: number): void {
    this.#isClosing &&= call === 'close'
    if (this.#isClosing) this.closing.add(fd)
  }

  #undo(memory: SharedMemory): void {
    if (this.#snapshot !== undefined) new Uint8Array(memory.buffer).set(this.#snapshot)
  }
}

/** The time of a simulation, in milliseconds. */
export interface SimulatedClock {
  now: number
}

/**
 * Runs `run` with the simulated disk in the place of `node:fs`, and with a clock that moves only when
 * someone sleeps or the simulation says so. `run` must be synchronous.
 */
export function simulate<T>(
  disk: SimulatedDisk,
  thread: SimulatedThread,
  clock: SimulatedClock,
  run: () => T,
): T {
  const { store, wait } = Atomics
  const restore = [
    replace(fs, disk.functions),
    replace(performance, { now: () => clock.now }),
    replace(Error, { stackTraceLimit: 0 }),
    replace(Atomics, {
      store: (words: Int32Array, word: number, value: number) => {
        store(words, word, value)
        thread.stored(words, word, value)
        return value
      },
      wait: (...[, , , ms = 0]: Parameters<typeof wait>) => {
        clock.now += ms
        return 'timed-out'
      },
    }),
  ]
  try {
    return run()
  } finally {
    for (const undo of restore) undo()
  }
}

function replace(target: object, functions: object): () => void {
  const names = Object.keys(functions)
  const before = names.map((name) => Object.getOwnPropertyDescriptor(target, name))
  Object.assign(target, functions)
  return () => {
    for (const [i, name] of names.entries()) {
      Reflect.deleteProperty(target, name)
      const descriptor = before[i]
      if (descriptor !== undefined) Object.defineProperty(target, name, descriptor)
    }
  }
}
