import type { Spread } from '../harness/statistics'
import type { Report, Row } from './report'
import { cellOf, columns, headingOf, paint } from './table'

/*
 * A figure has moved if its repeats of then and now do not overlap: the smallest of the one is above the
 * largest of the other. It takes several repeats to say anything, and a noisy machine says less.
 */

/** Figures that are better if they are larger; all others are better if they are smaller. */
const MORE_IS_BETTER =
  /PerSecond$|^times(Reference|Lmdb|Sqlite|Before)$|^percentOf(None|TwoSyncs|Alone)$/

/** A figure whose repeats of then and now do not overlap. */
export interface Move {
  readonly benchmark: string
  readonly row: string
  readonly figure: string
  readonly before: Spread
  readonly after: Spread
  readonly isBetter: boolean
}

/** The figures that moved from one report to the other, and how many are in both. */
export function compare(old: Report, now: Report): { moves: Move[]; compared: number } {
  const moves: Move[] = []
  let compared = 0
  for (const { name, rows } of now.benchmarks) {
    const oldRows = old.benchmarks.find((benchmark) => benchmark.name === name)?.rows ?? []
    for (const row of rows) {
      for (const [figure, before, after] of commonFigures(oldRows, row)) {
        compared++
        if (after.min <= before.max && after.max >= before.min) continue
        const isMore = after.median > before.median
        const isBetter = isMore === MORE_IS_BETTER.test(figure)
        moves.push({ benchmark: name, row: row.name, figure, before, after, isBetter })
      }
    }
  }
  return { moves, compared }
}

function commonFigures(oldRows: readonly Row[], row: Row): (readonly [string, Spread, Spread])[] {
  const old = oldRows.find(({ name }) => name === row.name)
  return Object.entries(row.figures).flatMap(([figure, after]) => {
    const before = old?.figures[figure]
    return before === undefined ? [] : [[figure, before, after] as const]
  })
}

export function formatMoves({ moves, compared }: ReturnType<typeof compare>): string {
  const count = `${moves.length} of ${compared} figures moved beyond the spread.`
  if (moves.length === 0) return count
  const lines = moves.map(({ benchmark, row, figure, before, after, isBetter }) => {
    const change = 100 * (after.median / before.median - 1)
    const verdict = `${change > 0 ? '+' : ''}${change.toFixed(0)} % ${isBetter ? 'better' : 'worse'}`
    const colored = paint(isBetter ? 'green' : 'red', verdict)
    return [benchmark, row, headingOf(figure), cellOf(before), cellOf(after), colored]
  })
  const heading = ['benchmark', 'row', 'figure', 'then', 'now', 'change']
  return `${columns([heading, ...lines])}\n\n${count}`
}
