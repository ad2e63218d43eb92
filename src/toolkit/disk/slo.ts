import type { Summary } from '../load/samples'

/** The limit on the latency of acknowledgements. */
export interface Slo {
  readonly percentile: SloPercentile
  readonly ms: number
}

export type SloPercentile = Exclude<keyof Summary, 'count'>

const PERCENTILES: ReadonlyMap<string, SloPercentile> = new Map([
  ['p50', 'p50'],
  ['p99', 'p99'],
  ['p99.9', 'p999'],
  ['max', 'max'],
])
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['µs', 0.001],
  ['ms', 1],
  ['s', 1_000],
])

/** Reads `p99=5ms`; undefined when it is nothing of the kind. */
export function parseSlo(text: string): Slo | undefined {
  const [, name = '', number = '', unit = ''] = /^([a-z0-9.]+)=([0-9.]+)([a-zµ]+)$/.exec(text) ?? []
  const percentile = PERCENTILES.get(name)
  const ms = Number(number) * (UNIT_MS.get(unit) ?? Number.NaN)
  return percentile !== undefined && ms > 0 ? { percentile, ms } : undefined
}

/** How people write a percentile. */
export function percentileName(percentile: SloPercentile): string {
  return percentile === 'p999' ? 'p99.9' : percentile
}
