/*
 * How soon is an event known to be on disk?
 *
 * Each contender records the workload with 1 event in flight, the next one begun when the last is
 * acknowledged. The contenders take turns within each repeat, so that a noisy minute hits all of them,
 * and ratios are of one repeat: `p50 times raw` and `p99 times raw` are the contender's p50 and p99
 * over the p50 of `raw`. That is one writeSync and one fdatasyncSync of the same line, which blocks the
 * caller: the floor that the disk sets. `raw in C` does the same without Node.
 */
import { OURS, RAW, REFERENCE } from './contenders'
import type { Benchmark, Context, FileCheck, Result } from './harness'
import { RowBuilder } from './harness'
import { arePeersInstalled, PEERS, PEERS_NOTE } from './peers'
import { compileRawSync, NO_COMPILER_NOTE, runRawSync } from './raw-sync'
import { sumOfFiles } from './read-back'
import { type Run, runRound, Trial } from './trial'
import { calls } from './workload'

export const ackLatency: Benchmark = {
  name: 'ack-latency',
  question: 'How soon is an event known to be on disk? (1 in flight)',
  run,
}

const IN_C = 'raw in C'

async function run(context: Context): Promise<Result> {
  const trials = [OURS, REFERENCE, RAW, ...PEERS].map(
    (contender) => new Trial(contender, calls, 1, contender.name, {}),
  )
  const inC = new RowBuilder(IN_C, { contender: IN_C, inFlight: 1 })
  const inCFiles: FileCheck[] = []
  const program = compileRawSync(context.dir)
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const runs = new Map<RowBuilder, Run>()
    for (const [trial, found] of await runRound(trials, repeat, context)) runs.set(trial.row, found)
    if (program !== undefined) {
      const found = runRawSync(program, context)
      runs.set(inC, found)
      inCFiles.push(found.file)
    }
    addRound(runs)
  }
  const rows = trials.map(({ row }) => row.build())
  const files = trials.map((trial) => trial.files)
  const isInC = inCFiles.length > 0
  return {
    rows: isInC ? [...rows, inC.build()] : rows,
    files: isInC ? [...files, sumOfFiles(IN_C, inCFiles)] : files,
    notes: [...(arePeersInstalled ? [] : [PEERS_NOTE]), ...(isInC ? [] : [NO_COMPILER_NOTE])],
  }
}

/** Adds one repeat's figures, compared with what raw took in it. */
function addRound(runs: ReadonlyMap<RowBuilder, Run>): void {
  const raw = [...runs].find(([row]) => row.labels.contender === RAW.name)
  if (raw === undefined) throw new Error('raw was not measured')
  const floorUs = raw[1].measured.p50Us
  for (const [row, { measured, ascendingNs }] of runs) {
    const { p50Us, p99Us, p999Us, maxUs } = measured
    const ratios = { p50TimesRaw: p50Us / floorUs, p99TimesRaw: p99Us / floorUs }
    row.add({ p50Us, p99Us, p999Us, maxUs, ...ratios })
    row.addSamples(ascendingNs)
  }
}
