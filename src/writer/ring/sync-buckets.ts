/*
 * A histogram of the syncs with fixed limits, beside the one of perf_hooks: that one has the better
 * percentiles, but no counts that can be added up over time and over processes.
 */

const US = 1_000
const MS = 1_000 * US
const S = 1_000 * MS

/** Upper limits in nanoseconds, inclusive, from a fast flash disk to a hung one; the last is none. */
export const SYNC_LIMITS_NS = [
  50 * US,
  100 * US,
  250 * US,
  500 * US,
  1 * MS,
  2.5 * MS,
  5 * MS,
  10 * MS,
  25 * MS,
  50 * MS,
  100 * MS,
  250 * MS,
  500 * MS,
  1 * S,
  2.5 * S,
  5 * S,
  10 * S,
  Number.POSITIVE_INFINITY,
] as const

/** Which of the limits a sync of `ns` nanoseconds counts under. */
export function syncBucketOf(ns: number): number {
  return SYNC_LIMITS_NS.findIndex((limit) => ns <= limit)
}
