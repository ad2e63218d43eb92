/** The most moments per second: arrivals further apart get a moment each, closer ones arrive together. */
const MOMENTS_PER_SECOND_MAX = 2_000

/**
 * When the events of a constant arrival rate are meant to come, in milliseconds from the start. Up to
 * 2,000 events per second each has its own moment; above that they come in bursts, since no sleeping
 * thread can be woken for each.
 */
export class Schedule {
  readonly momentsPerSecond: number
  /** The total number of events. */
  readonly count: number

  constructor(
    readonly rate: number,
    readonly durationMs: number,
  ) {
    this.momentsPerSecond = Math.min(rate, MOMENTS_PER_SECOND_MAX)
    this.count = Math.max(1, Math.floor((rate * durationMs) / 1_000))
  }

  /** Milliseconds between two moments. */
  get periodMs(): number {
    return 1_000 / this.momentsPerSecond
  }

  /** The moment of event `i`, counted from 0. */
  intendedMs(i: number): number {
    return Math.floor((i * this.momentsPerSecond) / this.rate) * this.periodMs
  }

  /** How many moments have come once `elapsedMs` have passed. */
  momentsBy(elapsedMs: number): number {
    // A rounding error must not put off a moment that has come.
    return Math.max(0, Math.floor(elapsedMs / this.periodMs + 1e-9) + 1)
  }

  /** How many events are meant to have come once `elapsedMs` have passed. */
  dueBy(elapsedMs: number): number {
    if (elapsedMs < 0) return 0
    const moments = this.momentsBy(elapsedMs)
    return Math.min(this.count, Math.ceil((moments * this.rate) / this.momentsPerSecond - 1e-9))
  }
}
