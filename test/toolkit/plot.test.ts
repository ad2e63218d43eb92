import { type Chart, ecdf, formatPlain, percentileCurve } from '../../src/toolkit/chart/chart'
import { scaleOf } from '../../src/toolkit/chart/scale'
import { svgBars, svgChart } from '../../src/toolkit/chart/svg'
import { textBars, textChart } from '../../src/toolkit/chart/text'

const CHART: Chart = {
  title: 'Latency <ms>',
  x: { label: 'rate', scale: 'log' },
  y: { label: 'ms', scale: 'linear' },
  series: [
    {
      name: 'a & b',
      points: [
        [1, 0],
        [10, 5],
        [100, 10],
      ],
    },
    {
      name: 'c',
      points: [
        [1, 10],
        [100, 10],
      ],
    },
  ],
  mark: { name: 'limit', y: 4 },
}
const BARS = {
  title: 'Most',
  bars: [
    { name: 'one', value: 8 },
    { name: 'three', value: 2.5 },
    { name: 'none', value: 0 },
  ],
}

describe('a scale', () => {
  it.each([
    ['linear', [3, 97], [0, 20, 40, 60, 80, 100]],
    ['linear', [-5, 5], [-6, -4, -2, 0, 2, 4, 6]],
    ['linear', [0], [0, 1]],
    ['linear', [0.0007], [0, 0.0002, 0.0004, 0.0006, 0.0008]],
    ['log', [3, 400], [3, 10, 30, 100, 300]],
    ['log', [0.5, 6], [0.5, 1, 2, 5, 10]],
    ['log', [10, 10], [10, 20, 50, 100]],
    ['log', [1e-3, 1e6], [1e-3, 1e-2, 0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6]],
    ['nines', [50, 99.9], [0, 50, 90, 99, 99.9]],
    ['nines', [50], [0, 50, 90]],
  ] as const)('%s over %j has ticks at %j', (kind, values, ticks) => {
    expect(scaleOf(kind, values).ticks).toEqual(ticks)
  })

  it.each([
    ['linear', [0, 100], 25, 0.25],
    ['log', [1, 10_000], 100, 0.5],
    ['nines', [99.99], 99, 0.5],
    ['log', [1, 10], 0, 0],
  ] as const)('%s over %j has %d at %d', (kind, values, value, at) => {
    expect(scaleOf(kind, values).at(value)).toBeCloseTo(at, 9)
  })

  it.each(['linear', 'log', 'nines'] as const)('%s over nothing still has its axis', (kind) => {
    const { ticks, at } = scaleOf(kind, [])
    expect(ticks.length).toBeGreaterThan(1)
    expect(ticks.every((tick) => at(tick) >= 0 && at(tick) <= 1)).toBe(true)
  })
})

describe('curves', () => {
  it('show no percentile that rests on less than one value', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1)
    expect(percentileCurve(hundred)).toEqual([
      [0, 1],
      [10, 10],
      [25, 25],
      [50, 50],
      [75, 75],
      [90, 90],
      [95, 95],
      [97.5, 98],
      [99, 99],
    ])
    expect(percentileCurve([])).toEqual([])
  })

  it('show the share at or below each value', () => {
    expect(ecdf([1, 2, 4, 8])).toEqual([
      [1, 0.25],
      [2, 0.5],
      [4, 0.75],
      [8, 1],
    ])
    expect(ecdf([1, 2, 4, 8], 2)).toEqual([
      [2, 0.5],
      [8, 1],
    ])
    expect(ecdf([])).toEqual([])
  })
})

describe('as text', () => {
  it('lines are drawn over their axes, the last on top', () => {
    expect(`\n${textChart(CHART, { width: 21, height: 6 })}\n`).toBe(`
Latency <ms>
   ms
10 │ooooooooooooooooooooo
 8 │             *****
 6 │         ****
 4 │------***------------
 2 │  ****
 0 │**
   └─────────────────────
    1  2   5 10 20  50
    rate
    * a & b
    o c
    - limit
`)
  })

  it('bars are as long as their values', () => {
    expect(textBars(BARS, 8)).toBe(
      ['Most', 'one    ████████ 8', 'three  ██▌ 2.5', 'none    0'].join('\n'),
    )
  })

  it('numbers are short', () => {
    expect([0, 0.12345, 1234.5, 1e6].map(formatPlain)).toEqual(['0', '0.123', '1,230', '1,000,000'])
  })
})

