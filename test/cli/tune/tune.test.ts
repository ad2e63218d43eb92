import { readFileSync } from 'node:fs'
import { choose, favouriteOf, optionsBlock } from '../../../src/cli/tune/choose'
import { movedLines } from '../../../src/cli/tune/compare'
import type { TuneReport } from '../../../src/cli/tune/report'
import { reportHtml } from '../../../src/cli/tune/report-html'
import { reportText } from '../../../src/cli/tune/report-text'
import { type LoadName, type Setting, settingsFor } from '../../../src/cli/tune/settings'
import { rawWarnings } from '../../../src/cli/tune/sweep'
import type { Trial } from '../../../src/cli/tune/trial'
import { EVENT_BYTES_MIN, eventMaker } from '../../../src/toolkit/disk/audit-events'
import { innermostMount } from '../../../src/toolkit/disk/disk'
import { parseSlo } from '../../../src/toolkit/disk/slo'
import type { Summary } from '../../../src/toolkit/load/samples'
import { painter } from '../../../src/toolkit/text/colour'
import { formatMs } from '../../../src/toolkit/text/time'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'

const PLAIN: Setting = { maxEvents: undefined, maxDelayMs: 0 }
const ONE: Setting = { maxEvents: 1, maxDelayMs: 0 }
const LINGER: Setting = { maxEvents: undefined, maxDelayMs: 2 }
const SLO = { percentile: 'p99', ms: 5 } as const

const REPORT: TuneReport = {
  machine: { cpu: 'c', cores: 2, memoryGiB: 4, kernel: 'k', node: '20' },
  disk: { fileSystem: 'f', mountPoint: '/', device: 'd', writeCache: 'w', freeBytes: 1 },
  rate: 1_000,
  eventBytes: 350,
  slo: SLO,
  warnings: [],
  raw: [],
  trials: [],
  again: [],
  verdict: { pass: true, disturbed: false, setting: PLAIN, reason: '', headRoom: '' },
  options: optionsBlock(PLAIN),
}

function ack(p99: number): Summary {
  return { count: 100, p50: p99 / 4, p99, p999: p99 * 2, max: p99 * 3 }
}

function trial(setting: Setting, load: LoadName, p99: number, change: Partial<Trial> = {}): Trial {
  const rate = { half: 500, rate: 1_000, twice: 2_000, most: null }[load]
  return {
    setting,
    load,
    rate,
    achieved: rate ?? 50_000,
    keepsUp: true,
    eventsPerSync: 1,
    syncsPerSecond: 900,
    syncP50Ms: 0.5,
    callUs: 2,
    ackMs: ack(p99),
    ackCurve: [],
    ringBytesMax: 1_024,
    loopDelayP99Ms: 0.1,
    ...change,
  }
}

/** A setting's trials with these p99 at half the rate, the rate and twice. */
function trials(setting: Setting, half: number, rate: number, twice: number): Trial[] {
  return [
    trial(setting, 'half', half),
    trial(setting, 'rate', rate),
    trial(setting, 'twice', twice),
    trial(setting, 'most', 20),
  ]
}

const TWICE_BETTER = 'it was better in two trials at the rate, at half and at twice of it.'

