import { RetryPlan } from '../../../src/writer/drain/retry-plan'

describe('RetryPlan', () => {
  it('is due before anything has failed', () => {
    expect(new RetryPlan(1_000).waitMs(100)).toBeLessThanOrEqual(0)
  })

  it('has no second try without retryForMs', () => {
    expect(new RetryPlan(0).failed(100)).toBe(0)
  })

  it('waits from 5 ms on, twice as long each time, to a second', () => {
    const plan = new RetryPlan(60_000)
    let now = 100
    const waits = Array.from({ length: 10 }, () => {
      const waitMs = plan.failed(now)
      expect(plan.waitMs(now)).toBe(waitMs)
      now += waitMs
      return waitMs
    })
    expect(waits).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000])
  })

  it('has its last try when retryForMs is over, and none after it', () => {
    const plan = new RetryPlan(12)
    expect([plan.failed(100), plan.failed(105), plan.failed(112)]).toEqual([5, 7, 0])
  })

  it('begins anew with the next group', () => {
    const plan = new RetryPlan(12)
    for (const now of [100, 105, 112]) plan.failed(now)
    plan.reset()
    expect(plan.waitMs(200)).toBeLessThanOrEqual(0)
    expect(plan.failed(200)).toBe(5)
  })
})
