import { FLUSH_UP_TO, positionDelta, type RingView } from '../ring/memory-map'
import type { Group } from './group'

/*
 * A group is whatever is in the ring when the drainer looks; events that arrive during its sync are
 * the next group. It waits for more events in three cases, and in the first two not while somebody waits
 * for the ring to be drained (FLUSH_UP_TO):
 *
 * - linger, asleep, `maxDelayMs` from its first event: for users who want fewer syncs more than low
 *   latency. The default, 0, means no wait.
 * - returning callers, asleep, a fifth of a sync. Callers that wait for their acknowledgement before
 *   they record again fall into two groups that take turns: while one is synced, the other waits for
 *   the next sync, so every event waits for two syncs. If a sync takes 0.4 ms or more, it pays to wait
 *   a little for the callers that were just acknowledged, as databases do with a commit delay, so that
 *   all go in one group. Whether they come back is learnt, not assumed: if events come at their own
 *   times, hardly any group waits. With a sync of 2 ms the wait cuts the p50 to 0.54 times its value at
 *   8 in flight, and to 0.77 times at 64.
 * - the rest of a burst, awake, some microseconds: a caller whose events were acknowledged together
 *   records the next ones in one turn of its event loop, and to take only the first few of them costs
 *   all the others the wait for a sync of their own. With 64 in flight this makes 1.33 times as many
 *   events per second durable (1.23 to 1.57 in 8 alternating pairs), with 8 in flight 1.09 times; with 1
 *   and with 1,024 it makes no difference, nor does it if other programs keep both cores busy.
 */

/** Faster syncs leave nothing to gain, because waking the caller takes as long. Milliseconds. */
const SYNC_MS_MIN = 0.4
/** A longer sync counts as this: after a stall nobody should wait long. Milliseconds. */
const SYNC_MS_MAX = 50
/** How long the first caller to return is waited for, and how long all of them, in syncs. */
const FIRST_SHARE = 0.2
const ALL_SHARE = 0.75
/** The share of the expected callers that makes a wait worthwhile. */
const WORTH_SHARE = 0.75
/** The most groups that go without waiting after others have waited in vain. */
const SKIPS_MAX = 16
/**
 * How often to look at the tail for the next event of a burst. It takes some 10 microseconds, longer than
 * a caller takes from one call to the next within one turn of its event loop.
 */
const BURST_LOOKS = 500
/** How long to wait for a burst in all, from its first event, in milliseconds. */
const BURST_MS_MAX = 0.2

/** The part of a group that decides about its delay. */
export type GroupSoFar = Pick<Group, 'start' | 'until' | 'events' | 'firstAt'>

/** A look at the ring. */
export interface RingLook {
  /** The tail that was last seen. */
  readonly copiedPosition: number
  /** Looks again; returns whether anything has arrived. */
  refill(): boolean
}

/** How long a group waits for more events before it is committed. Times are those of `performance.now()`. */
export class CommitDelay {
  readonly #ring: RingView
  readonly #maxDelayMs: number
  /** Events of the previous group. */
  #lastEvents = 0
  /** The callers to expect, and when and after how long a sync they were acknowledged. */
  #acknowledged = 0
  #acknowledgedAt = 0
  #syncMs = 0
  /** Events of the group if all callers come back; undefined until the waiting ones were counted. */
  #expected: number | undefined
  #skips = 0
  #skipsNext = 1

  constructor(ring: RingView, maxDelayMs: number) {
    this.#ring = ring
    this.#maxDelayMs = maxDelayMs
  }

  /** Milliseconds that a group of at least one event waits for more; 0 when it should go. */
  waitMs(group: GroupSoFar, look: RingLook, now: number): number {
    if (this.#isFlushed(group, look)) return 0
    const lingerMs = group.firstAt + this.#maxDelayMs - now
    const isWaiting = group.until === undefined && this.#areCallersExpected(group.events)
    const callersMs = isWaiting ? this.#acknowledgedAt + this.#syncMs * FIRST_SHARE - now : 0
    return Math.max(0, lingerMs, callersMs)
  }

  /** If the last group was a burst, watches for a moment whether the caller is in the middle of another. */
  isBurstGoingOn(group: GroupSoFar, look: RingLook, now: number): boolean {
    if (this.#lastEvents < 2 || group.events === 0 || group.until !== undefined) return false
    const areExpected = this.#areCallersExpected(group.events)
    const allUntil = areExpected ? this.#acknowledgedAt + this.#syncMs * ALL_SHARE : 0
    if (now > Math.max(group.firstAt + BURST_MS_MAX, allUntil)) return false
    for (let i = 0; i < BURST_LOOKS; i++) if (look.refill()) return true
    return false
  }

  /** A group is complete with `events`. */
  completed(events: number): void {
    if (this.#acknowledged === 0 || this.#expected === undefined) return
    if (events >= this.#expected * WORTH_SHARE) {
      this.#skipsNext = 1
      return
    }
    this.#skips = this.#skipsNext
    this.#skipsNext = Math.min(SKIPS_MAX, this.#skipsNext * 2)
  }

  /** A group of `events` was acknowledged, after syncs of `syncMs` milliseconds. */
  acknowledged(events: number, syncMs: number, now: number): void {
    const isSkipped = this.#skips > 0
    if (isSkipped) this.#skips--
    const isWorthIt = syncMs >= SYNC_MS_MIN && !isSkipped
    this.#acknowledged = isWorthIt ? events : 0
    this.#acknowledgedAt = now
    this.#syncMs = Math.min(syncMs, SYNC_MS_MAX)
    this.#expected = undefined
    if (events > 0) this.#lastEvents = events
  }

  /** Whether a group of `events`, all that are there, has callers to expect. */
  #areCallersExpected(events: number): boolean {
    if (this.#acknowledged === 0) return false
    this.#expected ??= events + this.#acknowledged
    return events < this.#expected
  }

  /** Whether somebody blocks until this group is durable. */
  #isFlushed({ start }: GroupSoFar, { copiedPosition }: RingLook): boolean {
    const flushUpTo = Atomics.load(this.#ring.words, FLUSH_UP_TO)
    // It must lie within the ring: an old one would seem to lie ahead again after 2^31 bytes.
    return positionDelta(flushUpTo, start) > 0 && positionDelta(flushUpTo, copiedPosition) <= 0
  }
}
