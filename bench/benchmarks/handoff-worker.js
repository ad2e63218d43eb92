/*
 * The other end of handoff.ts: answers each time it is woken. A bare Worker when its workerData says
 * which way, and a piscina task (the export) otherwise.
 */
'use strict'
const { parentPort, workerData } = require('node:worker_threads')

/** The words of the shared memory, as in handoff.ts. */
const WAKE = 0
const ANSWER = 1
const STOP = -1

function answer(control, trip, back) {
  if (back !== 'message') {
    Atomics.store(control, ANSWER, trip)
    Atomics.notify(control, ANSWER)
  }
  if (back !== 'waitAsync') parentPort.postMessage(trip)
}

function serveParked({ control, back }) {
  for (let trip = 0; ; ) {
    Atomics.wait(control, WAKE, trip)
    trip = Atomics.load(control, WAKE)
    if (trip === STOP) return
    answer(control, trip, back)
  }
}

function serveMessages({ control, back }) {
  parentPort.on('message', (trip) => {
    if (trip === STOP) parentPort.close()
    else answer(control, trip, back)
  })
}

if (workerData?.there === 'notify') serveParked(workerData)
if (workerData?.there === 'message') serveMessages(workerData)

module.exports = (control) => {
  answer(control, Atomics.load(control, ANSWER) + 1, 'waitAsync')
}
