import { WorkerTrials } from '../../../src/writer/worker/restart-backoff'

describe('trials of a worker that was given up', () => {
  beforeEach(() => jest.useFakeTimers({ now: 0 }))
  afterEach(() => jest.useRealTimers())

  /** Milliseconds until the next trial is due, to a tenth of a second. */
  const pauseOf = (trials: WorkerTrials) => {
    let ms = 0
    for (; !trials.areDue; ms += 100) jest.advanceTimersByTime(100)
    return ms
  }

  it('are not due before it is given up', () => {
    const trials = new WorkerTrials()
    jest.advanceTimersByTime(1e9)
    expect(trials.areDue).toBe(false)
  })

  it('come after a second, then after twice as long each time, up to ten minutes', () => {
    const trials = new WorkerTrials()
    const pauses = Array.from({ length: 12 }, () => {
      trials.failed()
      const pause = pauseOf(trials)
      trials.begin()
      expect(trials.areDue).toBe(false)
      return pause
    })
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600].map((s) => s * 1_000))
    trials.succeeded()
    expect(trials.areDue).toBe(false)
    trials.failed()
    expect(pauseOf(trials)).toBe(1_000)
  })
})
