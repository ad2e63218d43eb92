import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { svgBars, svgChart } from '../../src/toolkit/chart/svg'
import { textBars, textChart } from '../../src/toolkit/chart/text'
import type { Benchmark, Plot } from '../harness/benchmark'
import type { Report, Row } from './report'
import { paint } from './table'

/*
 * The benchmarks' plots, as files and as text. Each benchmark declares its own.
 */

/** A plot as a file. */
export interface PlotFile {
  readonly name: string
  readonly title: string
  readonly svg: string
  readonly isForReadme: boolean
}

/** The plots of a report, as the benchmarks that made its rows declare them. */
export function plotFiles(report: Report, benchmarks: readonly Benchmark[]): PlotFile[] {
  return report.benchmarks.flatMap(({ name, rows }) => {
    const benchmark = benchmarks.find((one) => one.name === name)
    return plotsOf(benchmark, rows).map((plot) => ({
      name: `${name}-${plot.name}.svg`,
      title: plot.chart.title,
      svg: 'bars' in plot.chart ? svgBars(plot.chart) : svgChart(plot.chart),
      isForReadme: plot.isForReadme ?? false,
    }))
  })
}

/** Saves them in the folder, which is made if need be. */
export function writePlots(dir: string, files: readonly PlotFile[]): void {
  mkdirSync(dir, { recursive: true })
  for (const { name, svg } of files) writeFileSync(join(dir, name), svg)
}

/** The plots of a benchmark's rows, for a terminal. */
export function plotText(benchmark: Benchmark | undefined, rows: readonly Row[]): string {
  const texts = plotsOf(benchmark, rows).map(({ chart }) => {
    const text = 'bars' in chart ? textBars(chart) : textChart(chart)
    return `\n${text.replace(chart.title, (title) => paint('bold', title))}`
  })
  return texts.join('\n')
}

/** The plots that have something to show. */
function plotsOf(benchmark: Benchmark | undefined, rows: readonly Row[]): readonly Plot[] {
  const plots = benchmark?.plots?.(rows) ?? []
  return plots.filter(({ chart }) =>
    'bars' in chart ? chart.bars.length > 0 : chart.series.some(({ points }) => points.length > 0),
  )
}
