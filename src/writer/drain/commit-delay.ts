/*
 * Callers that wait for their acknowledgement before they record again fall into two groups that take
 * turns: while one is synced, the other waits for the next sync. Every event then waits for two syncs.
 * Where syncs are slow it pays to wait a little for those that were just acknowledged, as databases do
 * with a commit delay, so that all go in one group. Whether they come back is learnt, not assumed: where
 * events come at their own times, next to no group waits.
 */

/** Faster syncs leave nothing to gain: waking the caller takes as long. Milliseconds. */
const SYNC_MS_MIN = 0.4
/** A sync that took longer counts as this: after a stall nobody should wait long. Milliseconds. */
const SYNC_MS_MAX = 50
/** How long the first to come back is waited for, and how long all of them, in syncs. */
const FIRST_SHARE = 0.2
const ALL_SHARE = 0.75
/** The share of those expected that makes a wait worth it. */
const WORTH_SHARE = 0.75
/** So many groups at most go without waiting, after others have waited in vain. */
const SKIPS_MAX = 16

/** How long a group may wait for the callers that were acknowledged with the one before. */
export class CommitSiblings {
  #acknowledged = 0
  #acknowledgedAt = 0
  #syncMs = 0
  /** Events of the next group if all come back; undefined before it is known who waits already. */
  #expected: number | undefined
  #skips = 0
  #skipsNext = 1

  /** A group was acknowledged: so many events, after a sync of so many milliseconds. */
  acknowledged(events: number, syncMs: number, now: number): void {
    const isSkipped = this.#skips > 0
    if (isSkipped) this.#skips--
    const isWorthIt = syncMs >= SYNC_MS_MIN && !isSkipped
    this.#acknowledged = isWorthIt ? events : 0
    this.#acknowledgedAt = now
    this.#syncMs = Math.min(syncMs, SYNC_MS_MAX)
    this.#expected = undefined
  }

  /** Whether a group of so many events, all that are there, has company to expect. */
  areExpected(events: number): boolean {
    if (this.#acknowledged === 0) return false
    this.#expected ??= events + this.#acknowledged
    return events < this.#expected
  }

  /** Until when the first of them is waited for. */
  get firstUntil(): number {
    return this.#acknowledgedAt + this.#syncMs * FIRST_SHARE
  }

  /** Until when all of them are waited for, as long as they keep coming. */
  get allUntil(): number {
    return this.#acknowledgedAt + this.#syncMs * ALL_SHARE
  }

  /** A group is complete with so many events. */
  completed(events: number): void {
    if (this.#acknowledged === 0 || this.#expected === undefined) return
    if (events >= this.#expected * WORTH_SHARE) {
      this.#skipsNext = 1
      return
    }
    this.#skips = this.#skipsNext
    this.#skipsNext = Math.min(SKIPS_MAX, this.#skipsNext * 2)
  }
}
