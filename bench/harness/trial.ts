import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditOutcome } from '../../src'
import type { FileCheck, Labels } from '../report/report'
import { type Context, rotated } from './benchmark'
import { checkLines, sumOfFiles } from './read-back'
import { RowBuilder } from './row-builder'
import { sampleNs } from './sampling'
import { mean, percentile } from './statistics'
import { cpuPerEvent, threadTimes } from './thread-times'
import { type AuditCall, CallCycle } from './workload'

/*
 * A trial makes one contender record the workload with a fixed number of events in flight, and reads back
 * the file. The benchmarks of latency, throughput and slow disks are made of trials.
 */

/** The least time to warm up, as a share of the measurement's time. */
const WARM_UP_SHARE = 0.5
/**
 * A writer with a thread of its own starts that thread cold: its code is compiled over some thousand
 * events, each a little late, whereas a contender on this thread is warm since the first repeat. A gateway
 * runs for days, so warming up goes on for this many events.
 */
const WARM_UP_EVENTS = 8_000
/** It takes at least the one, and ends after the other even if a contender is slow. */
const WARM_UP_MS_MIN = 500
const WARM_UP_MS_MAX = 2_000

/** Something that records events. */
export interface Writer {
  /** Settles when the event is durable; without a promise it blocks until then. */
  append(call: AuditCall): Promise<AuditOutcome> | AuditOutcome
  close(): Promise<void> | void
}

/** A way to record events. */
export interface Contender {
  readonly name: string
  readonly keepsOrder: boolean
  /** The outcome of a recorded event. */
  readonly outcome: AuditOutcome
  /** The most events that it can have in flight. */
  readonly inFlightMax: number
  open(path: string): Writer
  /** The lines stored at the path. */
  stored(path: string): Iterable<string>
}

/** The figures of one measurement. */
export interface Measured {
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  readonly eventsPerSecond: number
}

/** The processor's time per event, in microseconds; empty if the system does not say. */
type CpuPerEvent = ReturnType<typeof cpuPerEvent>

/** One measurement, with its latencies. */
export interface Run {
  readonly measured: Measured
  /** Of many events in flight. */
  readonly cpu?: CpuPerEvent
  readonly ascendingNs: ArrayLike<number> & Iterable<number>
  readonly file: FileCheck
}

/** A measurement that is made once per repeat: one line of a table. */
export class Trial {
  readonly #measure: (context: Context) => Promise<Run>
  readonly #files: FileCheck[] = []

  constructor(
    readonly row: RowBuilder,
    measure: (context: Context) => Promise<Run>,
  ) {
    this.#measure = measure
  }

