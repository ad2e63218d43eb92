import { setImmediate, soon } from '../../base/timers'
import { DURABLE, FLUSH_UP_TO, PARKED, type RingView, TAIL } from './memory-map'

/*
 * Waking the other thread, in both directions, and why no wake-up is lost.
 *
 * Producer to drainer. The drainer, before it sleeps, stores PARKED = 1 and then loads the tail once
 * more. The producer stores the tail (in `commit`) and then loads PARKED. All four are sequentially
 * consistent, so in the one order of all of them either the drainer's load comes after the producer's
 * store, and it sees the record and does not sleep; or the producer's load comes after the drainer's
 * store, and it sees PARKED = 1 and wakes it. Waking sets PARKED back to 0 before the notify: a drainer
 * that has not fallen asleep yet finds the word changed, and `Atomics.wait` returns at once. The same
 * holds for the other words that the producer changes before it calls `unpark`: FLUSH_UP_TO, and
 * DRAINER when the calling thread gives it back. The drainer sleeps in a blocking wait or, after a while
 * without events, in its event loop: word and proof are those of the blocking wait.
 *
 * Drainer to producer. The producer waits on the word that changes: it waits for DURABLE to differ
 * from a value it has seen, blocking or through the event loop. Both kinds of wait
 * compare and fall asleep as one step, so a store that comes before is seen, and one that comes after
 * is followed by a notify that wakes it. The notify has no count: with one, a pending `waitAsync`
 * could take the wake-up that a blocking wait needs.
 */

/** Wakes the drainer if it sleeps. Called by the producer after it has changed a word. */
export function unpark({ words }: RingView): void {
  if (Atomics.load(words, PARKED) === 0) return
  if (Atomics.exchange(words, PARKED, 0) === 1) Atomics.notify(words, PARKED)
}

/**
 * Sleeps until {@link unpark}, at most `timeoutMs` milliseconds. Called by the drainer.
 * @param seenTail the tail the drainer has dealt with; if it has moved since, there is no sleep
 * @param mayPark called after PARKED is set; false if another word has changed in the meantime
 * @returns false when the time ran out
 */
export function park(
  { words }: RingView,
  seenTail: number,
  timeoutMs: number,
  mayPark: () => boolean = () => true,
): boolean {
  Atomics.store(words, PARKED, 1)
  let isWoken = true
  if (Atomics.load(words, TAIL) === seenTail && mayPark()) {
    isWoken = Atomics.wait(words, PARKED, 1, timeoutMs) !== 'timed-out'
  }
  Atomics.store(words, PARKED, 0)
  return isWoken
}

/**
 * Has `onWoken` called in a turn of its own after {@link unpark}, however long that takes. Called by the
 * drainer. Does not keep its event loop alive.
 * @param mayPark asked after PARKED is set: false when there is something to do already
 */
export function parkAsync({ words }: RingView, mayPark: () => boolean, onWoken: () => void): void {
  Atomics.store(words, PARKED, 1)
  const wait = mayPark() ? Atomics.waitAsync(words, PARKED, 1) : undefined
  // In a microtask of its own: what it throws is then no rejection, which a flag of Node's might ignore.
  if (wait?.async) void wait.value.then(() => soon(onWoken))
  else {
    Atomics.store(words, PARKED, 0)
    setImmediate(onWoken)
  }
}

/** Wakes the drainer whether it sleeps or not: for a word that something else has written to. */
export function unparkAnyway({ words }: RingView): void {
  Atomics.store(words, PARKED, 0)
  Atomics.notify(words, PARKED)
}

/** Asks the drainer not to wait for more events before `position`, and wakes it. */
export function flushUpTo(ring: RingView, position: number): void {
  Atomics.store(ring.words, FLUSH_UP_TO, position)
  unpark(ring)
}

/** Moves the durable position, and wakes the producer if it waits for it. Called by the drainer. */
export function moveDurable({ words }: RingView, position: number): void {
  Atomics.store(words, DURABLE, position)
  Atomics.notify(words, DURABLE)
}

/**
 * Blocks the producer until the durable position differs from `seen`, at most `timeoutMs` milliseconds.
 * @returns false when the time ran out
 */
export function waitDurable({ words }: RingView, seen: number, timeoutMs: number): boolean {
  return Atomics.wait(words, DURABLE, seen, timeoutMs) !== 'timed-out'
}

/**
 * Calls `onMoved` in a later turn, once the durable position differs from `seen`. Does not keep the
 * process alive.
 */
export function watchDurable({ words }: RingView, seen: number, onMoved: () => void): void {
  const wait = Atomics.waitAsync(words, DURABLE, seen)
  if (wait.async) void wait.value.then(onMoved)
  else soon(onMoved)
}

/**
 * Ends a pending {@link watchDurable}, whose `onMoved` is called although nothing has moved. V8 never collects a
 * wait that nobody ends.
 */
export function endWatch({ words }: RingView): void {
  Atomics.notify(words, DURABLE)
}

/** Never notified. */
const asleep = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

/** Blocks this thread for `ms` milliseconds. */
export function sleep(ms: number): void {
  Atomics.wait(asleep, 0, 0, ms)
}
