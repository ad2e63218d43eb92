import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Benchmark } from '../../bench/harness/benchmark'
import { BENCHMARKS } from '../../bench/harness/session'
import {
  barsOf,
  ecdfChart,
  formatCount,
  formatUs,
  percentileChart,
} from '../../bench/report/charts'
import { plotFiles, plotText, writePlots } from '../../bench/report/plots'
import type { Report, Row } from '../../bench/report/report'
import { svgBars, svgChart } from '../../src/toolkit/chart/svg'
import { MACHINE } from '../support/bench-machine'
import { useTempDir } from '../support/temp-dir'
import { elementsOf } from '../support/xml'

const ROOT = join(__dirname, '../..')
const temp = useTempDir()

function row(name: string, labels: Row['labels'], medians: Record<string, number>): Row {
  const figures = Object.fromEntries(
    Object.entries(medians).map(([figure, median]) => [figure, { median, min: 1, max: 1e9 }]),
  )
  return { name, labels, figures }
}

function reportOf(benchmarks: Record<string, readonly Row[]>): Report {
  return {
    machine: MACHINE,
    sizes: { repeats: 1, ms: 1, samples: 1, isQuick: true },
    benchmarks: Object.entries(benchmarks).map(([name, rows]) => ({ name, rows, files: [] })),
  }
}

/** The plots that the benchmark of this name makes of the rows. */
function plotsOf(name: string, rows: readonly Row[]) {
  return BENCHMARKS.find((benchmark) => benchmark.name === name)?.plots?.(rows) ?? []
}

/** A plot's lines or bars, without their formats. */
function shapes(name: string, rows: readonly Row[]) {
  return plotsOf(name, rows).map(({ name: plot, chart, isForReadme = false }) => [
    plot,
    isForReadme,
    'bars' in chart
      ? chart.bars.map((bar) => [bar.name, bar.value])
      : chart.series.map((series) => [series.name, series.points]),
  ])
}

describe('the plots that benchmarks declare', () => {
  const curve = { count: 1_000, percents: [0, 50, 99, 99.9, 99.99, 100], us: [1, 5, 9, 20, 21, 30] }

  it('ack-latency: the share of events at or below a latency', () => {
    const rows = [{ ...row('raw', {}, {}), curve }, row('no curve', {}, {})]
    const points = [1, 5, 9, 20, 21, 30].map((us, i) => [us, curve.percents[i]])
    expect(shapes('ack-latency', rows)).toEqual([['ecdf', true, [['raw', points]]]])
  })

  it('idle-call: both times against the pause, the time until durable only if it is known', () => {
    const paused = (contender: string, pauseMs: number, medians: Record<string, number>) =>
      row('', { contender, pauseMs }, medians)
    const rows = [
      paused('raw', 100, { callUs: 400, durableUs: 401 }),
      paused('postMessage', 100, { callUs: 50 }),
      paused('raw', 1, { callUs: 100, durableUs: 101 }),
    ]
    const raw = (first: number, second: number) => [
      'raw',
      [
        [1, first],
        [100, second],
      ],
    ]
    expect(shapes('idle-call', rows)).toEqual([
      ['call', false, [raw(100, 400), ['postMessage', [[100, 50]]]]],
      ['durable', false, [raw(101, 401)]],
    ])
  })

  it('throughput: one for each size, against the events in flight', () => {
    const cell = (contender: string, eventBytes: number, inFlight: number, rate: number) =>
      row('', { contender, eventBytes, inFlight }, { eventsPerSecond: rate })
    const rows = [cell('b', 350, 64, 9), cell('a', 350, 64, 7), cell('b', 350, 1, 3)]
    expect(shapes('throughput', [...rows, cell('a', 150, 1, 2)])).toEqual([
      [
        '350-bytes',
        true,
        [
          [
            'b',
            [
              [1, 3],
              [64, 9],
            ],
          ],
          ['a', [[64, 7]]],
        ],
      ],
      ['150-bytes', false, [['a', [[1, 2]]]]],
    ])
  })

  it('open-loop: percentiles against the rate, without rows that have no rate', () => {
    const at = (contender: string, point: string, ratePerSecond: number, p99Us: number): Row => ({
      ...row('', { contender, point, rate: 1_000 }, { ratePerSecond, p50Us: 1, p99Us }),
      curve,
    })
    const rows = [
      at('x0x-exec-audit', 'share', 3_000, 70),
      at('x0x-exec-audit', 'rate', 1_000, 50),
      at('lmdb', 'rate', 1_000, 90),
      at('x0x-exec-audit', 'knee', 9_000, 60),
    ]
    const [p99, p50, percentiles] = shapes('open-loop', rows)
    const ours = [
      [1_000, 50],
      [3_000, 70],
    ]
    expect(p99).toEqual([
      'p99',
      true,
      [
        ['x0x-exec-audit', ours],
        ['lmdb', [[1_000, 90]]],
      ],
    ])
    expect(p50?.slice(0, 2)).toEqual(['p50', false])
    // The 99.99th percentile of 1,000 latencies is the longest of them: it says nothing.
    const known = curve.us.slice(0, 4).map((us, i) => [curve.percents[i], us])
    expect(percentiles).toEqual(['percentiles', false, [['1,000/s', known]]])
  })

  it('slow-disk: one for each number in flight, against the delay', () => {
    const cell = (inFlight: number, delayMs: number, rate: number) =>
      row('', { contender: 'a', inFlight, delayMs }, { eventsPerSecond: rate })
    expect(shapes('slow-disk', [cell(64, 10, 1), cell(64, 2, 5), cell(1_024, 2, 8)])).toEqual([
      [
        '64-in-flight',
        false,
        [
          [
            'a',
            [
              [2, 5],
              [10, 1],
            ],
          ],
        ],
      ],
      ['1024-in-flight', true, [['a', [[2, 8]]]]],
    ])
  })

  it('stages: a bar for each, without their sum', () => {
    const stage = (name: string, group1Ns: number, group1024Ns: number) =>
      row(name, { stage: name }, { group1Ns, group1024Ns })
    const rows = [stage('encode', 3, 2), stage('sync', 9, 1), stage('in all', 12, 3)]
    const bars = (encode: number, sync: number) => [
      ['encode', encode],
      ['sync', sync],
    ]
    expect(shapes('stages', rows)).toEqual([
      ['group-of-1', false, bars(3, 9)],
      ['group-of-1024', false, bars(2, 1)],
    ])
  })
})

