import fc from 'fast-check'
import { DurationBounds } from '../../src/cli/stats/duration-bounds'
import { LogHistogram } from '../../src/cli/stats/log-histogram'
import { OpenRequests } from '../../src/cli/stats/open-requests'
import { Timeline } from '../../src/cli/stats/timeline'
import { TopCounter } from '../../src/cli/stats/top-counter'
import { parseLine } from '../../src/format/parse-line'
import { type AuditRecord, isProblem } from '../../src/format/records'
import { percentile } from '../../src/toolkit/load/samples'
import { formatDuration } from '../../src/toolkit/text/time'
import { seeded } from '../support/seed'
import { times } from '../support/times'
import { lineText } from '../support/verified'

const RUNS = times('RUNS', 200, 5_000)
const values = fc.array(fc.oneof(fc.nat(300), fc.nat(100_000), fc.maxSafeInteger().map(Math.abs)), {
  minLength: 1,
  maxLength: 300,
  size: 'max',
})

function recordOf(event: string, id: number, ms: number, fields?: object): AuditRecord {
  const parsed = parseLine(lineText(event, id.toString(16).padStart(32, '0'), ms, fields))
  if (isProblem(parsed)) throw new Error(parsed.message)
  return parsed
}

describe('the histogram of durations', () => {
  it('gives each percentile to one part in 64, and small and largest values exactly', () => {
    fc.assert(
      fc.property(values, fc.constantFrom(50, 90, 99, 99.9, 100), (all, p) => {
        const histogram = new LogHistogram()
        for (const value of all) histogram.add(value)
        const exact = percentile(Float64Array.from(all).sort(), p)
        const found = histogram.percentile(p)
        expect(found).toBeGreaterThanOrEqual(exact)
        expect(found).toBeLessThanOrEqual(exact < 128 ? exact : exact * (1 + 1 / 64))
        expect([histogram.max, histogram.count]).toEqual([Math.max(...all), all.length])
      }),
      seeded(RUNS),
    )
  })

  it('knows no percentile of nothing, and the largest value whatever it is', () => {
    expect(new LogHistogram().percentile(50)).toBe(0)
    const largest = new LogHistogram()
    largest.add(2 ** 64)
    expect([largest.max, largest.percentile(50)]).toEqual([2 ** 64, 2 ** 64])
  })
})

describe('the bars of durations', () => {
  it('count each duration once, at most as long as its round bound and longer than the one before', () => {
    fc.assert(
      fc.property(values, (all) => {
        const bounds = new DurationBounds()
        for (const value of all) bounds.add(value)
        const counts = bounds.counts()
        expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(all.length)
        for (const [i, { upTo, count }] of counts.entries()) {
          const above = i === 0 ? -1 : (counts[i - 1]?.upTo ?? -1)
          expect(count).toBe(all.filter((value) => value > above && value <= upTo).length)
        }
      }),
      seeded(RUNS),
    )
  })

  it('have bounds that people count in', () => {
    const bounds = new DurationBounds()
    bounds.add(0)
    bounds.add(3_600_001)
    expect(bounds.counts().map(({ upTo }) => formatDuration(upTo))).toEqual([
      ...['1 ms', '2 ms', '5 ms', '10 ms', '20 ms', '50 ms', '100 ms', '200 ms', '500 ms'],
      ...['1 s', '2 s', '5 s', '10 s', '30 s', '1 min', '2 min', '5 min', '10 min', '30 min'],
      ...['1 h', '2 h'],
    ])
  })
})

