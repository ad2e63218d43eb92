import { appendFileSync } from 'node:fs'
import { findKnee, type RatePoint } from '../../bench/harness/knee'
import {
  type Entrant,
  isSaturatedBy,
  isSpared,
  rateTrial,
  runGenerator,
  runRate,
  withRemark,
} from '../../bench/harness/rate-trial'
import { linesOf } from '../../bench/harness/read-back'
import { RowBuilder } from '../../bench/harness/row-builder'
import type { Contender } from '../../bench/harness/trial'
import { lineOf } from '../../bench/harness/workload'
import { useTempDir } from '../support/temp-dir'
import { pause } from '../support/waiting'

const temp = useTempDir()

describe('findKnee', () => {
  const points = (p99s: readonly number[], saturatedFrom = Number.POSITIVE_INFINITY): RatePoint[] =>
    p99s.map((p99Us, i) => {
      const ratePerSecond = 1_000 * 2 ** i
      return { ratePerSecond, p99Us, isSaturated: ratePerSecond >= saturatedFrom }
    })

  it.each([
    ['a hockey stick', [10, 11, 12, 29, 400, 9_000], 8_000],
    ['the limit itself', [10, 30, 30.1], 2_000],
    ['a flat line', [10, 10, 10], 4_000],
    ['a writer that is slower when it is woken for each event', [50, 40, 10, 12, 31, 99], 8_000],
    ['one bad moment at a low rate', [10, 900, 12, 13, 900], 8_000],
    ['a single rate', [10], 1_000],
    ['a climb from the start', [10, 100, 1_000], 1_000],
  ])('finds in %s the highest rate near the best', (_, p99s, knee) => {
    expect(findKnee(points(p99s))?.ratePerSecond).toBe(knee)
    expect(findKnee(points(p99s).toReversed())?.ratePerSecond).toBe(knee)
  })

  it('never returns a rate that could not be held, however good its p99', () => {
    expect(findKnee(points([10, 11, 1, 2], 4_000))?.ratePerSecond).toBe(2_000)
    expect(findKnee(points([10, 11], 1_000))).toBeUndefined()
    expect(findKnee([])).toBeUndefined()
  })
})

/** Writes one line per tick of its timer: a few hundred per second, however many are sent. */
class SlowWriter {
  mostInFlight = 0
  #inFlight = 0
  #last: Promise<unknown> = Promise.resolve()

  readonly contender: Contender = {
    name: 'slow',
    keepsOrder: true,
    outcome: 'durable',
    inFlightMax: Number.POSITIVE_INFINITY,
    stored: linesOf,
    open: (path) => ({
      append: async (call) => {
        this.mostInFlight = Math.max(this.mostInFlight, ++this.#inFlight)
        const turn = this.#last.then(() => pause(2))
        this.#last = turn
        await turn
        appendFileSync(path, lineOf(call))
        this.#inFlight--
        return 'durable' as const
      },
      close: () => undefined,
    }),
  }
}

describe('runRate', () => {
  const sizes = { repeats: 1, ms: 100, samples: 1, isQuick: true, progress: () => undefined }

  function entrantOf(contender: Contender, saturation: number): Entrant {
    return { contender, saturation, kneeRow: new RowBuilder('knee') }
  }

  it('saturates a contender that cannot hold the rate, with a bounded queue and no event left out', async () => {
    const slow = new SlowWriter()
    const trial = rateTrial(entrantOf(slow.contender, 400), 20_000, '20,000/s', {}, false)
    const point = await runRate(trial, 50, { ...sizes, dir: temp.path('') })
    expect([point.ratePerSecond, point.isSaturated]).toEqual([20_000, true])
    // A quarter of a second's worth of 400 a second.
    expect(slow.mostInFlight).toBe(100)
    const row = withRemark(trial).build()
    // 2,000 events were to come in 100 ms, and most were never sent.
    expect([row.name, row.remark, row.curve?.count]).toEqual(['20,000/s, slow', 'saturated', 2_000])
    const { ratePerSecond, achievedPerSecond, p50Us, p99Us, p99TimesRaw } = point.figures
    expect(ratePerSecond).toBe(20_000)
    expect(achievedPerSecond).toBeLessThan(1_000)
    // Half of them were meant for the first 50 ms, and were still there at 100.
    expect(p50Us).toBeGreaterThanOrEqual(40_000)
    expect(p99TimesRaw).toBe((p99Us ?? 0) / 50)
    const [file] = trial.files
    expect(file?.lines).toBe(file?.acknowledged)
    expect(file?.lines).toBeGreaterThanOrEqual(100)
  })

  it('remarks in how many repeats the rate was saturated', () => {
    const remarkOf = (...saturated: boolean[]) => {
      const trial = rateTrial(entrantOf(new SlowWriter().contender, 1), 1, '1/s', {}, false)
      trial.saturated.push(...saturated)
      return withRemark(trial).build().remark
    }
    expect([remarkOf(false, false), remarkOf(true, false), remarkOf(true, true)]).toEqual([
      undefined,
      'saturated (1 of 2)',
      'saturated',
    ])
  })

  it('counts a rate as held if all was sent and the last acknowledged soon after the end', () => {
    const run = (intended: number, done: number, elapsedMs: number) =>
      isSaturatedBy({ intended, done, elapsedMs }, 1_000)
    expect(run(500, 500, 1_001)).toBe(false)
    expect(run(500, 500, 1_070)).toBe(false)
    expect(run(500, 500, 1_071)).toBe(true)
    expect(run(500, 499, 1_001)).toBe(true)
  })

  it('skips optional rates beyond one that could not be held', () => {
    const entrant = entrantOf(new SlowWriter().contender, 1)
    const known = [
      { ratePerSecond: 100, p99Us: 1, isSaturated: false, figures: {} },
      { ratePerSecond: 200, p99Us: 1, isSaturated: true, figures: {} },
    ]
    const isSparedAt = (rate: number, isOptional: boolean, points = known) =>
      isSpared(rateTrial(entrant, rate, '', {}, isOptional), points)
    expect([150, 200, 201].map((rate) => isSparedAt(rate, true))).toEqual([false, false, true])
    expect(isSparedAt(201, false)).toBe(false)
    expect(isSparedAt(201, true, [])).toBe(false)
  })

  it('measures the generator alone, whose events arrive at once', async () => {
    const row = new RowBuilder('generator alone')
    await runGenerator({ ratePerSecond: 1_000, row }, { ...sizes, dir: temp.path('') })
    const { figures, curve } = row.build()
    // Four times 100 ms, since the rate is low.
    expect(curve?.count).toBe(400)
    expect(Object.keys(figures)).not.toContain('p99TimesRaw')
    expect(figures.maxUs?.median).toBeGreaterThan(0)
  })
})
