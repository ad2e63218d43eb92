/** Below it each value has a bucket of its own. */
const EXACT_BITS = 7
const EXACT = 2 ** EXACT_BITS
/** The number of buckets per doubling beyond that. */
const PER_DOUBLING = EXACT / 2
const DOUBLINGS = 64

/**
 * Whole numbers from 0 in buckets that grow with the value, in a few kilobytes: exact below 128, and
 * to 1.6 % (one part in 64) above.
 */
export class LogHistogram {
  readonly #counts = new Float64Array(EXACT + DOUBLINGS * PER_DOUBLING)
  #count = 0
  #max = 0

  get count(): number {
    return this.#count
  }

  /** Exact. */
  get max(): number {
    return this.#max
  }

  add(value: number): void {
    const index = indexOf(value)
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#count++
    this.#max = Math.max(this.#max, value)
  }

  /** The nearest-rank percentile: the largest value of its bucket, 0 if there is none. */
  percentile(p: number): number {
    const rank = Math.max(1, Math.ceil((p / 100) * this.#count - 1e-9))
    let seen = 0
    for (const [index, count] of this.#counts.entries()) {
      seen += count
      if (seen >= rank && count > 0) return Math.min(lastOf(index), this.#max)
    }
    return 0
  }
}

function indexOf(value: number): number {
  if (value < EXACT) return value
  const doubling = Math.floor(Math.log2(value)) - EXACT_BITS
  const within = Math.floor(value / 2 ** (doubling + 1)) - PER_DOUBLING
  return EXACT + doubling * PER_DOUBLING + within
}

/** The largest value of a bucket. */
function lastOf(index: number): number {
  if (index < EXACT) return index
  const doubling = Math.floor((index - EXACT) / PER_DOUBLING)
  const within = (index - EXACT) % PER_DOUBLING
  return (PER_DOUBLING + within + 1) * 2 ** (doubling + 1) - 1
}
