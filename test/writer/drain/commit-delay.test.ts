import { CommitSiblings } from '../../../src/writer/drain/commit-delay'

const SLOW_MS = 10

/** A group of `events` is acknowledged while `waiting` wait, and the next is committed with `next`. */
function round(siblings: CommitSiblings, events: number, waiting: number, next: number): boolean {
  siblings.acknowledged(events, SLOW_MS, 0)
  const areExpected = siblings.areExpected(waiting)
  siblings.completed(next)
  return areExpected
}

describe('those who were just acknowledged', () => {
  it('are expected back beside those who wait already, and nobody more', () => {
    const siblings = new CommitSiblings()
    siblings.acknowledged(3, SLOW_MS, 0)
    expect([2, 3, 4, 5, 6].map((events) => siblings.areExpected(events))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ])
  })

  it('are waited for by shares of the sync, from the moment of their acknowledgement', () => {
    const siblings = new CommitSiblings()
    siblings.acknowledged(3, SLOW_MS, 500)
    expect([siblings.firstUntil, siblings.allUntil]).toEqual([502, 507.5])
  })

  it('are not waited for long after a disk that stalled', () => {
    const siblings = new CommitSiblings()
    siblings.acknowledged(3, 10_000, 500)
    expect([siblings.firstUntil, siblings.allUntil]).toEqual([510, 537.5])
  })

  it('are not waited for where a sync takes no longer than waking them', () => {
    const siblings = new CommitSiblings()
    siblings.acknowledged(3, 0.39, 0)
    expect(siblings.areExpected(1)).toBe(false)
    siblings.acknowledged(3, 0.4, 0)
    expect(siblings.areExpected(1)).toBe(true)
  })

  it('are waited for again and again as long as they come', () => {
    const siblings = new CommitSiblings()
    const rounds = Array.from({ length: 50 }, () => round(siblings, 4, 4, 6))
    expect(rounds).toEqual(Array.from({ length: 50 }, () => true))
  })

  it('are left alone for ever longer, up to 16 groups, where they do not come', () => {
    const siblings = new CommitSiblings()
    const rounds = Array.from({ length: 100 }, () => round(siblings, 4, 4, 5))
    const waits = rounds.flatMap((isWaiting, index) => (isWaiting ? [index] : []))
    expect(waits).toEqual([0, 2, 5, 10, 19, 36, 53, 70, 87])
  })

  it('are waited for as at first once they have come', () => {
    const siblings = new CommitSiblings()
    for (let i = 0; i < 10; i++) round(siblings, 4, 4, 5)
    const rounds = [8, 5, 5, 5, 5].map((next) => round(siblings, 4, 4, next))
    expect(rounds).toEqual([true, true, false, true, false])
  })

  it('are not missed where nobody had to wait for them', () => {
    const siblings = new CommitSiblings()
    siblings.acknowledged(4, SLOW_MS, 0)
    siblings.completed(1)
    siblings.acknowledged(4, SLOW_MS, 0)
    expect(siblings.areExpected(1)).toBe(true)
  })
})
