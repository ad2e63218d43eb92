import { workerData } from 'node:worker_threads'
import { type PacerTask, STOP, TICK } from './pacer'

/*
 * Sleeps from moment to moment and wakes the calling thread at each. A thread of its own, because
 * timers are whole milliseconds, and a thread that polls spoils the wake-ups of all others.
 */

const { memory, startNs, periodNs, ticks }: PacerTask = workerData
const control = new Int32Array(memory)

for (let tick = 0; tick < ticks; tick++) {
  const waitNs = startNs + BigInt(Math.round(tick * periodNs)) - process.hrtime.bigint()
  const isStopped = waitNs > 0n && Atomics.wait(control, STOP, 0, Number(waitNs) / 1e6) === 'ok'
  if (isStopped || Atomics.load(control, STOP) !== 0) break
  Atomics.add(control, TICK, 1)
  Atomics.notify(control, TICK)
}