describe('the choice', () => {
  it('is the plainest setting, unless another is clearly better', () => {
    const all = [...trials(PLAIN, 1, 1, 2), ...trials(ONE, 1, 0.9, 2), ...trials(LINGER, 3, 3, 3)]
    expect(favouriteOf(all, SLO)).toBe(undefined)
    expect(choose(all, [], SLO)).toEqual({
      pass: true,
      disturbed: false,
      setting: PLAIN,
      reason:
        'No setting was better at the rate, at half and at twice of it, in two trials (p99 1 ms): events that arrive during one sync share the next without waiting for it.',
      headRoom:
        'At 1,000/s p99 is 5.0 times below the limit of 5 ms; at twice the rate it is 2 ms, still within it; the most was 50,000/s, 50 times the rate.',
    })
  })

  it('is another that is clearly better, twice', () => {
    const all = [...trials(PLAIN, 4, 4, 4), ...trials(LINGER, 2, 2, 2)]
    expect(favouriteOf(all, SLO)).toBe(LINGER)
    expect(choose(all, all, SLO)).toMatchObject({
      pass: true,
      setting: LINGER,
      reason: `Delay 2 ms, all per sync has p99 2 ms at 900 syncs/s, against p99 4 ms and 900 syncs/s with the defaults; ${TWICE_BETTER}`,
    })
  })

  it('is the plainest setting if another was better only once', () => {
    const all = [...trials(PLAIN, 4, 4, 4), ...trials(LINGER, 2, 2, 2)]
    const again = [...trials(PLAIN, 4, 4, 4), ...trials(LINGER, 2, 3.5, 2)]
    const verdicts = [choose(all, again, SLO), choose(all, [], SLO)]
    expect(verdicts.map(({ setting }) => setting)).toEqual([PLAIN, PLAIN])
    expect(verdicts.map(({ reason }) => reason.split('it. ')[1])).toEqual([
      'Delay 2 ms, all per sync was better once, but not when both were tried again.',
      'Delay 2 ms, all per sync was better once, and there was no time left to try it again.',
    ])
  })

  it('is the best of those that are better', () => {
    const better = [...trials(PLAIN, 4, 4, 4), ...trials(LINGER, 3, 2, 3)]
    expect(favouriteOf([...better, ...trials(ONE, 2, 1, 2)], SLO)).toBe(ONE)
    expect(favouriteOf([...better, ...trials(ONE, 2, 1, 3.5)], SLO)).toBe(LINGER)
  })

  it('fails, with the nearest setting, if none is within the limit', () => {
    const all = [...trials(PLAIN, 1, 20, 40), ...trials(LINGER, 0.9, 10, 39)]
    const verdict = choose(all, all, SLO)
    expect([verdict.pass, verdict.setting]).toEqual([false, LINGER])
    expect(verdict.reason).toMatch(/^No setting meets the limit; this one comes nearest\. Delay 2/)
    expect(verdict.headRoom).toMatch(/^At 1,000\/s p99 is 2\.0 times above the limit of 5 ms; /)
  })

  it('fails a setting that is fast but does not keep up', () => {
    const all = trials(PLAIN, 1, 1, 1).map((one) => ({ ...one, keepsUp: false }))
    const { pass, reason, headRoom } = choose(all, [], SLO)
    expect(pass).toBe(false)
    expect(reason).toBe('No setting meets the limit; none comes clearly nearer than the defaults.')
    expect(headRoom).toMatch(/, and the queue grew; at twice the rate it is 1 ms, beyond it; /)
  })

  it('is the plainest if another is not better at half, at the rate or at twice', () => {
    for (const linger of [
      trials(LINGER, 4, 2, 3.9),
      trials(LINGER, 3.9, 3.1, 3.9),
      trials(LINGER, 3.9, 2, 4),
      trials(LINGER, 3.9, 2, 5.1),
      trials(LINGER, 3.9, 2, 3.9).filter(({ load }) => load !== 'twice'),
    ]) {
      expect(favouriteOf([...trials(PLAIN, 4, 4, 4), ...linger], SLO)).toBe(undefined)
    }
    const all = [...trials(PLAIN, 4, 4, 4), ...trials(LINGER, 3.9, 2.9, 3.9)]
    expect(favouriteOf(all, SLO)).toBe(LINGER)
  })

  it('is another that meets the limit at the rate, if the plainest does not', () => {
    const all = [...trials(PLAIN, 5.1, 5.1, 5.1), ...trials(LINGER, 4.9, 4.9, 5)]
    expect(choose(all, all, SLO)).toMatchObject({ pass: true, setting: LINGER })
  })

  it('is given as options to paste', () => {
    expect(optionsBlock({ maxEvents: 64, maxDelayMs: 0.3 })).toBe(
      'new ExecAudit(policy, diagnostics, {\n  fsync: { maxDelayMs: 0.3, maxEvents: 64 },\n})',
    )
    expect(optionsBlock(PLAIN)).toContain('fsync: { maxDelayMs: 0 },')
  })
})