describe('the most frequent names', () => {
  const names = fc.array(
    fc.nat(40).map((n) => `agent-${n}`),
    { maxLength: 400, size: 'max' },
  )
  const exactly = (all: readonly string[]) => {
    const counts = new Map<string, number>()
    for (const name of all) counts.set(name, (counts.get(name) ?? 0) + 1)
    return counts
  }

  it('are exact if there is room for all', () => {
    fc.assert(
      fc.property(names, (all) => {
        const counter = new TopCounter(() => undefined, 50)
        for (const name of all) counter.add(name)
        const expected = [...exactly(all)].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
        expect(counter.top(5).map(({ key, total }) => [key, total])).toEqual(expected.slice(0, 5))
        expect([counter.errorMax, counter.size]).toEqual([0, expected.length])
      }),
      seeded(RUNS),
    )
  })

  it('are otherwise too low by no more than they say', () => {
    fc.assert(
      fc.property(names, (all) => {
        const counter = new TopCounter(() => undefined, 8)
        for (const name of all) counter.add(name)
        const exact = exactly(all)
        expect(counter.size).toBeLessThanOrEqual(16)
        const known = new Map(counter.top(1_000).map(({ key, total }) => [key, total]))
        for (const [name, count] of exact) {
          const found = known.get(name) ?? 0
          expect(found).toBeLessThanOrEqual(count)
          expect(found).toBeGreaterThanOrEqual(count - counter.errorMax)
        }
      }),
      seeded(RUNS),
    )
  })
})

describe('the requests that are open', () => {
  it('are those without an exit or denial, up to the limit; the others are counted', () => {
    const open = new OpenRequests(3)
    for (const id of [1, 2, 3, 4, 5]) open.take(recordOf('request', id, 10 - id))
    open.take(recordOf('started', 2, 20))
    open.take(recordOf('denial', 3, 21))
    open.take(recordOf('exit', 5, 22))
    expect(open.list().map(({ requestId, isStarted }) => [Number(requestId), isStarted])).toEqual([
      [2, true],
      [1, false],
    ])
    expect(open.untracked).toBe(2)
  })

  it('keep a command of any length short', () => {
    const open = new OpenRequests()
    open.take(recordOf('request', 1, 0, { argv: ['x'.repeat(100_000)] }))
    open.take(recordOf('request', 2, 0, { argv: [] }))
    expect(open.list().map(({ command }) => command)).toEqual([`${'x'.repeat(256)}…`, null])
  })
})

describe('the timeline', () => {
  const at = (text: string) => Date.parse(text)
  const startsOf = (period: 'minute' | 'hour' | 'day', isUtc: boolean, ...moments: string[]) => {
    const timeline = new Timeline(period, isUtc)
    for (const moment of moments) timeline.add(recordOf('started', 1, at(moment)))
    return timeline
      .buckets()
      .map(({ startMs, events }) => [new Date(startMs).toISOString(), events])
  }

  it('counts each event in its minute, hour or day, whatever the order', () => {
    const moments = ['2026-03-29T00:59:59.999Z', '2026-03-28T23:00:00Z', '2026-03-29T00:59:00Z']
    expect(startsOf('minute', true, ...moments)).toEqual([
      ['2026-03-28T23:00:00.000Z', 1],
      ['2026-03-29T00:59:00.000Z', 2],
    ])
    expect(startsOf('hour', true, ...moments)).toEqual([
      ['2026-03-28T23:00:00.000Z', 1],
      ['2026-03-29T00:00:00.000Z', 2],
    ])
    expect(startsOf('day', true, ...moments)).toEqual([
      ['2026-03-28T00:00:00.000Z', 1],
      ['2026-03-29T00:00:00.000Z', 2],
    ])
  })

  it('counts events, requests, denials and failures', () => {
    const timeline = new Timeline('day', true)
    const events = [
      recordOf('request', 1, 0),
      recordOf('exit', 1, 1, { code: 0 }),
      recordOf('exit', 2, 2, { code: 3 }),
      recordOf('exit', 3, 3, { code: null, signal: 9 }),
      recordOf('denial', 4, 4),
    ]
    for (const event of events) timeline.add(event)
    expect(timeline.buckets()).toEqual([
      { startMs: 0, events: 5, requests: 1, denials: 1, failures: 3 },
    ])
  })

  it('counts the events for which it has no room', () => {
    const timeline = new Timeline('minute', true)
    for (let n = 0; n < 20_200; n++) timeline.add(recordOf('started', 1, n * 60_000))
    expect([timeline.buckets().length, timeline.untracked]).toEqual([20_160, 40])
  })
})
