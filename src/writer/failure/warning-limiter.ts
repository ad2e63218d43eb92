/** Warnings of one text that pass before the text is limited. */
const WARNING_BURST = 10
/** Once limited, one warning of a text passes in this time. */
const WARNING_INTERVAL_MS = 1_000
/** Warnings of all texts that pass in that time. */
const WARNINGS_PER_INTERVAL_MAX = 200
/** Texts that are remembered; beyond it all are forgotten at once. */
const WARNING_TEXTS_MAX = 256

interface TextState {
  burst: number
  lastAt: number
  suppressed: number
}

/** Lets the first warnings of a text pass, then one per second, with the count of those held back. */
export class WarningLimiter {
  readonly #texts = new Map<string, TextState>()
  #intervalAt = 0
  #inInterval = 0
  #suppressed = 0

  /** Warnings held back so far, of all texts. */
  get suppressed(): number {
    return this.#suppressed
  }

  /** How many warnings of this text were held back before this one, or undefined to hold it back. */
  pass(text: string, now: number): number | undefined {
    const state = this.#stateOf(text)
    const isDue = state.burst < WARNING_BURST || now - state.lastAt >= WARNING_INTERVAL_MS
    if (!isDue || !this.#takesOne(now)) {
      state.suppressed++
      this.#suppressed++
      return undefined
    }
    const { suppressed } = state
    state.burst++
    state.lastAt = now
    state.suppressed = 0
    return suppressed
  }

  #stateOf(text: string): TextState {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    if (this.#texts.size >= WARNING_TEXTS_MAX) this.#texts.clear()
    const fresh = { burst: 0, lastAt: 0, suppressed: 0 }
    this.#texts.set(text, fresh)
    return fresh
  }

  #takesOne(now: number): boolean {
    if (now - this.#intervalAt >= WARNING_INTERVAL_MS) {
      this.#intervalAt = now
      this.#inInterval = 0
    }
    return this.#inInterval++ < WARNINGS_PER_INTERVAL_MAX
  }
}
