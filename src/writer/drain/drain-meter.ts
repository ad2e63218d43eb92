import {
  COUNT_BYTES,
  COUNT_GROUPS,
  COUNT_RETRIES,
  COUNT_SYNC_NS,
  LAST_SUCCESS_AT,
  SYNC_BUCKETS,
  syncBucketOf,
} from '../ring/counters'
import type { CountersView } from '../ring/memory-map'
import type { DrainConfig } from '../ring/messages'

/** Counts the work of the drain loop in memory that the calling thread's `stats()` reads. */
export class DrainMeter {
  readonly #counts: BigInt64Array
  readonly #histograms: Pick<DrainConfig, 'groupEvents' | 'syncNs'>

  constructor({ counts }: CountersView, histograms: Pick<DrainConfig, 'groupEvents' | 'syncNs'>) {
    this.#counts = counts
    this.#histograms = histograms
  }

  /** A sync took `ns` nanoseconds. */
  sync(ns: number): void {
    this.#histograms.syncNs.record(ns)
    Atomics.add(this.#counts, COUNT_SYNC_NS, BigInt(ns))
    Atomics.add(this.#counts, SYNC_BUCKETS + syncBucketOf(ns), 1n)
  }

  /** A group failed and is tried again. */
  retry(): void {
    Atomics.add(this.#counts, COUNT_RETRIES, 1n)
  }

  /** A group of `events` has its outcome; unless it failed, `bytes` of lines were appended. */
  group(events: number, bytes: number, isFailed: boolean): void {
    this.#histograms.groupEvents.record(events)
    Atomics.add(this.#counts, COUNT_GROUPS, 1n)
    if (isFailed) return
    Atomics.add(this.#counts, COUNT_BYTES, BigInt(bytes))
    Atomics.store(this.#counts, LAST_SUCCESS_AT, BigInt(Date.now()))
  }
}
