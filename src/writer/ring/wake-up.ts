import { HURRY, PARKED, SLEEP, TAIL } from './memory-map'

/*
 * Why no wake-up is lost.
 *
 * The drainer, before it sleeps, stores PARKED = 1 and then loads the tail once more. The producer
 * stores the tail (in `commit`) and then loads PARKED. All four are sequentially consistent, so in
 * the one order of all of them either the drainer's load comes after the producer's store, and it
 * sees the record and does not sleep; or the producer's load comes after the drainer's store, and it
 * sees PARKED = 1 and wakes it. Waking sets PARKED back to 0 before the notify: a drainer that has
 * not fallen asleep yet finds the word changed, and `Atomics.wait` returns at once. The same holds
 * for the other words that the producer changes before it calls `unpark`: HURRY and CLOSING.
 */

/** Wakes the drainer if it sleeps. Called by the producer after it has changed a word. */
export function unpark(control: Int32Array): void {
  if (Atomics.load(control, PARKED) === 0) return
  if (Atomics.exchange(control, PARKED, 0) === 1) Atomics.notify(control, PARKED)
}

/**
 * Sleeps until {@link unpark}, at most `timeoutMs` milliseconds. Called by the drainer.
 * @param seenTail the tail the drainer has dealt with; if it has moved since, there is no sleep
 * @param mayPark asked after PARKED is set: false when another word has changed in the meantime
 * @returns false when the time ran out
 */
export function park(
  control: Int32Array,
  seenTail: number,
  timeoutMs: number,
  mayPark: () => boolean = () => true,
): boolean {
  Atomics.store(control, PARKED, 1)
  let isWoken = true
  if (Atomics.load(control, TAIL) === seenTail && mayPark()) {
    isWoken = Atomics.wait(control, PARKED, 1, timeoutMs) !== 'timed-out'
  }
  Atomics.store(control, PARKED, 0)
  return isWoken
}

/** Asks the drainer not to linger for company before `position`, and wakes it. */
export function hurry(control: Int32Array, position: number): void {
  Atomics.store(control, HURRY, position)
  unpark(control)
}

/** Blocks this thread for `ms` milliseconds. */
export function sleep(control: Int32Array, ms: number): void {
  Atomics.wait(control, SLEEP, 0, ms)
}
