/*
 * How late is an acknowledgement at a given rate?
 *
 * An open loop, corrected for coordinated omission: events come at a constant rate, whether those before have
 * been acknowledged or not, and a latency counts from the moment at which its event was due, so a stall is
 * charged to every event that it held up. Moments are at least half a millisecond apart; above 2,000 per
 * second events come in bursts.
 *
 * First each contender's saturation is measured, with 1,024 in flight. Then come a quarter, half and
 * nine tenths of that, and fixed rates from 1,000 per second up to the first that it cannot hold. Its queue
 * is bounded at that rate: no more is in flight than it should record in a quarter of a second, and an event
 * that was not sent by the end counts with its age. The rate is called saturated then, and its latencies say
 * no more than that.
 *
 * `p99 times raw` compares with the p50 of one write and fdatasync at a time, measured beside each rate.
 * `late p99` is the lateness of the calling thread itself. A contender that blocks it is to blame for that;
 * `generator alone`, which sends events to nobody, shows the load generator's own share.
 */

import { OURS, RAW, REFERENCE } from '../contenders/built-in'
import { arePeersInstalled, PEERS, PEERS_NOTE } from '../contenders/peers'
import { type Benchmark, type Context, type Plot, rotated } from '../harness/benchmark'
import { findKnee, KNEE_TIMES } from '../harness/knee'
import {
  achieved,
  type Entrant,
  isSpared,
  type Point,
  type RateTrial,
  rateTrial,
  runGenerator,
  runRate,
  withRemark,
} from '../harness/rate-trial'
import { sumOfFiles } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import { type Contender, runRound, type Trial, trialOf } from '../harness/trial'
import { calls } from '../harness/workload'
import { percentileChart, rateAxis, seriesBy, usAxis } from '../report/charts'
import type { Result, Row } from '../report/report'
import { formatNumber } from '../report/table'

export const openLoop: Benchmark = {
  name: 'open-loop',
  question: 'How late is an acknowledgement at a given rate? (from the intended moment)',
  run,
  plots,
}

const SHARES = [
  { share: 0.25, name: 'a quarter of saturation' },
  { share: 0.5, name: 'half of saturation' },
  { share: 0.9, name: 'nine tenths of saturation' },
]
const RATES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000].map((thousands) => thousands * 1_000)
const QUICK_SHARES = SHARES.slice(0, 1)
const QUICK_RATES = RATES.slice(0, 1)

const SATURATING = 1_024
const GENERATOR = 'generator alone'

/** The share of a p99 from which the generator's own lateness is reported. */
const TAINTED_SHARE = 0.5

/** The trials that are compared with each other. */
interface Round {
  readonly trials: readonly RateTrial[]
  /** The generator alone at the round's rate, if the round has one. */
  readonly generator?: Pick<RateTrial, 'ratePerSecond' | 'row'>
}

async function run(context: Context): Promise<Result> {
  const limits = [OURS, REFERENCE, ...PEERS].map((contender) => {
    const inFlight = Math.min(SATURATING, contender.inFlightMax)
    const name = `saturation, ${contender.name}`
    return { contender, trial: trialOf(contender, calls, inFlight, name, { point: 'saturation' }) }
  })
  await saturate(
    limits.map(({ trial }) => trial),
    context,
  )
  const entrants = limits.map(({ contender, trial }) => entrantOf(contender, trial.row.build()))
  const rounds = roundsFor(entrants, context.isQuick)
  const raw = trialOf(RAW, calls, 1, 'raw, 1 in flight', { point: 'raw' })
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    await runRepeat(rounds, raw, repeat, context)
  }
  const trials = rounds.flatMap((round) => round.trials)
  const rows = [
    ...rounds.flatMap((round) => [
      ...round.trials.map(withRemark),
      ...(round.generator === undefined ? [] : [round.generator.row]),
    ]),
    ...limits.map(({ trial }) => trial.row),
    ...entrants.map(({ kneeRow }) => kneeRow),
    raw.row,
  ].map((row) => row.build())
  return {
    // A rate that was left out in every repeat has nothing to show.
    rows: rows.filter(({ figures }) => Object.keys(figures).length > 0),
    files: [
      ...limits.map(({ trial }) => trial.files),
      ...trials.map(({ row, files }) => sumOfFiles(row.name, files)),
      raw.files,
    ].filter(({ acknowledged }) => acknowledged > 0),
    notes: [...kneeNotes(rows), ...taintedNotes(rows), ...(arePeersInstalled ? [] : [PEERS_NOTE])],
  }
}

async function saturate(trials: readonly Trial[], context: Context): Promise<void> {
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const runs = await runRound(trials, repeat, context)
    for (const [{ row }, { measured }] of runs) row.add(achieved(measured))
  }
}

