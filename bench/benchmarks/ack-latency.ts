/*
 * How soon is an event known to be on disk?
 *
 * Each contender records the workload with 1 event in flight: the next one begins when the last is
 * acknowledged. The contenders take turns within each repeat, so that a noisy minute hits all of them,
 * and ratios are of one repeat: `p50 times raw` and `p99 times raw` are the contender's p50 and p99
 * over the p50 of `raw`. That is one writeSync and one fdatasyncSync of the same line, which blocks the
 * caller: the floor that the disk sets. `raw in C` is that without Node. `raw in C, handed over` does it on
 * a second thread while the first one sleeps: the floor of every writer that does not block its caller.
 */

import { BEFORE, beforeOf, OURS, RAW, REFERENCE } from '../contenders/built-in'
import { arePeersInstalled, PEERS, PEERS_NOTE } from '../contenders/peers'
import { NO_COMPILER_NOTE, rawSyncTrials } from '../contenders/raw-sync-in-c'
import type { Benchmark, Context, Plot } from '../harness/benchmark'
import { type Run, runRound, type Trial, trialOf } from '../harness/trial'
import { calls } from '../harness/workload'
import { ecdfChart } from '../report/charts'
import type { Result, Row } from '../report/report'

export const ackLatency: Benchmark = {
  name: 'ack-latency',
  question: 'How soon is an event known to be on disk? (1 in flight)',
  run,
  plots,
}

async function run(context: Context): Promise<Result> {
  const raw = trialOf(RAW, calls, 1, RAW.name)
  const inC = rawSyncTrials(context.dir)
  const others = [OURS, ...beforeOf(context.against), REFERENCE, ...PEERS].map((contender) => {
    return trialOf(contender, calls, 1, contender.name)
  })
  const trials = [...others, raw, ...inC]
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    addRound(await runRound(trials, repeat, context), raw)
  }
  return {
    rows: trials.map(({ row }) => row.build()),
    files: trials.map(({ files }) => files),
    notes: [
      ...(arePeersInstalled ? [] : [PEERS_NOTE]),
      ...(inC.length === 0 ? [NO_COMPILER_NOTE] : []),
    ],
  }
}

/** Adds one repeat's figures, compared with what raw took in it. */
function addRound(runs: ReadonlyMap<Trial, Run>, raw: Trial): void {
  const floorUs = runs.get(raw)?.measured.p50Us ?? Number.NaN
  const beforeUs = [...runs].find(([{ row }]) => row.labels.contender === BEFORE)?.[1].measured
    .p50Us
  for (const [{ row }, { measured, ascendingNs }] of runs) {
    const { p50Us, p99Us, p999Us, maxUs } = measured
    const ratios = { p50TimesRaw: p50Us / floorUs, p99TimesRaw: p99Us / floorUs }
    const isOurs = row.labels.contender === OURS.name
    const before = isOurs && beforeUs !== undefined ? { p50TimesBefore: p50Us / beforeUs } : {}
    row.add({ p50Us, p99Us, p999Us, maxUs, ...ratios, ...before })
    row.addSamples(ascendingNs)
  }
}

function plots(rows: readonly Row[]): readonly Plot[] {
  const title = 'Until durable, 1 in flight: share of events at or below a latency'
  return [{ name: 'ecdf', chart: ecdfChart(title, rows), isForReadme: true }]
}
