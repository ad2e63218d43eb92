import { CommitDelay } from '../../../src/writer/drain/commit-delay'
import { allocateMemory, FLUSH_UP_TO } from '../../../src/writer/ring/memory-map'

const SLOW_MS = 10
/** A ring in which nothing arrives, and 64 bytes of which were seen. */
const QUIET = { copiedPosition: 64, refill: () => false }
const BUSY = { copiedPosition: 64, refill: () => true }

function newDelay({ maxDelayMs = 0, flushUpTo = 0 } = {}): CommitDelay {
  const { ring } = allocateMemory(1024)
  ring.words[FLUSH_UP_TO] = flushUpTo
  return new CommitDelay(ring, maxDelayMs)
}

function group(events: number, { firstAt = 0, until }: { firstAt?: number; until?: number } = {}) {
  return { start: 0, until, events, firstAt }
}

function isWaiting(delay: CommitDelay, events: number): boolean {
  return delay.waitMs(group(events), QUIET, 0) > 0
}

/** A group of `events` is acknowledged while `waiting` wait, and the next is committed with `next`. */
function round(delay: CommitDelay, events: number, waiting: number, next: number): boolean {
  delay.acknowledged(events, SLOW_MS, 0)
  const areAwaited = isWaiting(delay, waiting)
  delay.completed(next)
  return areAwaited
}

describe('CommitDelay, for lingering', () => {
  it('waits for maxDelayMs from the first event, and no longer', () => {
    const delay = newDelay({ maxDelayMs: 5 })
    const waits = [100, 103, 105, 110].map((now) =>
      delay.waitMs(group(1, { firstAt: 100 }), QUIET, now),
    )
    expect(waits).toEqual([5, 2, 0, 0])
  })

  it.each([
    [64, 0],
    [8, 0],
    // Before the group, and from the previous lap.
    [0, 5],
    [128, 5],
  ])('with flushUpTo(%d) waits for %d ms', (flushUpTo, waitMs) => {
    const delay = newDelay({ maxDelayMs: 5, flushUpTo })
    expect(delay.waitMs(group(1), QUIET, 0)).toBe(waitMs)
  })
})

describe('CommitDelay, for returning callers', () => {
  it('expects the acknowledged callers beside those that wait already, and no others', () => {
    const delay = newDelay()
    delay.acknowledged(3, SLOW_MS, 0)
    expect([2, 3, 4, 5, 6].map((events) => isWaiting(delay, events))).toEqual([
      ...[true, true, true],
      ...[false, false],
    ])
  })

  it('waits for the first one for a share of the sync, from the acknowledgement on', () => {
    const delay = newDelay()
    delay.acknowledged(3, SLOW_MS, 500)
    const waits = [500, 501, 502, 503].map((now) => delay.waitMs(group(1), QUIET, now))
    expect(waits).toEqual([2, 1, 0, 0])
  })

  it('waits for all for a larger share, as long as they keep coming', () => {
    const delay = newDelay()
    delay.acknowledged(3, SLOW_MS, 500)
    const goesOn = [507.5, 507.6].map((now) => delay.isBurstGoingOn(group(1), BUSY, now))
    expect(goesOn).toEqual([true, false])
  })

  it('does not wait long after a disk that stalled', () => {
    const delay = newDelay()
    delay.acknowledged(3, 10_000, 500)
    expect(delay.waitMs(group(1), QUIET, 500)).toBe(10)
    const goesOn = [537.5, 537.6].map((now) => delay.isBurstGoingOn(group(1), BUSY, now))
    expect(goesOn).toEqual([true, false])
  })

  it('does not wait when syncs are fast', () => {
    const delay = newDelay()
    delay.acknowledged(3, 0.39, 0)
    expect(isWaiting(delay, 1)).toBe(false)
    delay.acknowledged(3, 0.4, 0)
    expect(isWaiting(delay, 1)).toBe(true)
  })

  it('does not wait with a group that another drainer had begun, nor after flushUpTo()', () => {
    const delay = newDelay()
    delay.acknowledged(3, SLOW_MS, 0)
    expect(delay.waitMs(group(1, { until: 128 }), QUIET, 0)).toBe(0)
    const flushed = newDelay({ flushUpTo: 64 })
    flushed.acknowledged(3, SLOW_MS, 0)
    expect(isWaiting(flushed, 1)).toBe(false)
  })

  it('keeps waiting for group after group as long as they come', () => {
    const delay = newDelay()
    const rounds = Array.from({ length: 50 }, () => round(delay, 4, 4, 6))
    expect(rounds).toEqual(Array.from({ length: 50 }, () => true))
  })

  it('skips more and more groups, up to 16, while they do not come', () => {
    const delay = newDelay()
    const rounds = Array.from({ length: 100 }, () => round(delay, 4, 4, 5))
    const waits = rounds.flatMap((areAwaited, index) => (areAwaited ? [index] : []))
    expect(waits).toEqual([0, 2, 5, 10, 19, 36, 53, 70, 87])
  })

  it('waits as at first once they have come', () => {
    const delay = newDelay()
    for (let i = 0; i < 10; i++) round(delay, 4, 4, 5)
    const rounds = [8, 5, 5, 5, 5].map((next) => round(delay, 4, 4, next))
    expect(rounds).toEqual([true, true, false, true, false])
  })

  it('does not count callers as missing if no group had to wait for them', () => {
    const delay = newDelay()
    delay.acknowledged(4, SLOW_MS, 0)
    delay.completed(1)
    delay.acknowledged(4, SLOW_MS, 0)
    expect(isWaiting(delay, 1)).toBe(true)
  })
})

describe('CommitDelay, for the rest of a burst', () => {
  const delayAfter = (events: number): CommitDelay => {
    const delay = newDelay()
    delay.acknowledged(events, 0, 0)
    return delay
  }

  it('watches only after a group of several events, and with an event in this one', () => {
    const burst = delayAfter(2)
    expect([0, 1].map((events) => burst.isBurstGoingOn(group(events), BUSY, 0))).toEqual([
      ...[false, true],
    ])
    expect(delayAfter(1).isBurstGoingOn(group(1), BUSY, 0)).toBe(false)
    expect(burst.isBurstGoingOn(group(1), QUIET, 0)).toBe(false)
    expect(burst.isBurstGoingOn(group(1, { until: 128 }), BUSY, 0)).toBe(false)
  })

  it('watches for 0.2 ms from the first event', () => {
    const goesOn = [100.2, 100.3].map((now) =>
      delayAfter(2).isBurstGoingOn(group(1, { firstAt: 100 }), BUSY, now),
    )
    expect(goesOn).toEqual([true, false])
  })
})