function entrantOf(contender: Contender, { figures }: Row): Entrant {
  const { name } = contender
  const saturation = figures.achievedPerSecond?.median ?? Number.NaN
  const kneeRow = new RowBuilder(`knee, ${name}`, { contender: name, point: 'knee' })
  return { contender, saturation, kneeRow }
}

function roundsFor(entrants: readonly Entrant[], isQuick: boolean): Round[] {
  const shares = (isQuick ? QUICK_SHARES : SHARES).map(({ share, name }) => ({
    trials: entrants.map((entrant) => {
      const rate = Math.ceil(share * entrant.saturation)
      return rateTrial(entrant, rate, name, { point: 'share', share }, false)
    }),
  }))
  const rates = isQuick ? QUICK_RATES : RATES
  const fixed = rates.map((rate, i) => {
    const name = rateName(rate)
    const labels = { point: 'rate', rate }
    const trials = entrants.map((entrant) => rateTrial(entrant, rate, name, labels, i > 0))
    const row = new RowBuilder(`${name}, ${GENERATOR}`, { contender: GENERATOR, ...labels })
    return { trials, generator: { ratePerSecond: rate, row } }
  })
  return [...shares, ...fixed]
}

function rateName(rate: number): string {
  return `${rate.toLocaleString('en-US')}/s`
}

async function runRepeat(
  rounds: readonly Round[],
  raw: Trial,
  repeat: number,
  context: Context,
): Promise<void> {
  const points = new Map<Entrant, Point[]>()
  for (const { trials, generator } of rounds) {
    const due = trials.filter((trial) => !isSpared(trial, points.get(trial.entrant)))
    if (due.length === 0) break
    context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${raw.row.name}`)
    const { measured: floor } = await raw.run(context)
    raw.row.add(achieved(floor))
    if (generator !== undefined) await runGenerator(generator, context)
    for (const trial of rotated(due, repeat)) {
      context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${trial.row.name}`)
      const known = points.get(trial.entrant) ?? []
      points.set(trial.entrant, [...known, await runRate(trial, floor.p50Us, context)])
    }
  }
  for (const [{ kneeRow }, known] of points) kneeRow.add(findKnee(known)?.figures ?? {})
}

function kneeNotes(rows: readonly Row[]): string[] {
  const knees = rows.flatMap(({ labels, figures: { ratePerSecond, p99Us } }) => {
    if (labels.point !== 'knee' || ratePerSecond === undefined || p99Us === undefined) return []
    const rate = formatNumber(Math.round(ratePerSecond.median))
    return [`${labels.contender} ${rate}/s (p99 ${formatNumber(p99Us.median)} us)`]
  })
  const what = `the highest rate whose p99 is within ${KNEE_TIMES} times the best p99 of any`
  return knees.length === 0 ? [] : [`Knee, ${what}: ${knees.join(', ')}.`]
}

/** Reports the rows in which the generator's own lateness is much of the figure. */
function taintedNotes(rows: readonly Row[]): string[] {
  const tainted = rows.filter(({ labels, figures }) => {
    if (labels.point !== 'rate' || labels.contender === GENERATOR) return false
    const alone = rows.find(
      (row) => row.labels.contender === GENERATOR && row.labels.rate === labels.rate,
    )
    const ownUs = alone?.figures.p99Us?.median ?? 0
    return ownUs > TAINTED_SHARE * (figures.p99Us?.median ?? Number.POSITIVE_INFINITY)
  })
  if (tainted.length === 0) return []
  const names = tainted.map(({ name }) => name).join('; ')
  return [`The generator alone was later than half of the p99, so that is much its own: ${names}.`]
}

const isAtRate = ({ labels }: Row) => labels.point === 'rate' || labels.point === 'share'

function plots(rows: readonly Row[]): readonly Plot[] {
  const measured = rows.filter(isAtRate)
  const against = (figure: 'p50Us' | 'p99Us', heading: string) => ({
    title: `${heading} until durable, at constant rates`,
    x: rateAxis('events due per second'),
    y: usAxis('from the intended moment'),
    series: seriesBy(measured, 'contender', 'ratePerSecond', figure),
  })
  const ours = measured.filter(
    ({ labels }) => labels.contender === OURS.name && labels.point === 'rate',
  )
  return [
    { name: 'p99', chart: against('p99Us', 'p99'), isForReadme: true },
    { name: 'p50', chart: against('p50Us', 'Median') },
    {
      name: 'percentiles',
      chart: percentileChart(
        `${OURS.name}: percentiles at constant rates`,
        ours.map((row) => ({ name: rateName(Number(row.labels.rate)), row })),
      ),
    },
  ]
}
