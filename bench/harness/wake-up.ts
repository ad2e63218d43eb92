import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { median } from './statistics'

/*
 * The time of a wake-up in each direction. The threads of a process share their monotonic clock, so each
 * reads it once and the round trip can be cut in two.
 */

const WORKER_FILE = join(__dirname, 'wake-up-worker.js')
/** The words of the shared memory, as in wake-up-worker.js. */
const WAKE = 0
const ANSWER = 1
const STOP = -1
/** The pause before each wake-up, so that both threads sleep. */
const PAUSE_MS = 1

/** Median nanoseconds from a notify until the other thread runs. */
export async function measureWakeUps(
  samples: number,
): Promise<{ workerNs: number; callerNs: number }> {
  const control = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
  const wokenAt = new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT))
  const worker = new Worker(WORKER_FILE, { workerData: { control, wokenAt } })
  const exit = new Promise((resolve) => worker.once('exit', resolve))
  const workerNs: number[] = []
  const callerNs: number[] = []
  for (let trip = 1; trip <= samples * 2; trip++) {
    await sleep(PAUSE_MS)
    const startedAt = process.hrtime.bigint()
    wake(control, trip)
    const answer = Atomics.waitAsync(control, ANSWER, trip - 1)
    if (answer.async) await answer.value
    const endedAt = process.hrtime.bigint()
    const between = Atomics.load(wokenAt, 0)
    // The worker starts during the first trips, and its code is compiled after a few more.
    if (trip <= samples) continue
    workerNs.push(Number(between - startedAt))
    callerNs.push(Number(endedAt - between))
  }
  wake(control, STOP)
  await exit
  return { workerNs: median(workerNs), callerNs: median(callerNs) }
}

function wake(control: Int32Array, value: number): void {
  Atomics.store(control, WAKE, value)
  Atomics.notify(control, WAKE)
}
