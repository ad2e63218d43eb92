const FIRST_MS = 100
const MAX_MS = 10_000
/** So that a hundred shippers do not come back at one time. */
const JITTER = 0.2

/** How long to wait before the next attempt: twice as long each time, up to 10 s. */
export class Backoff {
  #nextMs = FIRST_MS

  next(): number {
    const ms = this.#nextMs
    this.#nextMs = Math.min(2 * ms, MAX_MS)
    return ms * (1 + JITTER * (2 * Math.random() - 1))
  }

  reset(): void {
    this.#nextMs = FIRST_MS
  }
}
