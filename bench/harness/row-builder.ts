import type { Curve, Labels, Row } from '../report/report'
import { percentile, spreadOf } from './statistics'

/** Points of a curve: finest at the tail of the latencies. */
const CURVE_PERCENTS = [...Array.from({ length: 100 }, (_, i) => i), 99.5, 99.9, 99.95, 99.99, 100]

/** Collects one row's figures over the repeats. */
export class RowBuilder {
  readonly #values = new Map<string, number[]>()
  #samplesUs: number[] = []
  /** A reservation about the row's figures. */
  remark: string | undefined

  constructor(
    readonly name: string,
    readonly labels: Labels = {},
  ) {}

  add(figures: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(figures)) {
      this.#values.set(name, [...(this.#values.get(name) ?? []), value])
    }
  }

  /** Adds latencies to the row's curve. */
  addSamples(ns: Iterable<number>): void {
    for (const sample of ns) this.#samplesUs.push(sample / 1_000)
  }

  build(): Row {
    const { name, labels, remark } = this
    const figures = Object.fromEntries(
      [...this.#values].map(([figure, values]) => [figure, spreadOf(values)] as const),
    )
    return {
      name,
      labels,
      figures,
      ...(this.#samplesUs.length === 0 ? {} : { curve: curveOf(this.#samplesUs) }),
      ...(remark === undefined ? {} : { remark }),
    }
  }
}

function curveOf(samplesUs: readonly number[]): Curve {
  const ascending = Float64Array.from(samplesUs).sort()
  const us = CURVE_PERCENTS.map((percent) => percentile(ascending, percent))
  return { count: ascending.length, percents: CURVE_PERCENTS, us }
}