describe('a disturbed measurement', () => {
  const slo = { percentile: 'p99', ms: 20 } as const
  const plain = trials(PLAIN, 60, 78.2, 90)
  const linger = trials(LINGER, 80, 95, 6.9)
  const reason =
    'The disk or the machine was disturbed: with delay 2 ms, all per sync it had p99 95 ms at 1,000/s, but p99 6.9 ms at 2,000/s, which is more work.'

  it('recommends nothing if a setting is far faster under more load', () => {
    expect(choose([...plain, ...linger], [], slo)).toEqual({
      pass: false,
      disturbed: true,
      setting: PLAIN,
      reason,
      headRoom:
        'Measure again while less else is running, and without --quick; until then keep the defaults.',
    })
  })

  it('is also one in which the plainest setting keeps up with more than it keeps up with', () => {
    const behind = (load: LoadName) =>
      trials(PLAIN, 3, 3, 3).map((one) => (one.load === load ? { ...one, keepsUp: false } : one))
    expect(choose(behind('rate'), [], slo)).toMatchObject({ pass: false, disturbed: true })
    expect(choose([...behind('half'), ...trials(LINGER, 1, 1, 1)], [], slo)).toMatchObject({
      pass: true,
      setting: PLAIN,
      reason:
        'The defaults meet the limit (p99 3 ms). Whether another setting is better is unknown, since the disk or the machine was disturbed: with delay 0 ms, all per sync it had p99 3 ms and a queue that grew at 500/s, but p99 3 ms at 1,000/s, which is more work.',
    })
  })

  it('fails if the undisturbed trials miss the limit too', () => {
    const all = [...plain, ...trials(LINGER, 80, 95, 20.1)]
    expect(choose(all, [], slo)).toMatchObject({ pass: false, disturbed: false, setting: PLAIN })
  })

  it('leaves out what was disturbed, and chooses among the others', () => {
    const fast = trials({ maxEvents: 64, maxDelayMs: 0 }, 1, 1, 1)
    const all = [...trials(PLAIN, 10, 10, 10), ...trials(LINGER, 0.1, 9, 0.1), ...fast]
    expect(favouriteOf(all, slo)).toEqual({ maxEvents: 64, maxDelayMs: 0 })
    const unclear = trials(LINGER, 9, 0.1, 0.1)
    expect(favouriteOf([...trials(PLAIN, 10, 10, 10), ...unclear], slo)).toBe(undefined)
  })

  it('is not one that differs by a delay, or by what a sleeping thread may take', () => {
    const delayed = trials({ maxEvents: 64, maxDelayMs: 8 }, 12, 10, 1.9)
    expect(choose(delayed, [], { ...slo, ms: 2 }).disturbed).toBe(false)
    expect(choose(trials(PLAIN, 2.2, 2.2, 0.1), [], { ...slo, ms: 0.2 }).disturbed).toBe(false)
  })

  it('says so in each form of the report, without options to paste', () => {
    const verdict = choose([...plain, ...linger], [], slo)
    const report = { ...REPORT, trials: [...plain, ...linger], slo, verdict }
    const text = reportText(report, painter({ isTTY: false }, {}))
    expect(text).toContain(`\nUNCLEAR  p99 within 20 ms at 1,000/s\n${reason}\nMeasure again `)
    const html = reportHtml(report)
    expect(html).toContain('<span class="unclear">UNCLEAR</span> p99 within 20 ms at 1,000/s')
    expect([text, html].filter((form) => form.includes('new ExecAudit'))).toEqual([])
    const clear = { ...report, verdict: { ...verdict, disturbed: false } }
    expect(reportText(clear, painter({ isTTY: false }, {}))).toContain('\n\nnew ExecAudit(')
    expect(reportHtml(clear)).toContain('<pre>new ExecAudit(')
  })
})

describe('the sweep', () => {
  it('always has no delay, one event a sync and all that wait; the plainest first', () => {
    for (const isQuick of [true, false]) {
      const settings = settingsFor(0.42, isQuick)
      expect(settings[0]).toEqual(PLAIN)
      expect(settings).toContainEqual(ONE)
      expect(settings).toContainEqual({ maxEvents: undefined, maxDelayMs: 0.2 })
    }
    expect(settingsFor(0.42, false)).toContainEqual({ maxEvents: 64, maxDelayMs: 0.8 })
  })

  const dir = useTempDir()
  it.each([EVENT_BYTES_MIN, 350, 70_000])('writes lines of %d bytes', async (bytes) => {
    const { audit } = openAudit(dir.path('exec.log'), { clock: Date.now })
    const next = eventMaker(bytes)
    await Promise.all([audit.request(next()), audit.request(next())])
    const [first = '', second = '', rest] = readFileSync(dir.path('exec.log'), 'utf8').split('\n')
    expect([first.length + 1, second.length + 1, rest]).toEqual([bytes, bytes, ''])
    expect(first).not.toBe(second)
  })
})

