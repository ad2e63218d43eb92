import { RestartBackoff } from '../../../src/writer/worker/restart-backoff'

describe('RestartBackoff', () => {
  let now = 0
  const newBackoff = () => new RestartBackoff(() => now)

  /** Milliseconds until the next attempt is due, to a tenth of a second. */
  const pauseOf = (backoff: RestartBackoff) => {
    const from = now
    while (!backoff.isDue && now - from < 1e6) now += 100
    return now - from
  }

  it('has no attempt due before the worker is given up', () => {
    const backoff = newBackoff()
    now += 1e9
    expect(backoff.isDue).toBe(false)
  })

  it('waits a second, then twice as long each time, up to ten minutes', () => {
    const backoff = newBackoff()
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
