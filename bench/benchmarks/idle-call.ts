/*
 * What does a call cost after a pause?
 *
 * A gateway records a few events per second, so each of its calls finds everything asleep: the writer's
 * worker, and the processor that runs it. Each sample is one call of the workload after a pause of its own,
 * during which the calling thread sleeps. Two times are taken of it: until the call returns, which is what
 * the calling thread pays, and until the event is known to be durable.
 *
 * - `raw` is a blocking write and fdatasync of the same line: what auditing costs without this package;
 * - `postMessage` hands the line to a worker that does nothing with it: what waking a thread costs by the
 *   means that Node.js offers;
 * - `pino, worker` is pino with its worker transport, which says of no event whether it is on disk.
 *
 * Figures are medians: of the few samples after a long pause no percentile says more. The contenders take
 * turns, and the ratios are of one repeat: `call times raw` and `durable times raw` compare with `raw` after
 * the same pause, `call times message` with `postMessage`.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { OURS, RAW } from '../contenders/built-in'
import { LOGGERS, type Logger } from '../contenders/peer-loggers'
import { arePeersInstalled, PEERS_NOTE } from '../contenders/peers'
import { type Benchmark, type Context, type Plot, rotated } from '../harness/benchmark'
import { checkLines, linesOf, sumOfFiles } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import { median } from '../harness/statistics'
import { type Contender, recordInto, warmUp } from '../harness/trial'
import { CallCycle, calls, lineObject, lineOf } from '../harness/workload'
import { rateAxis, seriesBy, usAxis } from '../report/charts'
import type { FileCheck, Result, Row } from '../report/report'

export const idleCall: Benchmark = {
  name: 'idle-call',
  question: 'What does a call cost after a pause?',
  run,
  plots,
}

const PAUSES_MS = [1, 10, 100, 1_000]
const QUICK_PAUSES_MS = [1, 10]
/** A measurement after long pauses has fewer samples, for this much time, but never fewer than these. */
const MEASUREMENT_MS = 4_000
const SAMPLES_MIN = 5
/** Events in flight while a contender warms up. */
const WARM_UP_IN_FLIGHT = 8
const WARM_UP_CALLS = 2_000

const MESSAGE = 'postMessage'
const WORKER_FILE = join(__dirname, 'idle-call-worker.js')

/** The times of a call after a pause; that of durability is missing if the contender does not say. */
interface Found {
  readonly callUs: number
  readonly durableUs?: number
}

/** Makes one call. A promise, if there is one, resolves when the event is durable. */
type Call = () => Promise<void> | void
/** Measures a call after each pause. */
type Measure = (call: Call) => Promise<ReadonlyMap<number, Found>>

/** A way to hand events over. */
interface Way {
  readonly name: string
  /** Whether it says when an event is durable: by its promise, or by returning. */
  readonly isDurable: boolean
  run(context: Context, measure: Measure): Promise<WayResult>
}

interface WayResult {
  readonly found: ReadonlyMap<number, Found>
  readonly file?: FileCheck
}

const WAYS: readonly Way[] = [
  durableWay(OURS),
  durableWay(RAW),
  { name: MESSAGE, isDurable: false, run: runMessages },
  ...LOGGERS.filter(({ name }) => name === 'pino, worker').map(loggerWay),
]

async function run(context: Context): Promise<Result> {
  const pauses = context.isQuick ? QUICK_PAUSES_MS : PAUSES_MS
  const rows = pauses.flatMap((pauseMs) => WAYS.map(({ name }) => rowOf(pauseMs, name)))
  const files: FileCheck[] = []
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    const found = new Map<string, ReadonlyMap<number, Found>>()
    for (const way of rotated(WAYS, repeat)) {
      const what = `repeat ${repeat + 1} of ${context.repeats}: ${way.name}`
      context.progress(what)
      const measure: Measure = (call) =>
        measurePauses(call, pauses, context, way.isDurable, (pauseMs) =>
          context.progress(`${what}, pauses of ${pauseMs} ms`),
        )
      const result = await way.run(context, measure)
      found.set(way.name, result.found)
      if (result.file !== undefined) files.push(result.file)
    }
    addRepeat(rows, found)
  }
  const names = [...new Set(files.map(({ name }) => name))]
  return {
    rows: rows.map((row) => row.build()),
    files: names.map((name) =>
      sumOfFiles(
        name,
        files.filter((file) => file.name === name),
      ),
    ),
    notes: arePeersInstalled ? [] : [PEERS_NOTE],
  }
}

function rowOf(pauseMs: number, contender: string): RowBuilder {
  const name = `${pauseMs.toLocaleString('en-US')} ms, ${contender}`
  return new RowBuilder(name, { contender, pauseMs })
}

