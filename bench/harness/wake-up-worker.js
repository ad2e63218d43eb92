/*
 * The other end of wake-up.ts: says when it was woken.
 */
'use strict'
const { workerData } = require('node:worker_threads')

/** The words of the shared memory, as in wake-up.ts. */
const WAKE = 0
const ANSWER = 1
const STOP = -1

const { control, wokenAt } = workerData
for (let trip = 0; ; ) {
  Atomics.wait(control, WAKE, trip)
  const now = process.hrtime.bigint()
  trip = Atomics.load(control, WAKE)
  if (trip === STOP) break
  Atomics.store(wokenAt, 0, now)
  Atomics.store(control, ANSWER, trip)
  Atomics.notify(control, ANSWER)
}
