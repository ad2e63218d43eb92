import type { Spread } from '../harness/statistics'
import { findRow, type Labels, type Report } from './report'
import { cellOf, columns, formatNumber, paint } from './table'

/*
 * The writer's targets, as ratios within one run, on a machine of 2 cores with a quiet disk.
 */

interface Target {
  readonly what: string
  /** The place of the figure in a report. */
  readonly benchmark: string
  readonly labels: Labels
  readonly figure: string
  /** The least or the most that is wanted. */
  readonly least?: number
  readonly most?: number
  readonly unit: string
}

const OURS = { contender: 'x0x-exec-audit' } as const
const AT_64 = { ...OURS, eventBytes: 350, inFlight: 64 } as const
const AT_1024 = { ...OURS, eventBytes: 350, inFlight: 1_024 } as const
const GATEWAY_AT_HALF = { ...OURS, spawns: 'real', load: 'half' } as const

const TARGETS: readonly Target[] = [
  {
    what: "the caller's cost of request(), of pino's into its worker",
    benchmark: 'call-cost',
    labels: { ...OURS, method: 'request' },
    figure: 'percentOfPino',
    most: 100 / 6,
    unit: '%',
  },
  {
    what: 'ack p50, 1 in flight, over the raw p50',
    benchmark: 'ack-latency',
    labels: OURS,
    figure: 'p50TimesRaw',
    most: 1.3,
    unit: 'x',
  },
  {
    what: 'ack p99, 1 in flight, over the raw p50',
    benchmark: 'ack-latency',
    labels: OURS,
    figure: 'p99TimesRaw',
    most: 3,
    unit: 'x',
  },
  throughputTarget('64 in flight, over the reference', AT_64, 'timesReference', 10),
  throughputTarget('64 in flight, over lmdb', AT_64, 'timesLmdb', 1.5),
  throughputTarget('1,024 in flight, over the reference', AT_1024, 'timesReference', 30),
  throughputTarget('1,024 in flight, over lmdb', AT_1024, 'timesLmdb', 2.5),
  {
    ...throughputTarget("1,024 in flight, of method 'none'", AT_1024, 'percentOfNone', 80),
    unit: '%',
  },
  {
    what: 'open loop at a quarter of saturation, p99 over the raw p50',
    benchmark: 'open-loop',
    labels: { ...OURS, point: 'share', share: 0.25 },
    figure: 'p99TimesRaw',
    most: 6,
    unit: 'x',
  },
  {
    what: 'fdatasync of 2 ms, 1,024 in flight, of 1,024 / 4 ms',
    benchmark: 'slow-disk',
    labels: { ...OURS, inFlight: 1_024, delayMs: 2 },
    figure: 'percentOfTwoSyncs',
    least: 90,
    unit: '%',
  },
  {
    what: "cold start, over a piscina's first empty task",
    benchmark: 'cold-start',
    labels: OURS,
    figure: 'timesPiscina',
    most: 2,
    unit: 'x',
  },
  {
    what: 'memory above an idle process, over 5 million events',
    benchmark: 'memory',
    labels: OURS,
    figure: 'aboveIdleMb',
    most: 40,
    unit: 'MB',
  },
  {
    what: 'of that the own share, beyond what the promises take alone',
    benchmark: 'memory',
    labels: OURS,
    figure: 'ownMb',
    most: 40,
    unit: 'MB',
  },
  {
    what: "gateway that spawns, p99, of audit off's x 1.05 and two syncs",
    benchmark: 'gateway',
    labels: GATEWAY_AT_HALF,
    figure: 'p99PercentOfAllowed',
    most: 100,
    unit: '%',
  },
  {
    what: "gateway that spawns, event-loop delay p99, of audit off's",
    benchmark: 'gateway',
    labels: GATEWAY_AT_HALF,
    figure: 'loopP99PercentOfOff',
    most: 105,
    unit: '%',
  },
]

function throughputTarget(what: string, labels: Labels, figure: string, least: number): Target {
  return { what, benchmark: 'throughput', labels, figure, least, unit: 'x' }
}

/** The benchmarks that the targets are read from. */
export const TARGET_BENCHMARKS: readonly string[] = [
  ...new Set(TARGETS.map(({ benchmark }) => benchmark)),
]

/** A table of the targets: wanted, measured, reached or not. */
export function formatTargets(report: Report): string {
  const lines = TARGETS.map((target) => {
    const found = measuredOf(target, report)
    const measured = found === undefined ? '-' : `${cellOf(found)} ${target.unit}`
    return [target.what, wantedOf(target), measured, verdictOf(target, found)]
  })
  return columns([['target', 'wanted', 'measured', ''], ...lines])
}

function measuredOf({ benchmark, labels, figure }: Target, report: Report): Spread | undefined {
  const result = report.benchmarks.find(({ name }) => name === benchmark)
  return result && findRow(result.rows, labels)?.figures[figure]
}

function wantedOf({ least, most, unit }: Target): string {
  if (least !== undefined) return `at least ${formatNumber(least)} ${unit}`
  return `at most ${formatNumber(most ?? Number.NaN)} ${unit}`
}

function verdictOf({ least, most }: Target, found: Spread | undefined): string {
  if (found === undefined) return 'not measured'
  const isReached =
    found.median >= (least ?? Number.NEGATIVE_INFINITY) &&
    found.median <= (most ?? Number.POSITIVE_INFINITY)
  return isReached ? paint('green', 'reached') : paint('red', 'not reached')
}
