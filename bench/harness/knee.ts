/*
 * At which rate does the latency turn upwards?
 *
 * The knee is the highest rate at which the p99 is still within three times the best p99 of any rate.
 * It is the best p99 and not that of the lowest rate, because a writer that batches may be slower when it
 * is woken for single events. It is the highest rate even if a lower one lies above the limit, because one
 * bad moment of the machine is no knee.
 */

/** By how much the p99 may exceed the best. */
export const KNEE_TIMES = 3

/** The figures at one rate. */
export interface RatePoint {
  readonly ratePerSecond: number
  readonly p99Us: number
  /** Whether the rate could not be held, which puts it beyond any knee. */
  readonly isSaturated: boolean
}

/** The knee among points in any order; undefined if none of the rates could be held. */
export function findKnee<Point extends RatePoint>(points: readonly Point[]): Point | undefined {
  const held = points.filter(({ isSaturated }) => !isSaturated)
  const bestUs = Math.min(...held.map(({ p99Us }) => p99Us))
  return held
    .filter(({ p99Us }) => p99Us <= KNEE_TIMES * bestUs)
    .sort((a, b) => a.ratePerSecond - b.ratePerSecond)
    .at(-1)
}
