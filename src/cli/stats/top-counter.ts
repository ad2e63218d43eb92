const KEYS_MAX = 10_000

/** One of the names that were counted, and how often. */
export interface Counted<Value> {
  readonly key: string
  readonly value: Value
  readonly total: number
}

/**
 * Counts names in a bounded memory. It is exact for up to 10,000 of them; beyond that the rarest are
 * forgotten from time to time, and a count may then be too low, by {@link errorMax} at most.
 */
export class TopCounter<Value> {
  readonly #counts = new Map<string, { value: Value; total: number }>()
  readonly #keysMax: number
  readonly #newValue: () => Value
  #errorMax = 0

  /** @param newValue makes what is kept beside a count */
  constructor(newValue: () => Value, keysMax: number = KEYS_MAX) {
    this.#newValue = newValue
    this.#keysMax = keysMax
  }

  /** The most by which a count may be too low; 0 if all are exact. */
  get errorMax(): number {
    return this.#errorMax
  }

  /** How many names are known. */
  get size(): number {
    return this.#counts.size
  }

  /** Counts the name `times` more, which may be 0, and returns what is kept beside its count. */
  add(key: string, times = 1): Value {
    let counted = this.#counts.get(key)
    if (counted === undefined) {
      if (this.#counts.size >= 2 * this.#keysMax) this.#forget()
      counted = { value: this.#newValue(), total: 0 }
      // A copy, since the string itself would keep alive the line that it is a part of.
      this.#counts.set(Buffer.from(key).toString(), counted)
    }
    counted.total += times
    return counted.value
  }

  /** The most frequent ones. */
  top(count: number): Counted<Value>[] {
    return [...this.#counts]
      .map(([key, { value, total }]) => ({ key, value, total }))
      .sort((a, b) => b.total - a.total || (a.key < b.key ? -1 : 1))
      .slice(0, count)
  }

  #forget(): void {
    const ascending = [...this.#counts].sort(([, a], [, b]) => a.total - b.total)
    const gone = ascending.slice(0, ascending.length - this.#keysMax)
    for (const [key] of gone) this.#counts.delete(key)
    this.#errorMax += gone.at(-1)?.[1].total ?? 0
  }
}
