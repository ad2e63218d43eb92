/*
 * The drainer's counts: 64-bit words that it alone writes, as indexes into `CountersView.counts`.
 */

export const COUNT_GROUPS = 0
export const COUNT_BYTES = 1
export const COUNT_RETRIES = 2
export const COUNT_SYNCS = 3
/** Nanoseconds of all syncs together. */
export const COUNT_SYNC_NS = 4
export const COUNT_OPENS = 5
export const COUNT_ROTATIONS = 6
export const COUNT_TORN_TAILS = 7
/** Milliseconds since 1970 when a group last succeeded; 0 before the first. */
export const LAST_SUCCESS_AT = 8
/** Where the drainer's last line ended in its file, in bytes. */
export const FILE_END = 9
/** The first of the counts of syncs by duration, see {@link SYNC_LIMITS_NS}. */
export const SYNC_BUCKETS = 10
/** How many words there are; the last ones are the counts of syncs. */
export const COUNTERS = 29

/*
 * A histogram of the syncs with fixed limits, beside the one of perf_hooks. The latter has the better
 * percentiles, but no counts that can be added up over time and over processes.
 */

const US = 1_000
const MS = 1_000 * US
const S = 1_000 * MS

/** Upper limits in nanoseconds, inclusive, from a fast flash disk to a hung one; the last has none. */
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
