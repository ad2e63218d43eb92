import { runClosedLoop, runOpenLoop } from '../../src/toolkit/load/open-loop'
import { percentile, Samples, summaryOf } from '../../src/toolkit/load/samples'
import { Schedule } from '../../src/toolkit/load/schedule'
import { pause, stall } from '../support/waiting'

/** Lets 10 ms pass `count` times: when the thread is held up, others get their turn before the end. */
async function naps(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await pause(10)
}

describe('a schedule', () => {
  it('gives each event a moment of its own up to 2,000 per second', () => {
    const schedule = new Schedule(500, 10)
    expect(schedule.count).toBe(5)
    expect([0, 1, 2, 3, 4].map((i) => schedule.intendedMs(i))).toEqual([0, 2, 4, 6, 8])
    expect([-1, 0, 1.9, 2, 7.9, 8, 100].map((ms) => schedule.dueBy(ms))).toEqual([
      0, 1, 1, 2, 4, 5, 5,
    ])
  })

  it('above that has them come in bursts, with a remainder spread out', () => {
    const schedule = new Schedule(5_000, 2)
    expect(schedule.count).toBe(10)
    const moments = Array.from({ length: 10 }, (_, i) => schedule.intendedMs(i))
    expect(moments).toEqual([0, 0, 0, 0.5, 0.5, 1, 1, 1, 1.5, 1.5])
    expect([0, 0.4, 0.5, 1, 1.5].map((ms) => schedule.dueBy(ms))).toEqual([3, 3, 5, 8, 10])
  })

  it.each([1, 3, 7, 333, 1_000, 1_999, 2_001, 7_777, 123_457])(
    'at %d a second has each event due at its moment, and not before',
    (rate) => {
      const schedule = new Schedule(rate, 3_000)
      expect(schedule.count).toBe(rate * 3)
      const wrong = []
      for (let i = 0; i < schedule.count; i++) {
        const moment = schedule.intendedMs(i)
        const isDue = schedule.dueBy(moment) > i
        const isEarly = schedule.dueBy(moment - schedule.periodMs / 2) > i
        if (!isDue || isEarly) wrong.push(i)
      }
      expect(wrong).toEqual([])
      expect(schedule.dueBy(3_000)).toBe(schedule.count)
    },
  )
})

describe('samples', () => {
  it('keep all that is added, and give it ascending', () => {
    const samples = new Samples()
    for (let i = 0; i < 10_000; i++) samples.add((i * 7_919) % 10_000)
    expect([...samples.sorted()]).toEqual(Array.from({ length: 10_000 }, (_, i) => i))
  })

  it('have nearest-rank percentiles', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1)
    expect([0, 1, 50, 99, 99.9, 100].map((p) => percentile(hundred, p))).toEqual([
      1, 1, 50, 99, 100, 100,
    ])
    expect(summaryOf([3])).toEqual({ count: 1, p50: 3, p99: 3, p999: 3, max: 3 })
    expect(summaryOf([])).toEqual({ count: 0, p50: 0, p99: 0, p999: 0, max: 0 })
  })
})

describe('the open loop', () => {
  it('sends the events that are due, no sooner, and counts each', async () => {
    const sentMs: number[] = []
    const startedMs = performance.now()
    const send = async () => {
      sentMs.push(performance.now())
    }
    const found = await runOpenLoop(200, { send, durationMs: 250, maxInFlight: 50 })
    expect([found.intended, found.done, found.latenciesMs.length]).toEqual([50, 50, 50])
    expect(sentMs.length).toBe(50)
    // The 50th is meant for 245 ms after the first moment, which lies after the start.
    expect((sentMs[49] ?? 0) - startedMs).toBeGreaterThanOrEqual(245)
    expect(found.callNs).toBeGreaterThan(0)
  })

  it('lets no event off that a stalled thread has sent late', async () => {
    const STALL_MS = 200
    let count = 0
    const send = async () => {
      if (++count !== 50) return
      stall(STALL_MS)
    }
    const found = await runOpenLoop(1_000, { send, durationMs: 600, maxInFlight: 1_000 })
    expect(found.done).toBe(600)
    // Of the 200 that were meant for the stall, those of its first 150 ms are at least 50 ms late.
    const late = [...found.latenciesMs].filter((ms) => ms >= STALL_MS - 150)
    expect(late.length).toBeGreaterThanOrEqual(140)
    expect(found.latenciesMs.at(-1)).toBeGreaterThanOrEqual(STALL_MS - 2)
    expect(found.latenessMs.at(-1)).toBeGreaterThanOrEqual(STALL_MS - 2)
  })

  it('counts with their age the events for which there was no room', async () => {
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const sent: number[] = []
    const send = () => {
      sent.push(sent.length)
      if (sent.length === 3) void naps(40).then(release)
      return released
    }
    const found = await runOpenLoop(100, { send, durationMs: 200, maxInFlight: 3 })
    expect([found.intended, found.done, sent.length]).toEqual([20, 3, 3])
    expect(found.latenciesMs.length).toBe(20)
    // The last of the unsent was meant for 190 ms, the first for 30 ms, of at least 200 ms.
    const [youngest = 0] = found.latenciesMs
    expect(youngest).toBeGreaterThanOrEqual(10 - 1e-6)
    const old = [...found.latenciesMs].filter((ms) => ms >= 100)
    expect(old.length).toBeGreaterThanOrEqual(11)
  })

  it('ends with the reason of an event that failed, or of the signal', async () => {
    const failed = new Error('no')
    const load = { durationMs: 10_000, maxInFlight: 4 }
    const refuse = () => Promise.reject(failed)
    await expect(runOpenLoop(100, { ...load, send: refuse })).rejects.toBe(failed)
    await expect(runClosedLoop({ ...load, send: refuse })).rejects.toBe(failed)
    const controller = new AbortController()
    const send = async () => controller.abort(failed)
    const aborted = { ...load, send, signal: controller.signal }
    await expect(runOpenLoop(100, aborted)).rejects.toBe(failed)
  })
})

describe('the closed loop', () => {
  it('keeps as many under way as it may, and no more', async () => {
    let inFlight = 0
    const seen: number[] = []
    const send = async () => {
      seen.push(++inFlight)
      await pause(1)
      inFlight--
    }
    const found = await runClosedLoop({ send, durationMs: 100, maxInFlight: 8 })
    expect(Math.max(...seen)).toBe(8)
    expect(inFlight).toBe(0)
    expect([found.done, found.intended, found.latenciesMs.length]).toEqual(
      Array(3).fill(seen.length),
    )
  })

  it('keeps its events in flight even if no time is left', async () => {
    const load = { send: () => pause(1), maxInFlight: 3 }
    const closed = await runClosedLoop({ ...load, durationMs: 0 })
    expect([closed.done, closed.latenciesMs.length]).toEqual([3, 3])
    const open = await runOpenLoop(1, { ...load, durationMs: 0 })
    expect([open.done, open.latenciesMs.length]).toEqual([1, 1])
  })
})
