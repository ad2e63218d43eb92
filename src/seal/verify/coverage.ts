/** Lines from `first` to before `end`. */
export interface Interval {
  readonly first: number
  readonly end: number
}

/** A set of line numbers, as intervals that do not touch. */
export class Coverage {
  #intervals: Interval[] = []

  get intervals(): readonly Interval[] {
    return this.#intervals
  }

  add(first: number, count: number): void {
    let [start, end] = [first, first + count]
    if (count === 0) return
    const from = this.#indexOf(start - 1)
    let to = from
    for (let next = this.#intervals[to]; next !== undefined && next.first <= end; ) {
      start = Math.min(start, next.first)
      end = Math.max(end, next.end)
      next = this.#intervals[++to]
    }
    this.#intervals.splice(from, to - from, { first: start, end })
  }

  has(line: number): boolean {
    return this.intervalAt(line) !== undefined
  }

  /** The interval that a line is in. */
  intervalAt(line: number): Interval | undefined {
    const interval = this.#intervals[this.#indexOf(line)]
    return interval !== undefined && interval.first <= line ? interval : undefined
  }

  /** Where the first interval behind a line begins. */
  nextAfter(line: number): number {
    const interval = this.#intervals[this.#indexOf(line)]
    if (interval === undefined) return Number.POSITIVE_INFINITY
    return Math.max(interval.first, line)
  }

  /** The intervals between these, from 0 to before `end`. */
  gaps(end: number): Interval[] {
    const gaps: Interval[] = []
    let first = 0
    for (const interval of this.#intervals) {
      if (interval.first > first) gaps.push({ first, end: Math.min(interval.first, end) })
      first = interval.end
    }
    if (first < end) gaps.push({ first, end })
    return gaps
  }

  /** The index of the first interval that ends behind a line. */
  #indexOf(line: number): number {
    let [low, high] = [0, this.#intervals.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#intervals[middle]?.end ?? 0) > line) high = middle
      else low = middle + 1
    }
    return low
  }
}