describe('an SLO', () => {
  it.each([
    ['p99=5ms', { percentile: 'p99', ms: 5 }],
    ['p50=250us', { percentile: 'p50', ms: 0.25 }],
    ['p99.9=1.5s', { percentile: 'p999', ms: 1_500 }],
    ['max=20ms', { percentile: 'max', ms: 20 }],
    ['p98=5ms', undefined],
    ['p99=5', undefined],
    ['p99=0ms', undefined],
    ['p99=-1ms', undefined],
    ['p99=1.2.3ms', undefined],
    ['count=5ms', undefined],
    ['constructor=5ms', undefined],
    ['', undefined],
  ])('%j is %j', (text, expected) => {
    expect(parseSlo(text)).toEqual(expected)
  })

  it('is written with the unit that one reads', () => {
    expect([0.0421, 0.9994, 5, 41.26, 999, 1_500].map(formatMs)).toEqual(
      '42.1 µs,999 µs,5 ms,41.3 ms,999 ms,1.5 s'.split(','),
    )
  })
})

test('a folder is on the innermost mount that holds it, the last of those at one place', () => {
  const table = [
    '22 27 0:21 / /proc rw - proc proc rw',
    '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
    '30 27 0:25 / /data rw - tmpfs tmpfs rw,size=4k',
    '31 27 8:1 / /data rw shared:7 master:2 - xfs /dev/sda1 rw',
    '32 27 8:2 / /mnt/my\\040disk rw - ext4 /dev/sdb1 rw',
  ].join('\n')
  const placeOf = (path: string) => {
    const { number, mountPoint, fileSystem, source } = innermostMount(table, path) ?? {}
    return [number, mountPoint, fileSystem, source].join(' ')
  }
  expect(placeOf('/data/log')).toBe('8:1 /data xfs /dev/sda1')
  expect(placeOf('/data')).toBe('8:1 /data xfs /dev/sda1')
  expect(placeOf('/database')).toBe('254:0 / ext4 /dev/vda')
  expect(placeOf('/mnt/my disk/x')).toBe('8:2 /mnt/my disk ext4 /dev/sdb1')
})

test('a sync that is too fast to be true is warned of', () => {
  const raw = (p50: number) => [{ method: 'fsync', bytes: 350, ms: { ...ack(9), p50 } } as const]
  expect(rawWarnings(raw(0.02))).toEqual([])
  expect(rawWarnings([...raw(1), ...raw(0.012)])).toEqual([
    "a sync in 12 µs is too fast for a disk that writes it down: unless this device's cache outlives a power cut (a battery, capacitors), 'durable' will not survive one here",
  ])
})

test('a comparison shows the figures that moved by more than a quarter', () => {
  const report = (raw: number, rate: Partial<Trial>): TuneReport => ({
    ...REPORT,
    raw: [{ method: 'fsync', bytes: 350, ms: { ...ack(4), p50: raw } }],
    trials: [trial(PLAIN, 'rate', 4, rate), trial(LINGER, 'rate', 4)],
  })
  expect(movedLines(report(1, {}), report(1.2, { achieved: 1_100 }))).toEqual([])
  expect(movedLines(report(1, {}), report(0.5, { achieved: 500, ackMs: ack(6) }))).toEqual([
    'fsync of 350 B, p50: 1 ms -> 500 µs (-50 %)',
    'delay 0 ms, all per sync, rate: achieved/s: 1,000 -> 500 (-50 %)',
    'delay 0 ms, all per sync, rate: ack p50: 1 ms -> 1.5 ms (+50 %)',
    'delay 0 ms, all per sync, rate: ack p99: 4 ms -> 6 ms (+50 %)',
  ])
})

test('text is coloured on a terminal, unless NO_COLOR or a dumb one says otherwise', () => {
  const red = (isTTY: boolean | undefined, env: NodeJS.ProcessEnv) =>
    painter({ isTTY }, env)('red', 'x')
  const colored = '\u001b[31mx\u001b[39m'
  expect(red(true, {})).toBe(colored)
  expect(red(true, { NO_COLOR: '' })).toBe(colored)
  expect(red(true, { NO_COLOR: '1' })).toBe('x')
  expect(red(true, { TERM: 'dumb' })).toBe('x')
  expect([red(false, {}), red(undefined, {})]).toEqual(['x', 'x'])
})
