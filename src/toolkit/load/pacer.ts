import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Schedule } from './schedule'

export const TICK = 0
export const STOP = 1

/** The data that the pacer's thread is started with. */
export interface PacerTask {
  readonly memory: SharedArrayBuffer
  /** On the clock of `process.hrtime`, which all threads share. */
  readonly startNs: bigint
  readonly periodNs: number
  readonly ticks: number
}

/** Time for the thread to start, in milliseconds. */
const START_MS = 60

/** Wakes this thread at each moment of a schedule, without polling. */
export class Pacer {
  /** When the schedule begins, on the clock of `performance.now()`. */
  readonly startMs: number
  readonly #control: Int32Array
  readonly #worker: Worker

  constructor(schedule: Schedule) {
    const memory = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)
    this.#control = new Int32Array(memory)
    this.startMs = performance.now() + START_MS
    const task: PacerTask = {
      memory,
      startNs: process.hrtime.bigint() + BigInt(START_MS * 1e6),
      periodNs: schedule.periodMs * 1e6,
      ticks: Math.ceil((schedule.durationMs * schedule.momentsPerSecond) / 1_000) + 1,
    }
    this.#worker = new Worker(findPacerFile(), { workerData: task, execArgv: [], env: {} })
    // Without a listener its failure would end the process; the wait below has a time limit anyway.
    this.#worker.on('error', () => undefined)
  }

  /** How many moments have come. */
  get ticks(): number {
    return Atomics.load(this.#control, TICK)
  }

  /** Resolves when more than `seen` moments have come, or `timeoutMs` have passed. */
  async next(seen: number, timeoutMs: number): Promise<void> {
    const wait = Atomics.waitAsync(this.#control, TICK, seen, timeoutMs)
    if (wait.async) await wait.value
  }

  /** Ends the thread. */
  async stop(): Promise<void> {
    Atomics.store(this.#control, STOP, 1)
    Atomics.notify(this.#control, STOP)
    await this.#worker.terminate()
  }
}

/** Beside the bundled command; in `dist` when this runs from source. */
function findPacerFile(): string {
  const name = 'pacer-worker.js'
  const built = join(__dirname, name)
  return existsSync(built) ? built : join(__dirname, '../../../dist/cli', name)
}
