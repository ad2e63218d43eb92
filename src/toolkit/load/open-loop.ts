import { Pacer } from './pacer'
import { Samples } from './samples'
import { Schedule } from './schedule'

/** How a load is generated. */
export interface Load {
  /** Sends one event; resolves once it has arrived. A rejection ends the run with it. */
  send(): Promise<unknown>
  readonly durationMs: number
  /** The most events in flight. */
  readonly maxInFlight: number
  readonly signal?: AbortSignal
}

/** The results of a run. Times in milliseconds, ascending. */
export interface LoadResult {
  /** Events that were to come. */
  readonly intended: number
  /** Events whose promise has resolved. */
  readonly done: number
  /** Events in flight when the last one had been sent. */
  readonly backlog: number
  /** From the first intended moment to the last arrival. */
  readonly elapsedMs: number
  /**
   * Latencies of an open loop, corrected for coordinated omission: from the moment at which an event was
   * meant to be sent until it had arrived. An event that was never sent counts with its age.
   */
  readonly latenciesMs: Float64Array
  /** How late the thread came to the events that were due: its event-loop delay. */
  readonly latenessMs: Float64Array
  /** Mean time in `send` itself, in nanoseconds. */
  readonly callNs: number
}

/** How long a wait lasts at most, so that an abort is seen. */
const SLICE_MS = 100

/** Counts what is sent and what arrives. */
class Tally {
  readonly latencies = new Samples()
  readonly lateness = new Samples()
  sent = 0
  done = 0
  lastMs = 0
  #callMs = 0
  #failure: { readonly reason: unknown } | undefined
  #wake: () => void = () => undefined

  constructor(readonly load: Load) {}

  get hasRoom(): boolean {
    return this.sent - this.done < this.load.maxInFlight
  }

  get callNs(): number {
    return this.sent === 0 ? 0 : (this.#callMs * 1e6) / this.sent
  }

  /** Sends up to `count` events, as many as may be in flight, each with its intended moment. */
  send(count: number, intendedMs: (i: number) => number): void {
    const before = performance.now()
    const first = this.sent
    while (this.sent < count && this.hasRoom) this.#sendOne(intendedMs(this.sent))
    if (this.sent === first) return
    this.#callMs += performance.now() - before
  }

  /** Resolves when something arrives, or after a while. */
  async progress(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SLICE_MS)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.reason
    this.load.signal?.throwIfAborted()
  }

  #sendOne(intendedMs: number): void {
    this.sent++
    this.load.send().then(
      () => {
        this.done++
        this.lastMs = performance.now()
        this.latencies.add(this.lastMs - intendedMs)
        this.#wake()
      },
      (reason: unknown) => {
        this.#failure ??= { reason }
        this.#wake()
      },
    )
  }

  result(intended: number, backlog: number, startMs: number): LoadResult {
    return {
      intended,
      backlog,
      done: this.done,
      elapsedMs: this.lastMs - startMs,
      latenciesMs: this.latencies.sorted(),
      latenessMs: this.lateness.sorted(),
      callNs: this.callNs,
    }
  }
}

/** Waits until all that was sent has arrived. */
async function settle(tally: Tally): Promise<void> {
  while (tally.done < tally.sent) {
    tally.throwIfFailed()
    await tally.progress()
  }
  tally.throwIfFailed()
}

/**
 * Sends events at a constant rate, whether earlier ones have arrived or not, and sleeps in between.
 */
export async function runOpenLoop(rate: number, load: Load): Promise<LoadResult> {
  const schedule = new Schedule(rate, load.durationMs)
  const tally = new Tally(load)
  const pacer = new Pacer(schedule)
  const { startMs } = pacer
  const endMs = startMs + load.durationMs
  const intendedMs = (i: number) => startMs + schedule.intendedMs(i)
  // The waits below keep no event loop alive.
  const keepAlive = setInterval(() => undefined, SLICE_MS)
  try {
    for (let seen = 0; ; ) {
      tally.throwIfFailed()
      const { ticks } = pacer
      const now = performance.now()
      // By the clock: the pacer's thread may be late itself.
      const come = schedule.momentsBy(now - startMs)
      // The oldest moment that this thread has not come to yet.
      if (come > seen) tally.lateness.add(Math.max(0, now - startMs - seen * schedule.periodMs))
      seen = come
      tally.send(schedule.dueBy(now - startMs), intendedMs)
      if (tally.sent === schedule.count || now >= endMs) break
      await pacer.next(ticks, SLICE_MS)
    }
  } finally {
    clearInterval(keepAlive)
    await pacer.stop()
  }
  const backlog = tally.sent - tally.done
  const stoppedMs = Math.max(endMs, performance.now())
  for (let i = tally.sent; i < schedule.count; i++) tally.latencies.add(stoppedMs - intendedMs(i))
  await settle(tally)
  return tally.result(schedule.count, backlog, startMs)
}

/** Keeps `maxInFlight` events in flight, which is the most that is possible; each is sent at least once. */
export async function runClosedLoop(load: Load): Promise<LoadResult> {
  const tally = new Tally(load)
  const startMs = performance.now()
  const endMs = startMs + load.durationMs
  // A thread that was held since before the first may find its time over.
  do {
    tally.throwIfFailed()
    const now = performance.now()
    tally.send(Number.POSITIVE_INFINITY, () => now)
    await tally.progress()
  } while (performance.now() < endMs)
  const backlog = tally.sent - tally.done
  await settle(tally)
  return tally.result(tally.sent, backlog, startMs)
}
