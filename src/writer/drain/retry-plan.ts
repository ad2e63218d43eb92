const RETRY_MS_FIRST = 5
const RETRY_MS_MAX = 1_000

/** When to try a failed group again: after ever longer pauses, for `retryForMs` in all. */
export class RetryPlan {
  readonly #retryForMs: number
  #retryAt = 0
  #retryMs = 0
  #giveUpAt = 0

  constructor(retryForMs: number) {
    this.#retryForMs = retryForMs
  }

  /** Milliseconds until the next try; 0 or less when it is due. */
  waitMs(now: number): number {
    return this.#retryAt - now
  }

  /** A try has failed. Milliseconds until the next one; 0 if there is none. */
  failed(now: number): number {
    if (this.#giveUpAt === 0) this.#giveUpAt = now + this.#retryForMs
    const leftMs = this.#giveUpAt - now
    if (leftMs <= 0) return 0
    this.#retryMs = Math.min(Math.max(this.#retryMs * 2, RETRY_MS_FIRST), RETRY_MS_MAX, leftMs)
    this.#retryAt = now + this.#retryMs
    return this.#retryMs
  }

  /** Begins anew, for the next group. */
  reset(): void {
    this.#retryAt = 0
    this.#retryMs = 0
    this.#giveUpAt = 0
  }
}
