const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000]

/** Lengths of time that people count in, in milliseconds; ascending. */
const BOUNDS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 30].map((n) => n * MINUTE),
  ...[1, 2, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 30].map((n) => n * DAY),
  Number.MAX_SAFE_INTEGER,
]

/** How many durations are at most `upTo`, and above the bound before it. */
export interface DurationCount {
  /** Milliseconds. */
  readonly upTo: number
  readonly count: number
}

/** Counts durations between round bounds, exactly. */
export class DurationBounds {
  readonly #counts = new Float64Array(BOUNDS.length)

  add(ms: number): void {
    const at = BOUNDS.findIndex((bound) => ms <= bound)
    const index = at < 0 ? BOUNDS.length - 1 : at
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
  }

  /** From the first bound with a duration to the last one. */
  counts(): DurationCount[] {
    const all = BOUNDS.map((upTo, i) => ({ upTo, count: this.#counts[i] ?? 0 }))
    const first = all.findIndex(({ count }) => count > 0)
    const last = all.findLastIndex(({ count }) => count > 0)
    return first < 0 ? [] : all.slice(first, last + 1)
  }
}