  /** The files of all its runs. */
  get files(): FileCheck {
    return sumOfFiles(this.row.name, this.#files)
  }

  async run(context: Context): Promise<Run> {
    const run = await this.#measure(context)
    this.#files.push(run.file)
    return run
  }
}

/** The trial of a contender with `inFlight` events in flight. */
export function trialOf(
  contender: Contender,
  calls: readonly AuditCall[],
  inFlight: number,
  name: string,
  labels: Labels = {},
): Trial {
  const row = new RowBuilder(name, { contender: contender.name, inFlight, ...labels })
  return new Trial(row, (context) => runTrial(contender, calls, inFlight, context))
}

/** Runs each trial once, starting with another one in each repeat; the caller adds the figures. */
export async function runRound(
  trials: readonly Trial[],
  repeat: number,
  context: Context,
): Promise<Map<Trial, Run>> {
  const runs = new Map<Trial, Run>()
  for (const trial of rotated(trials, repeat)) {
    context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${trial.row.name}`)
    runs.set(trial, await trial.run(context))
  }
  return runs
}

/** Opens a fresh file, warms up, measures, and reads the file back. */
export async function runTrial(
  contender: Contender,
  calls: readonly AuditCall[],
  inFlight: number,
  { dir, ms, isQuick }: Pick<Context, 'dir' | 'ms' | 'isQuick'>,
): Promise<Run> {
  return await recordInto(dir, contender, calls, async (tally) => {
    await warmUp(tally, inFlight, { ms, isQuick })
    return await (inFlight === 1 ? measureOne(tally, ms) : measureMany(tally, inFlight, ms))
  })
}

/** Makes the contender record into a fresh file as `measure` directs, and reads the file back. */
export async function recordInto<Found extends object>(
  dir: string,
  contender: Contender,
  calls: readonly AuditCall[],
  measure: (tally: Tally) => Promise<Found>,
): Promise<Found & { readonly file: FileCheck }> {
  const folder = join(dir, 'trial')
  mkdirSync(folder)
  const path = join(folder, 'events')
  const writer = contender.open(path)
  const tally = new Tally(writer, calls, contender.outcome)
  const found = await measure(tally)
  await writer.close()
  const expected = { acknowledged: tally.acknowledged, calls, isOrdered: contender.keepsOrder }
  const file = checkLines(contender.name, contender.stored(path), expected)
  rmSync(folder, { recursive: true })
  return { ...found, file }
}

/** Makes the contender record until it is as fast as it will be. */
export async function warmUp(
  tally: Tally,
  inFlight: number,
  { ms, isQuick }: Pick<Context, 'ms' | 'isQuick'>,
): Promise<void> {
  const sliceMs = isQuick ? ms * WARM_UP_SHARE : Math.max(ms * WARM_UP_SHARE, WARM_UP_MS_MIN)
  const events = isQuick ? 0 : WARM_UP_EVENTS
  const end = performance.now() + WARM_UP_MS_MAX
  do await tally.keepInFlight(inFlight, sliceMs)
  while (tally.acknowledged < events && performance.now() < end)
}

async function measureOne(tally: Tally, ms: number) {
  const ascendingNs = await sampleNs(() => tally.append(), { ms })
  return { ascendingNs, measured: figuresOf(ascendingNs, 1e9 / mean(ascendingNs)) }
}

async function measureMany(tally: Tally, inFlight: number, ms: number) {
  const before = tally.acknowledged
  const timesBefore = threadTimes()
  const startedAt = performance.now()
  const latenciesNs = await tally.keepInFlight(inFlight, ms)
  const seconds = (performance.now() - startedAt) / 1_000
  const events = tally.acknowledged - before
  const cpu = cpuPerEvent(timesBefore, threadTimes(), events)
  const ascendingNs = Float64Array.from(latenciesNs).sort()
  return { ascendingNs, cpu, measured: figuresOf(ascendingNs, events / seconds) }
}

/** The figures of latencies, and of how many there were. */
export function figuresOf(ascendingNs: ArrayLike<number>, eventsPerSecond: number): Measured {
  return {
    p50Us: percentile(ascendingNs, 50) / 1_000,
    p99Us: percentile(ascendingNs, 99) / 1_000,
    p999Us: percentile(ascendingNs, 99.9) / 1_000,
    maxUs: percentile(ascendingNs, 100) / 1_000,
    eventsPerSecond,
  }
}

/** Makes a writer record the workload, and counts what it acknowledges. */
export class Tally {
  readonly #writer: Writer
  readonly #cycle: CallCycle
  readonly #expected: AuditOutcome
  #acknowledged = 0

  constructor(writer: Writer, calls: readonly AuditCall[], expected: AuditOutcome) {
    this.#writer = writer
    this.#cycle = new CallCycle(calls)
    this.#expected = expected
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Records the next event. A promise only if the writer's is one: awaiting costs time too. */
  append(): Promise<void> | void {
    const outcome = this.#writer.append(this.#cycle.next())
    return outcome instanceof Promise ? outcome.then(this.#count) : this.#count(outcome)
  }

  /** Keeps `count` events in flight for `ms` milliseconds; returns the nanoseconds of each. */
  async keepInFlight(count: number, ms: number): Promise<number[]> {
    const latenciesNs: number[] = []
    const end = performance.now() + ms
    const lane = async () => {
      let now = performance.now()
      // At least once, or a slow contender would never have `count` events in flight.
      do {
        await this.append()
        const startedAt = now
        now = performance.now()
        latenciesNs.push((now - startedAt) * 1e6)
      } while (now < end)
    }
    await Promise.all(Array.from({ length: count }, lane))
    return latenciesNs
  }

  readonly #count = (outcome: AuditOutcome): void => {
    if (outcome !== this.#expected) throw new Error(`an event's outcome was ${outcome}`)
    this.#acknowledged++
  }
}