describe('charts of rows', () => {
  it('write latencies and counts in readable units', () => {
    expect([0.5, 250, 1_000, 2_500_000].map(formatUs)).toEqual([
      '0.5 µs',
      '250 µs',
      '1 ms',
      '2.5 s',
    ])
    expect([0.25, 1, 2_000, 10_000, 512_067, 2e6].map(formatCount)).toEqual([
      '0.25',
      '1',
      '2,000',
      '10k',
      '512k',
      '2M',
    ])
  })

  it('give a contender the same style in every chart', () => {
    const curve = { count: 1, percents: [100], us: [1] }
    const named = (name: string) => ({ ...row(name, {}, {}), curve })
    const stylesOf = (...names: string[]) =>
      ecdfChart('', names.map(named)).series.map(({ style }) => style)
    expect(stylesOf('lmdb', 'x0x-exec-audit', 'unknown')).toEqual([2, 0, undefined])
    expect(stylesOf('raw', 'lmdb')).toEqual([4, 2])
  })

  it('leave out rows without the figure', () => {
    const rows = [row('a', {}, { p99Us: 3 }), row('b', {}, { other: 3 })]
    expect(barsOf('t', rows, 'p99Us', String).bars).toEqual([{ name: 'a', value: 3 }])
    expect(percentileChart('t', [{ name: 'a', row: row('a', {}, {}) }]).series).toEqual([])
  })
})

const SMALL: Benchmark = {
  name: 'small',
  question: '?',
  run: () => Promise.reject(new Error('not run')),
  plots: (rows) => [
    { name: 'bars', chart: barsOf('Bars & <more>', rows, 'p99Us', formatUs), isForReadme: true },
    { name: 'ecdf', chart: ecdfChart('None', rows) },
  ],
}
const SMALL_ROWS = [row('one', {}, { p99Us: 800 }), row('"two"', {}, { p99Us: 400 })]

