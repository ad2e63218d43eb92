/*
 * How many events per second become durable?
 *
 * By the size of an event's line and by how many are in flight: each lane makes a call, waits for its
 * promise, and makes the next. The contenders take turns within each repeat; `times reference` and
 * `times lmdb` compare within one, and so does `percent of none`: the share of its own throughput without any
 * sync that the writer keeps.
 *
 * `caller cpu us` and `worker cpu us` are the processor's time per event, by the kernel's clocks of the calling
 * thread and of the busiest other one: less of it depends on what else runs on the machine.
 *
 * Combinations that could not be in flight are left out: more than 64 MiB of lines, more open files than the
 * reference may have, and more than one event if the contender blocks.
 */

import { BEFORE, beforeOf, OURS, OURS_UNSYNCED, RAW, REFERENCE } from '../contenders/built-in'
import { arePeersInstalled, PEERS, PEERS_NOTE } from '../contenders/peers'
import type { Benchmark, Context, Plot } from '../harness/benchmark'
import { type Run, runRound, type Trial, trialOf } from '../harness/trial'
import { callsOfBytes } from '../harness/workload'
import { rateAxis, seriesBy } from '../report/charts'
import type { Result, Row } from '../report/report'

export const throughput: Benchmark = {
  name: 'throughput',
  question: 'How many events per second become durable?',
  run,
  plots,
}

const EVENT_BYTES = [150, 350, 4_096, 65_536]
const IN_FLIGHT = [1, 8, 64, 1_024, 16_384]
/** What the targets are about. */
const TARGET_EVENT_BYTES = [350]
const TARGET_IN_FLIGHT = [8, 64, 1_024]
const QUICK_EVENT_BYTES = [150, 350]
const QUICK_IN_FLIGHT = [1, 64]
const README_EVENT_BYTES = 350
const IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024

async function run(context: Context): Promise<Result> {
  const [bytes, counts] = sizesOf(context)
  const cells = bytes
    .flatMap((eventBytes) => counts.map((inFlight) => cellOf(eventBytes, inFlight, context)))
    .filter((trials) => trials.length > 0)
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    for (const trials of cells) addRound(await runRound(trials, repeat, context))
  }
  const trials = cells.flat()
  return {
    rows: trials.map(({ row }) => row.build()),
    files: trials.map(({ files }) => files),
    notes: arePeersInstalled ? [] : [PEERS_NOTE],
  }
}

function sizesOf({ isQuick, isForTargets }: Context) {
  if (isQuick) return [QUICK_EVENT_BYTES, QUICK_IN_FLIGHT] as const
  return isForTargets
    ? ([TARGET_EVENT_BYTES, TARGET_IN_FLIGHT] as const)
    : ([EVENT_BYTES, IN_FLIGHT] as const)
}

/** The trials that are compared with each other. */
function cellOf(eventBytes: number, inFlight: number, { against }: Context): readonly Trial[] {
  if (eventBytes * inFlight > IN_FLIGHT_BYTES_MAX) return []
  const calls = callsOfBytes(eventBytes)
  const what = `${eventBytes.toLocaleString('en-US')} B, ${inFlight.toLocaleString('en-US')} in flight`
  return [OURS, ...beforeOf(against), OURS_UNSYNCED, REFERENCE, RAW, ...PEERS]
    .filter(({ inFlightMax }) => inFlight <= inFlightMax)
    .map((contender) => {
      return trialOf(contender, calls, inFlight, `${what}, ${contender.name}`, { eventBytes })
    })
}

/** Adds one repeat's figures. */
function addRound(runs: ReadonlyMap<Trial, Run>): void {
  const rates = new Map(
    [...runs].map(([{ row }, { measured }]) => [row.labels.contender, measured.eventsPerSecond]),
  )
  for (const [{ row }, { measured, cpu }] of runs) {
    const { eventsPerSecond, p50Us, p99Us } = measured
    const isOurs = row.labels.contender === OURS.name
    row.add({
      eventsPerSecond,
      p50Us,
      p99Us,
      ...cpu,
      ...ratioOf('timesReference', eventsPerSecond, rates.get(REFERENCE.name)),
      ...(isOurs ? ratioOf('timesLmdb', eventsPerSecond, rates.get('lmdb')) : {}),
      ...(isOurs ? ratioOf('timesSqlite', eventsPerSecond, rates.get('SQLite')) : {}),
      ...(isOurs ? ratioOf('timesBefore', eventsPerSecond, rates.get(BEFORE)) : {}),
      ...(isOurs
        ? ratioOf('percentOfNone', 100 * eventsPerSecond, rates.get(OURS_UNSYNCED.name))
        : {}),
    })
  }
}

/** The figure of this name, if there is something to compare with. */
function ratioOf(figure: string, value: number, other: number | undefined) {
  return other === undefined ? {} : { [figure]: value / other }
}

/** One for each size of an event. */
function plots(rows: readonly Row[]): readonly Plot[] {
  const sizes = [...new Set(rows.map(({ labels }) => Number(labels.eventBytes)))]
  return sizes.map((bytes) => ({
    name: `${bytes}-bytes`,
    chart: {
      title: `Durable events of ${bytes.toLocaleString('en-US')} B per second, by events in flight`,
      x: rateAxis('events in flight'),
      y: rateAxis('events per second'),
      series: seriesBy(
        rows.filter(({ labels }) => labels.eventBytes === bytes),
        'contender',
        'inFlight',
        'eventsPerSecond',
      ),
    },
    isForReadme: bytes === README_EVENT_BYTES,
  }))
}
