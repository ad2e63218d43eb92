import { performance } from 'node:perf_hooks'

/*
 * A worker that was given up may have failed for a passing reason: no thread or memory was left while the
 * gateway's commands ran. So it is restarted, and less and less often while that fails: what it costs must
 * not add up. Each attempt holds the calling thread up for some milliseconds, and if no thread can be
 * started Node keeps 40 KB of it for ever.
 */

const PAUSE_MS_FIRST = 1_000
const PAUSE_MS_MAX = 600_000

/** When the next attempt to restart a worker that was given up is due. */
export class RestartBackoff {
  #pauseMs = PAUSE_MS_FIRST
  #nextAt = Number.POSITIVE_INFINITY
  readonly #now: () => number

  /** @param now the time in milliseconds, from any start */
  constructor(now = () => performance.now()) {
    this.#now = now
  }

  /** Whether the pause after the last failure is over. */
  get isDue(): boolean {
    return this.#now() >= this.#nextAt
  }

  /** An attempt begins: none is due before {@link failed} is called. */
  begin(): void {
    this.#nextAt = Number.POSITIVE_INFINITY
  }

  /** The worker was given up, or the attempt has failed. */
  failed(): void {
    this.#nextAt = this.#now() + this.#pauseMs
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX)
  }

  /** A worker has done its work. */
  succeeded(): void {
    this.#pauseMs = PAUSE_MS_FIRST
  }
}