describe('plots', () => {
  it('are named after their benchmark, and left out if they have nothing to show', () => {
    const report = reportOf({ small: SMALL_ROWS, unknown: SMALL_ROWS })
    const files = plotFiles(report, [SMALL])
    expect(files.map(({ name, title, isForReadme }) => [name, title, isForReadme])).toEqual([
      ['small-bars.svg', 'Bars & <more>', true],
    ])
    writePlots(temp.path('new/folder'), files)
    expect(readdirSync(temp.path('new/folder'))).toEqual(['small-bars.svg'])
    expect(readFileSync(temp.path('new/folder/small-bars.svg'), 'utf8')).toBe(files[0]?.svg)
  })

  it('are printed one below the other', () => {
    expect(plotText(SMALL, SMALL_ROWS)).toBe(
      `\nBars & <more>\none    ${'█'.repeat(40)} 800 µs\n"two"  ${'█'.repeat(20)} 400 µs`,
    )
    expect(plotText(SMALL, [])).toBe('')
    expect(plotText(undefined, SMALL_ROWS)).toBe('')
  })

  it('are well-formed SVG, whatever the names', () => {
    const series = [{ name: '<a> & "b"', points: [[1, 2] as const, [2, 1] as const] }]
    const axis = { label: '< & >', scale: 'linear' as const }
    const line = svgChart({ title: '"&<', x: axis, y: axis, series })
    expect(new Set(elementsOf(line))).toEqual(
      new Set(['svg', 'style', 'text', 'line', 'polyline', 'circle']),
    )
    expect(elementsOf(svgBars({ title: "'&'", bars: [{ name: '&', value: 1 }] }))).toEqual([
      'svg',
      'style',
      'text',
      'text',
      'rect',
      'text',
    ])
    const broken = ['<a>', '<a></b>', '<a x="1" x="2"/>', '<a>&</a>', '<a x=1/>', '<a/><b/>', '<a>']
    for (const text of broken) expect(() => elementsOf(text)).toThrow()
  })
})

describe('bench:plot', () => {
  const plot = (...args: string[]) => ['-r', 'esbuild-register', join('bench', 'plot.ts'), ...args]
  const STAGES = [row('encode', { stage: 'encode' }, { group1Ns: 1_500, group1024Ns: 300 })]

  it('prints and saves the plots of a saved report', () => {
    writeFileSync(temp.path('old.json'), JSON.stringify(reportOf({ stages: STAGES, gone: [] })))
    mkdirSync(temp.path('plots'))
    const args = plot(temp.path('old.json'), '--out', temp.path('plots'))
    const bar = '█'.repeat(40)
    expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })).toBe(
      [
        '',
        'Nanoseconds of each stage, for an event alone in its group',
        `encode  ${bar} 1,500`,
        '',
        'Nanoseconds of each stage, for an event in a group of 1,024',
        `encode  ${bar} 300`,
        '',
      ].join('\n'),
    )
    const saved = readdirSync(temp.path('plots')).sort()
    expect(saved).toEqual(['stages-group-of-1.svg', 'stages-group-of-1024.svg'])
  })
})

describe('a benchmark command refuses a wrong command line', () => {
  const SAVED = 'is not what npm run bench -- --json saves'
  it.each([
    ['plot', [], 'expected one report, got 0'],
    ['plot', ['other.json'], `DIR/other.json ${SAVED}`],
    ['plot', ['no.json'], "ENOENT: no such file or directory, open 'DIR/no.json'"],
    ['compare', [], 'expected one report or two, got 0'],
    ['compare', ['torn.json'], `DIR/torn.json ${SAVED}`],
    ['compare', ['no.json'], "ENOENT: no such file or directory, open 'DIR/no.json'"],
    ['run', ['--dir', 'no'], "ENOENT: no such file or directory, access 'DIR/no'"],
    ['run', ['--json', 'no/new.json'], "ENOENT: no such file or directory, access 'DIR/no'"],
  ])('%s %j', (script, args, reason) => {
    writeFileSync(temp.path('other.json'), '{"rows":[]}')
    writeFileSync(temp.path('torn.json'), '{"rows":[')
    const named = args.map((arg) => (arg.startsWith('--') ? arg : temp.path(arg)))
    const command = ['-r', 'esbuild-register', join('bench', `${script}.ts`), ...named]
    const { status, stderr } = spawnSync(process.execPath, command, { cwd: ROOT, encoding: 'utf8' })
    const name = script === 'run' ? 'bench' : `bench:${script}`
    expect(stderr.replaceAll(temp.path(''), 'DIR')).toBe(
      `${name}: ${reason} (--help shows the usage)\n`,
    )
    expect(status).toBe(2)
  })
})
