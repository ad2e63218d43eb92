import { RestartBackoff } from '../../../src/writer/worker/restart-backoff'

describe('RestartBackoff', () => {
  beforeEach(() => jest.useFakeTimers({ now: 0 }))
  afterEach(() => jest.useRealTimers())

  /** Milliseconds until the next attempt is due, to a tenth of a second. */
  const pauseOf = (backoff: RestartBackoff) => {
    let ms = 0
    for (; !backoff.isDue; ms += 100) jest.advanceTimersByTime(100)
    return ms
  }

  it('has no attempt due before the worker is given up', () => {
    const backoff = new RestartBackoff()
    jest.advanceTimersByTime(1e9)
    expect(backoff.isDue).toBe(false)
  })

  it('waits a second, then twice as long each time, up to ten minutes', () => {
    const backoff = new RestartBackoff()
    const pauses = Array.from({ length: 12 }, () => {
      backoff.failed()
      const pause = pauseOf(backoff)
      backoff.begin()
      expect(backoff.isDue).toBe(false)
      return pause
    })
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600].map((s) => s * 1_000))
    backoff.succeeded()
    expect(backoff.isDue).toBe(false)
    backoff.failed()
    expect(pauseOf(backoff)).toBe(1_000)
  })
})
