import { Piscina } from 'piscina'
import { clearTimeout, setTimeout } from '../../base/timers'
import type { SessionTask } from '../ring/messages'
import { checkWorkerFiles, loaderOptions } from './worker-files'

/**
 * MB. Little of a group outlives it, so a larger young generation collects no more cheaply (`bench memory`
 * and `bench throughput`), but V8 would let it grow to 48 MB.
 */
const WORKER_YOUNG_MB = 4

/** The worker's task that does nothing: the worker has been started, and its files loaded. */
export const READY_TASK = 'ready'

/** The worker's task that returns the version of its file. */
export const VERSION_TASK = 'version'

/** A pool of one worker, for that worker's life. */
export type WorkerPool = Piscina<SessionTask | undefined, unknown>

/**
 * Starts a worker. piscina would replace a dead one by itself, but a replacement that dies while it
 * starts leaves the next run pending for ever; a run on a fresh pool is given to its worker at once, and
 * so is always rejected when that dies. Throws if no thread may be started, or if a
 * file that it runs is missing.
 * @param onWorkerGone called when the worker has died or is being ended; what it has thrown, if anything, is
 *   known a turn later
 */
export function openWorkerPool(
  workerFile: string,
  onWorkerGone: (causeOf: () => unknown) => void,
): WorkerPool {
  checkWorkerFiles(workerFile)
  let cause: unknown
  const pool = new Piscina<SessionTask | undefined, unknown>({
    filename: workerFile,
    name: READY_TASK,
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    atomics: 'disabled',
    recordTiming: false,
    workerHistogram: false,
    resourceLimits: { maxYoungGenerationSizeMb: WORKER_YOUNG_MB },
    // A dead worker's descriptors must outlive it, see the error probe in group-journal.ts.
    trackUnmanagedFds: false,
    ...loaderOptions(),
  })
  // Without a listener, a throw outside a task would bring the host process down.
  pool.on('error', (error) => {
    cause = error
  })
  pool.on('workerDestroy', () => onWorkerGone(() => cause ?? new Error('the worker has ended')))
  return pool
}

/** Settles as the promise does; rejects when that takes longer than `ms`. */
export function within(ms: number, promise: Promise<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, ms)
    void promise.then(resolve, reject).then(() => clearTimeout(timer))
  })
}
