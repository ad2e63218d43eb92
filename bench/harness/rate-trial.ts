import { type LoadResult, runOpenLoop } from '../../src/toolkit/load/open-loop'
import type { FileCheck, Labels } from '../report/report'
import type { Context } from './benchmark'
import type { RatePoint } from './knee'
import { RowBuilder } from './row-builder'
import { percentile } from './statistics'
import { type Contender, figuresOf, type Measured, recordInto, warmUp } from './trial'
import { calls } from './workload'

/*
 * A contender that is sent events at a constant rate: the building block of open-loop.ts.
 */

const WARM_UP_IN_FLIGHT = 64
/** At low rates a measurement lasts until it has this many events, at most this many times as long. */
const EVENTS_MIN = 2_000
const TIMES_MS_MAX = 4

/** The longest queue, in seconds at the contender's saturation, and in events. */
const QUEUE_SECONDS = 0.25
const QUEUE_MIN = 64
const QUEUE_MAX = 16_384

/** A rate counts as held if the last event is acknowledged within this time after the end. */
const SLACK_SHARE = 0.05
const SLACK_MS = 20

/** A contender, and what it can do at most. */
export interface Entrant {
  readonly contender: Contender
  readonly saturation: number
  readonly kneeRow: RowBuilder
}

/** An entrant at one rate. */
export interface RateTrial {
  readonly entrant: Entrant
  readonly ratePerSecond: number
  readonly row: RowBuilder
  readonly files: FileCheck[]
  readonly saturated: boolean[]
  /** Whether it is left out after a lower rate that could not be held. */
  readonly isOptional: boolean
}

/** The figures of one run of a trial. */
export interface Point extends RatePoint {
  readonly figures: Readonly<Record<string, number>>
}

export function rateTrial(
  entrant: Entrant,
  ratePerSecond: number,
  rateName: string,
  labels: Labels,
  isOptional: boolean,
): RateTrial {
  const { name } = entrant.contender
  const row = new RowBuilder(`${rateName}, ${name}`, { contender: name, ...labels })
  return { entrant, ratePerSecond, row, files: [], saturated: [], isOptional }
}

/** Whether a lower rate could not be held, so that this one is left out. */
export function isSpared(
  { isOptional, ratePerSecond }: RateTrial,
  known: readonly Point[] = [],
): boolean {
  const lower = known.filter((point) => point.ratePerSecond < ratePerSecond)
  return isOptional && lower.some(({ isSaturated }) => isSaturated)
}

/** Sends the trial's contender events at its rate, and adds the figures to its row. */
export async function runRate(
  trial: RateTrial,
  rawP50Us: number | undefined,
  context: Context,
): Promise<Point> {
  const { entrant, ratePerSecond, row, files, saturated } = trial
  const { contender } = entrant
  const durationMs = durationOf(ratePerSecond, context.ms)
  const { found, file } = await recordInto(context.dir, contender, calls, async (tally) => {
    await warmUp(tally, Math.min(WARM_UP_IN_FLIGHT, contender.inFlightMax), context)
    const send = async () => tally.append()
    const maxInFlight = queueOf(entrant)
    return { found: await runOpenLoop(ratePerSecond, { send, durationMs, maxInFlight }) }
  })
  files.push(file)
  const isSaturated = isSaturatedBy(found, durationMs)
  saturated.push(isSaturated)
  const figures = figuresAt(ratePerSecond, found, row, rawP50Us)
  return { ratePerSecond, p99Us: figures.p99Us, isSaturated, figures }
}

/** The generator's own lateness: events that arrive at once. */
export async function runGenerator(
  { ratePerSecond, row }: Pick<RateTrial, 'ratePerSecond' | 'row'>,
  { ms }: Context,
): Promise<void> {
  const durationMs = durationOf(ratePerSecond, ms)
  const load = { send: async () => undefined, durationMs, maxInFlight: QUEUE_MAX }
  figuresAt(ratePerSecond, await runOpenLoop(ratePerSecond, load), row)
}

function durationOf(ratePerSecond: number, ms: number): number {
  return Math.min(TIMES_MS_MAX * ms, Math.max(ms, (EVENTS_MIN / ratePerSecond) * 1_000))
}

function queueOf({ contender, saturation }: Entrant): number {
  const queue = Math.max(QUEUE_MIN, Math.ceil(saturation * QUEUE_SECONDS))
  return Math.min(QUEUE_MAX, contender.inFlightMax, queue)
}

/** Whether events were left unsent, or a queue had grown that took time to be done with. */
export function isSaturatedBy(
  { intended, done, elapsedMs }: Pick<LoadResult, 'intended' | 'done' | 'elapsedMs'>,
  durationMs: number,
): boolean {
  return done < intended || elapsedMs > durationMs * (1 + SLACK_SHARE) + SLACK_MS
}

/** Adds a run's figures to the row. */
function figuresAt(
  ratePerSecond: number,
  { done, elapsedMs, latenciesMs, latenessMs }: LoadResult,
  row: RowBuilder,
  rawP50Us?: number,
) {
  const ascendingNs = latenciesMs.map((ms) => ms * 1e6)
  const measured = figuresOf(ascendingNs, (done * 1_000) / elapsedMs)
  const figures = {
    ratePerSecond,
    ...achieved(measured),
    // A generator that was never woken in time has no lateness to report.
    ...(latenessMs.length === 0 ? {} : { lateP99Us: percentile(latenessMs, 99) * 1_000 }),
    ...(rawP50Us === undefined ? {} : { rawP50Us, p99TimesRaw: measured.p99Us / rawP50Us }),
  }
  row.add(figures)
  row.addSamples(ascendingNs)
  return figures
}

/** The row, with how often its rate could not be held. */
export function withRemark({ row, saturated }: RateTrial): RowBuilder {
  const times = saturated.filter(Boolean).length
  const often = times === saturated.length ? '' : ` (${times} of ${saturated.length})`
  if (times > 0) row.remark = `saturated${often}`
  return row
}

/** A run's measurements, under the names of this benchmark's figures. */
export function achieved({ eventsPerSecond, ...latencies }: Measured) {
  return { achievedPerSecond: eventsPerSecond, ...latencies }
}
