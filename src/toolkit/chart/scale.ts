import type { Chart, ScaleKind } from './chart'

/** Maps the values of an axis to 0..1. */
export interface Scale {
  readonly ticks: readonly number[]
  at(value: number): number
}

/** Percentiles beyond it are drawn at one place. */
const PERCENT_MAX = 99.999
const LINEAR_TICKS = 5
const LOG_TICKS_MAX = 7

/** The scales of a chart's axes, over all that it shows. */
export function scalesOf({ x, y, series, mark }: Chart): { xScale: Scale; yScale: Scale } {
  const points = series.flatMap((one) => one.points)
  const marked = mark === undefined ? [] : [mark.y]
  const ys = points.map(([, value]) => value)
  return {
    xScale: scaleOf(
      x.scale,
      points.map(([value]) => value),
    ),
    yScale: scaleOf(y.scale, [...ys, ...marked]),
  }
}

/** A scale over the values; a log scale leaves out what is not above 0. */
export function scaleOf(kind: ScaleKind, values: readonly number[]): Scale {
  switch (kind) {
    case 'linear':
      return linearScale(values)
    case 'log':
      return logScale(values.filter((value) => value > 0))
    case 'nines':
      return ninesScale(values)
  }
}

/** From 0, or below it, to a round number. */
function linearScale(values: readonly number[]): Scale {
  const min = Math.min(0, ...values)
  const step = roundUp((Math.max(...values, min) - min) / LINEAR_TICKS || 1)
  const low = Math.floor(min / step) * step
  const count = Math.max(1, Math.ceil((Math.max(...values, min) - low) / step - 1e-9))
  const ticks = Array.from({ length: count + 1 }, (_, i) => clean(low + i * step))
  const high = low + count * step
  return { ticks, at: (value) => (value - low) / (high - low) }
}

/** From a power of ten, or its half or fifth, to another; with ticks at these if there is room. */
function logScale(values: readonly number[]): Scale {
  const low = roundDown(Math.min(...values, Number.MAX_VALUE))
  const high = roundUp(Math.max(...values, 0) || 1)
  const from = values.length === 0 ? 1 : low
  const to = values.length === 0 ? 10 : high > low ? high : low * 10
  const exponents = range(Math.floor(Math.log10(from) + 1e-9), Math.ceil(Math.log10(to) - 1e-9))
  const candidates = [[1, 2, 5], [1, 3], [1]].map((steps) =>
    exponents
      .flatMap((exponent) => steps.map((step) => clean(step * 10 ** exponent)))
      .filter((tick) => tick >= from * 0.999 && tick <= to * 1.001),
  )
  const ticks = candidates.find(({ length }) => length <= LOG_TICKS_MAX) ?? candidates.at(-1) ?? []
  const width = Math.log10(to) - Math.log10(from)
  return { ticks, at: (value) => (Math.log10(Math.max(value, from)) - Math.log10(from)) / width }
}

function ninesScale(values: readonly number[]): Scale {
  const nines = (percent: number) => -Math.log10(1 - Math.min(percent, PERCENT_MAX) / 100)
  const max = nines(Math.max(...values, 90))
  const ticks = [0, 50, 90, 99, 99.9, 99.99, PERCENT_MAX].filter(
    (tick) => nines(tick) <= max + 1e-9,
  )
  return { ticks, at: (value) => nines(value) / max }
}

/** The next of 1, 2, 5 times a power of ten, from `value` up. */
function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value) + 1e-9)
  const step = [1, 2, 5, 10].find((factor) => factor * unit >= value * (1 - 1e-9)) ?? 10
  return clean(step * unit)
}

function roundDown(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value) + 1e-9)
  const step = [5, 2, 1].find((factor) => factor * unit <= value * (1 + 1e-9)) ?? 1
  return clean(step * unit)
}

function clean(value: number): number {
  return Number(value.toPrecision(12))
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}