describe('as SVG', () => {
  it('lines run through their points, and names are escaped', () => {
    const svg = svgChart(CHART)
    expect([...svg.matchAll(/<polyline .*\/>/g)].map(String)).toEqual([
      '<polyline class="line" stroke="#0072b2" points="76,290 348,169 620,48"/>',
      '<polyline class="line" stroke="#d55e00" stroke-dasharray="6 3" points="76,48 620,48"/>',
    ])
    expect(svg).toContain('aria-label="Latency &lt;ms&gt;"')
    expect(svg).toContain('<text x="112" y="344" text-anchor="start">a &amp; b</text>')
    expect(svg).toContain('<line class="mark" x1="76" x2="620" y1="193.2" y2="193.2"/>')
    expect(svg.match(/<(?!text|\/text|line|circle|polyline|svg|\/svg|style|\/style)/g)).toBeNull()
  })

  it('bars are as long as their values', () => {
    const svg = svgBars(BARS)
    expect([...svg.matchAll(/<rect .*\/>/g)].map(String)).toEqual([
      '<rect x="57" y="48" width="547.2" height="18" fill="#0072b2"/>',
      '<rect x="57" y="74" width="171" height="18" fill="#0072b2"/>',
      '<rect x="57" y="100" width="0" height="18" fill="#0072b2"/>',
    ])
  })

  it('no label of an axis runs over the edge', () => {
    const x = { label: '', scale: 'linear' as const, format: (value: number) => `${value} seconds` }
    const svg = svgChart({ ...CHART, x })
    const [last] = [
      ...svg.matchAll(/<text x="([\d.]+)" y="306" text-anchor="middle">100 seconds</g),
    ]
    expect(last?.[1]).toBe('597.7')
  })

  it('names stand side by side as far as there is room', () => {
    const placesOf = (...names: string[]) => {
      const series = names.map((name) => ({ name, points: [] }))
      const svg = svgChart({ ...CHART, series })
      const [, height] = /viewBox="0 0 640 (\d+)"/.exec(svg) ?? []
      const places = names.map((name) => {
        const [, x, y] = new RegExp(`<text x="(\\d+)" y="(\\d+)"[^>]*>${name}<`).exec(svg) ?? []
        return [Number(x), Number(y)]
      })
      return [Number(height), ...places]
    }
    const long = 'a name that takes more than half of the line'
    expect(placesOf('first', long)).toEqual([376, [112, 344], [112, 362]])
    const short = ['one name', 'two names', 'three', 'four', 'five', 'six']
    expect(placesOf(...short).slice(0, 1)).toEqual([376])
    expect(
      placesOf(...short)
        .slice(1)
        .map(String),
    ).toEqual(['112,344', '248,344', '384,344', '520,344', '112,362', '248,362'])
  })

  it('lines stand out from the page, light or dark, and from each other', () => {
    const series = Array.from({ length: 9 }, (_, i) => ({
      name: `${i}`,
      points: [[1, i] as const],
    }))
    const strokes = [
      ...svgChart({ ...CHART, series }).matchAll(/<polyline .*?(stroke="(#\w+)".*?) points/g),
    ]
    expect(new Set(strokes.map(([, stroke]) => stroke)).size).toBe(9)
    const faint = strokes.flatMap(([, , color = '']) =>
      ['#ffffff', '#0d1117']
        .filter((page) => contrast(color, page) < 3)
        .map((page) => [color, page]),
    )
    expect(faint).toEqual([])
  })

  it('a picture stands alone, and follows the theme', () => {
    for (const svg of [svgChart(CHART), svgBars(BARS)]) {
      expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 ')).toBe(true)
      expect(svg.endsWith('</svg>\n')).toBe(true)
      expect(svg).toContain('@media (prefers-color-scheme: dark)')
      expect(svg).not.toMatch(/NaN|Infinity|href|url\(/)
    }
  })
})

/** As WCAG counts it; 3 is the least for what is drawn. */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