/** Adds what one repeat found, compared with raw and with a message after the same pause. */
function addRepeat(
  rows: readonly RowBuilder[],
  found: ReadonlyMap<string, ReadonlyMap<number, Found>>,
): void {
  for (const row of rows) {
    const pauseMs = Number(row.labels.pauseMs)
    const at = (contender: string) => found.get(contender)?.get(pauseMs)
    const [own, raw, message] = [at(String(row.labels.contender)), at(RAW.name), at(MESSAGE)]
    if (own === undefined || raw?.durableUs === undefined || message === undefined) {
      throw new Error(`${row.name} was not measured`)
    }
    const { callUs, durableUs } = own
    row.add({
      callUs,
      ...(durableUs === undefined ? {} : { durableUs }),
      callTimesRaw: callUs / raw.callUs,
      callTimesMessage: callUs / message.callUs,
      ...(durableUs === undefined ? {} : { durableTimesRaw: durableUs / raw.durableUs }),
    })
  }
}

async function measurePauses(
  call: Call,
  pauses: readonly number[],
  { samples }: Context,
  isDurable: boolean,
  progress: (pauseMs: number) => void,
): Promise<ReadonlyMap<number, Found>> {
  const found = new Map<number, Found>()
  for (const pauseMs of pauses) {
    progress(pauseMs)
    const most = Math.max(SAMPLES_MIN, Math.floor(MEASUREMENT_MS / pauseMs))
    found.set(pauseMs, await measurePause(call, pauseMs, Math.min(samples, most), isDurable))
  }
  return found
}

async function measurePause(
  call: Call,
  pauseMs: number,
  samples: number,
  isDurable: boolean,
): Promise<Found> {
  const callsUs: number[] = []
  const durablesUs: number[] = []
  for (let sample = 0; sample < samples; sample++) {
    await sleep(pauseMs)
    const startedAt = performance.now()
    const outcome = call()
    const returnedAt = performance.now()
    if (outcome !== undefined) await outcome
    const durableAt = outcome === undefined ? returnedAt : performance.now()
    callsUs.push((returnedAt - startedAt) * 1_000)
    durablesUs.push((durableAt - startedAt) * 1_000)
  }
  const callUs = median(callsUs)
  return isDurable ? { callUs, durableUs: median(durablesUs) } : { callUs }
}

function durableWay(contender: Contender): Way {
  const inFlight = Math.min(WARM_UP_IN_FLIGHT, contender.inFlightMax)
  return {
    name: contender.name,
    isDurable: true,
    run: (context, measure) =>
      recordInto(context.dir, contender, calls, async (tally) => {
        await warmUp(tally, inFlight, context)
        return { found: await measure(() => tally.append()) }
      }),
  }
}

function loggerWay(logger: Logger): Way {
  return {
    name: logger.name,
    isDurable: false,
    async run(context, measure) {
      const folder = join(context.dir, 'logger')
      mkdirSync(folder)
      const path = join(folder, 'events')
      const open = await logger.open(path)
      const cycle = new CallCycle(calls.map((call) => lineObject(call, Date.now())))
      let logged = 0
      const log = () => {
        logged++
        open.log(cycle.next())
      }
      for (let call = 0; call < WARM_UP_CALLS; call++) log()
      await open.settle()
      const found = await measure(log)
      await open.close()
      const expected = { acknowledged: logged, calls: undefined, isOrdered: false }
      const file = checkLines(logger.name, linesOf(path), expected)
      rmSync(folder, { recursive: true })
      return { found, file }
    },
  }
}

/** Hands lines to a worker that counts them; throws unless it has received each. */
async function runMessages(_context: Context, measure: Measure): Promise<WayResult> {
  const worker = new Worker(WORKER_FILE)
  const lines = new CallCycle(calls.map((call) => ({ line: lineOf(call) })))
  let sent = 0
  const post = () => {
    sent++
    worker.postMessage(lines.next().line)
  }
  for (let call = 0; call < WARM_UP_CALLS; call++) post()
  const found = await measure(post)
  const received = new Promise((resolve) => worker.once('message', resolve))
  worker.postMessage(null)
  const count = await received
  await worker.terminate()
  if (count !== sent) throw new Error(`${MESSAGE}: ${sent} lines were sent, ${count} received`)
  return { found }
}

function plots(rows: readonly Row[]): readonly Plot[] {
  const plot = (name: string, title: string, figure: string): Plot => ({
    name,
    chart: {
      title,
      x: rateAxis('pause before the call, ms'),
      y: usAxis('median'),
      series: seriesBy(rows, 'contender', 'pauseMs', figure),
    },
  })
  return [
    plot('call', 'Time of a call on the calling thread, by the pause before it', 'callUs'),
    plot('durable', 'Time until an event is durable, by the pause before it', 'durableUs'),
  ]
}
