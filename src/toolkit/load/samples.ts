/** Numbers collected one by one; growing by doubling, so that a sample costs a store. */
export class Samples {
  #values = new Float64Array(4_096)
  #size = 0

  get size(): number {
    return this.#size
  }

  add(value: number): void {
    if (this.#size === this.#values.length) {
      const grown = new Float64Array(this.#size * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[this.#size++] = value
  }

  /** The collected numbers, ascending. */
  sorted(): Float64Array {
    return this.#values.slice(0, this.#size).sort()
  }
}

/** The nearest-rank percentile of ascending values: one of them, with `p` percent at or below it. Throws a RangeError if there are none. */
export function percentile(ascending: ArrayLike<number>, p: number): number {
  const rank = Math.max(1, Math.ceil((p / 100) * ascending.length - 1e-9))
  const value = ascending[rank - 1]
  if (value === undefined) throw new RangeError('percentile of no values')
  return value
}

export interface Summary {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** The usual percentiles of ascending values; all 0 when there are none. */
export function summaryOf(ascending: ArrayLike<number>): Summary {
  if (ascending.length === 0) return { count: 0, p50: 0, p99: 0, p999: 0, max: 0 }
  return {
    count: ascending.length,
    p50: percentile(ascending, 50),
    p99: percentile(ascending, 99),
    p999: percentile(ascending, 99.9),
    max: percentile(ascending, 100),
  }
}
