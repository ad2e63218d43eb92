import type { Spread } from '../harness/statistics'
import { findRow, type Labels, type Report } from './report'
import { cellOf, columns, formatNumber, headingOf, paint } from './table'

/*
 * The writer's targets, as ratios within one run, on a quiet machine of 2 cores. Those over the state before
 * need a checkout of that state, built: --against DIR.
 */

interface Target {
  readonly what: string
  /** The place of the figure in a report. */
  readonly benchmark: string
  readonly labels: Labels
  readonly figure: string
  /** The least or the most that is wanted, and what is aimed at. */
  readonly least?: number
  readonly most?: number
  readonly aim?: number
  readonly unit: string
}

const OURS = { contender: 'x0x-exec-audit' } as const
const PAUSE = { ...OURS, pauseMs: 100 } as const
const inFlight = (count: number) => ({ ...OURS, eventBytes: 350, inFlight: count })

const TARGETS: readonly Target[] = [
  {
    what: 'call after a pause of 100 ms, over raw',
    benchmark: 'idle-call',
    labels: PAUSE,
    figure: 'callTimesRaw',
    most: 0.2,
    aim: 0.08,
    unit: 'x',
  },
  {
    what: 'durable after a pause of 100 ms, over raw',
    benchmark: 'idle-call',
    labels: PAUSE,
    figure: 'durableTimesRaw',
    most: 1.6,
    aim: 1.2,
    unit: 'x',
  },
  {
    what: "worker's CPU per event, 1,024 in flight",
    benchmark: 'throughput',
    labels: inFlight(1_024),
    figure: 'workerCpuUs',
    most: 1.5,
    aim: 1,
    unit: 'us',
  },
  idleTarget('threads', 1, ''),
  idleTarget('memoryMb', 9, 'MB'),
  idleTarget('cpuPercent', 0, '%'),
  throughputTarget('1,024 in flight, over before', 1_024, 1.4, 2),
  throughputTarget('64 in flight, over before', 64, 1.35, 2),
  throughputTarget('8 in flight, over before', 8, 1.3, 1.8),
  {
    what: '1 in flight, ack p50, over before',
    benchmark: 'ack-latency',
    labels: OURS,
    figure: 'p50TimesBefore',
    most: 0.8,
    aim: 0.7,
    unit: 'x',
  },
  {
    what: 'request(), the call, over before',
    benchmark: 'call-cost',
    labels: { ...OURS, method: 'request' },
    figure: 'callTimesBefore',
    most: 0.75,
    aim: 0.5,
    unit: 'x',
  },
]

function idleTarget(figure: string, most: number, unit: string): Target {
  const what = `an idle writer: ${headingOf(figure)}`
  return { what, benchmark: 'idle-writer', labels: OURS, figure, most, unit }
}

function throughputTarget(what: string, count: number, least: number, aim: number): Target {
  const figure = 'timesBefore'
  return { what, benchmark: 'throughput', labels: inFlight(count), figure, least, aim, unit: 'x' }
}

/** The benchmarks that the targets are read from. */
export const TARGET_BENCHMARKS: readonly string[] = [
  ...new Set(TARGETS.map(({ benchmark }) => benchmark)),
]

/** A table of the targets: wanted, measured, reached or not. */
export function formatTargets(report: Report): string {
  const lines = TARGETS.map((target) => {
    const found = measuredOf(target, report)
    const measured = found === undefined ? '-' : `${cellOf(found)} ${target.unit}`.trimEnd()
    const aim = target.aim === undefined ? '-' : formatNumber(target.aim)
    return [target.what, wantedOf(target), aim, measured, verdictOf(target, found)]
  })
  return columns([['target', 'wanted', 'aim', 'measured', ''], ...lines])
}

function measuredOf({ benchmark, labels, figure }: Target, report: Report): Spread | undefined {
  const result = report.benchmarks.find(({ name }) => name === benchmark)
  return result && findRow(result.rows, labels)?.figures[figure]
}

function wantedOf({ least, most, unit }: Target): string {
  if (least !== undefined) return `at least ${formatNumber(least)} ${unit}`.trimEnd()
  return `at most ${formatNumber(most ?? Number.NaN)} ${unit}`.trimEnd()
}

function verdictOf({ least, most }: Target, found: Spread | undefined): string {
  if (found === undefined) return 'not measured'
  const isReached =
    found.median >= (least ?? Number.NEGATIVE_INFINITY) &&
    found.median <= (most ?? Number.POSITIVE_INFINITY)
  return isReached ? paint('green', 'reached') : paint('red', 'not reached')
}
