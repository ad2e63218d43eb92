/*
 * Which way should an event take to the worker, and its acknowledgement back?
 *
 * No file and no ring, only the way there and back between this thread and a bare worker, one round
 * trip at a time, with a pause before each so that the worker sleeps when it is woken.
 *
 * - there: Atomics.notify of a worker that is parked in Atomics.wait, a message to it, or a new
 *   piscina task each time;
 * - back: Atomics.waitAsync on a word of shared memory, a message, or both, the first one counting.
 *
 * The calling thread sleeps in between, or, `polling`, keeps its event loop turning with setImmediate.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { type Benchmark, type Context, rotated } from '../harness/benchmark'
import { RowBuilder } from '../harness/row-builder'
import { sampleNs } from '../harness/sampling'
import { percentile } from '../harness/statistics'
import type { Result } from '../report/report'

const WORKER_FILE = join(__dirname, 'handoff-worker.js')
/** The words of the shared memory, as in handoff-worker.js. */
const WAKE = 0
const ANSWER = 1
const STOP = -1
const PAUSE_MS = 1

export const handoff: Benchmark = {
  name: 'handoff',
  question: 'Which way to the worker and back? (round trip without file or ring)',
  run,
}

type There = 'notify' | 'message' | 'task'
type Back = 'waitAsync' | 'message' | 'both'

interface Way {
  readonly there: There
  readonly back: Back
}

const WAYS: readonly Way[] = [
  { there: 'notify', back: 'waitAsync' },
  { there: 'message', back: 'waitAsync' },
  { there: 'task', back: 'waitAsync' },
  { there: 'notify', back: 'message' },
  { there: 'notify', back: 'both' },
]

/** A worker at the other end of a way. */
interface Peer {
  /** Resolves when it has answered. */
  roundTrip(): Promise<void>
  /** Resolves when the last round trip is over entirely. */
  settle(): Promise<void>
  close(): Promise<unknown>
}

async function run(context: Context): Promise<Result> {
  const trials = [false, true].flatMap((isPolling) =>
    WAYS.map((way) => {
      const name = `${isPolling ? 'polling' : 'sleeping'}: ${way.there} there, ${way.back} back`
      return { way, isPolling, row: new RowBuilder(name) }
    }),
  )
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    for (const { way, isPolling, row } of rotated(trials, repeat)) {
      context.progress(`handoff: repeat ${repeat + 1} of ${context.repeats}, ${row.name}`)
      row.add(await measureWay(way, isPolling, context.samples))
    }
  }
  return { rows: trials.map(({ row }) => row.build()), files: [] }
}

async function measureWay(way: Way, isPolling: boolean, samples: number) {
  const peer = way.there === 'task' ? openPool() : openWorker(way.there, way.back)
  // The worker starts during the first trips, and its code is compiled after a few more.
  for (let i = 0; i < samples; i++) await peer.roundTrip()
  const before = () => Promise.all([peer.settle(), sleep(PAUSE_MS)])
  const stopPolling = isPolling ? startPolling() : undefined
  const ascendingNs = await sampleNs(() => peer.roundTrip(), { samples, before })
  stopPolling?.()
  await peer.settle()
  await peer.close()
  return {
    p50Us: percentile(ascendingNs, 50) / 1_000,
    p99Us: percentile(ascendingNs, 99) / 1_000,
  }
}

/** Keeps the event loop turning until the function returned is called. */
function startPolling(): () => void {
  let isOver = false
  const turn = () => {
    if (!isOver) setImmediate(turn)
  }
  turn()
  return () => {
    isOver = true
  }
}

function newControl(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
}

/** Resolves when the answer is no longer `seen`. */
async function answered(control: Int32Array, seen: number): Promise<void> {
  const wait = Atomics.waitAsync(control, ANSWER, seen)
  if (wait.async) await wait.value
}

function openWorker(there: There, back: Back): Peer {
  const control = newControl()
  const worker = new Worker(WORKER_FILE, { workerData: { control, there, back } })
  let trips = 0
  let arrive: () => void = () => undefined
  const wake = () => {
    Atomics.store(control, WAKE, trips)
    if (there === 'message') worker.postMessage(trips)
    else Atomics.notify(control, WAKE)
  }
  // A message that has lost against waitAsync arrives during the next round trip.
  worker.on('message', (trip: number) => {
    if (trip === trips) arrive()
  })
  const roundTrip = () => {
    const seen = trips++
    const arrival = new Promise<void>((resolve) => {
      arrive = resolve
    })
    wake()
    if (back !== 'message') void answered(control, seen).then(arrive)
    return arrival
  }
  const close = async () => {
    const exit = new Promise((resolve) => worker.once('exit', resolve))
    trips = STOP
    wake()
    await exit
  }
  return { roundTrip, settle: () => Promise.resolve(), close }
}

function openPool(): Peer {
  const control = newControl()
  const pool = new Piscina<Int32Array, void>({
    filename: WORKER_FILE,
    minThreads: 1,
    maxThreads: 1,
  })
  let task = Promise.resolve()
  const roundTrip = () => {
    const seen = Atomics.load(control, ANSWER)
    task = pool.run(control)
    return answered(control, seen)
  }
  return { roundTrip, settle: () => task, close: () => pool.destroy() }
}
