/*
 * How soon is an event known to be on disk, and how many a second?
 *
 * Each contender records the workload with 1 event in flight, the next one begun when the last is
 * acknowledged, and with 1,024 in flight. The contenders take turns within each repeat, so that a
 * noisy minute hits all of them, and `times reference` compares only within one repeat: how many
 * times shorter the median wait is than the reference's (1 in flight), how many times more events a
 * second (1,024 in flight). `raw` is one writeSync and one fdatasyncSync of the same line, which
 * blocks the caller: the floor that the disk sets.
 */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditOutcome } from '../src'
import {
  type Benchmark,
  type Context,
  type FileCheck,
  mean,
  percentile,
  type Result,
  RowBuilder,
  rotated,
  sampleNs,
} from './harness'
import { Reference } from './reference'
import { type AuditCall, CallCycle, calls, checkFile, lineOf, submit } from './workload'

const { ExecAudit, ExecDiagnostics }: typeof import('../src') = require('../dist')

const MANY_IN_FLIGHT = 1024
/** Share of a measurement's time that goes into warming up, in addition. */
const WARM_UP_SHARE = 0.5

export const ackLatency: Benchmark = {
  name: 'ack-latency',
  question: 'How soon is an event known to be on disk, and how many a second?',
  run,
}

/** Something that makes events durable. */
interface Writer {
  append(call: AuditCall): Promise<AuditOutcome> | AuditOutcome
  close(): Promise<void> | void
}

interface Contender {
  readonly name: string
  readonly keepsOrder: boolean
  open(path: string): Writer
}

const OURS: Contender = {
  name: 'x0x-exec-audit',
  keepsOrder: true,
  open(path) {
    const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics())
    return { append: (call) => submit(audit, call), close: () => audit.close() }
  },
}

const REFERENCE: Contender = {
  name: 'reference',
  keepsOrder: false,
  open(path) {
    const reference = new Reference(path)
    return { append: (call) => reference.append(call), close: () => undefined }
  },
}

const RAW: Contender = {
  name: 'raw',
  keepsOrder: true,
  open(path) {
    const fd = openSync(path, 'a', 0o600)
    const append = (call: AuditCall) => {
      writeSync(fd, lineOf(call))
      fdatasyncSync(fd)
      return 'durable' as const
    }
    return { append, close: () => closeSync(fd) }
  },
}

/** What one measurement found. */
interface Measured {
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
  readonly eventsPerSecond: number
}

/** One line of the table: a contender with so many in flight. */
interface Trial {
  readonly contender: Contender
  readonly inFlight: number
  readonly row: RowBuilder
  readonly files: FileCheck[]
}

async function run(context: Context): Promise<Result> {
  const one = [REFERENCE, OURS, RAW].map((contender) => trialOf(contender, 1))
  const many = [REFERENCE, OURS].map((contender) => trialOf(contender, MANY_IN_FLIGHT))
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    for (const trials of [one, many]) await runRound(trials, repeat, context)
  }
  const trials = [...one, ...many]
  return { rows: trials.map(({ row }) => row.build()), files: trials.map(sumOfFiles) }
}

function trialOf(contender: Contender, inFlight: number): Trial {
  const name = `${contender.name}, ${inFlight.toLocaleString('en-US')} in flight`
  return { contender, inFlight, row: new RowBuilder(name), files: [] }
}

/** Runs each trial once, and compares them. */
async function runRound(trials: readonly Trial[], repeat: number, context: Context): Promise<void> {
  const measured = new Map<Contender, Measured>()
  for (const trial of rotated(trials, repeat)) {
    context.progress(`ack-latency: repeat ${repeat + 1} of ${context.repeats}, ${trial.row.name}`)
    measured.set(trial.contender, await runTrial(trial, context))
  }
  const reference = measured.get(REFERENCE)
  for (const { contender, inFlight, row } of trials) {
    const own = measured.get(contender)
    if (own === undefined || reference === undefined) continue
    const timesShorter = reference.p50Us / own.p50Us
    const timesMore = own.eventsPerSecond / reference.eventsPerSecond
    row.add({ ...own, timesReference: inFlight === 1 ? timesShorter : timesMore })
  }
}

/** Opens a fresh file, warms up, measures, and reads the file back. */
async function runTrial(trial: Trial, { dir, ms }: Context): Promise<Measured> {
  const { contender, inFlight, row, files } = trial
  const path = join(dir, 'ack-latency.jsonl')
  const writer = contender.open(path)
  const tally = new Tally(writer)
  await tally.keepInFlight(MANY_IN_FLIGHT, ms * WARM_UP_SHARE)
  const measured = await (inFlight === 1 ? measureOne(tally, ms) : measureMany(tally, inFlight, ms))
  await writer.close()
  const order = contender.keepsOrder ? calls : undefined
  files.push(checkFile(row.name, path, { acknowledged: tally.acknowledged, order }))
  rmSync(path)
  return measured
}

async function measureOne(tally: Tally, ms: number): Promise<Measured> {
  const samples = await sampleNs(() => tally.append(), { ms })
  return { ...latenciesOf(samples), eventsPerSecond: 1e9 / mean(samples) }
}

async function measureMany(tally: Tally, inFlight: number, ms: number): Promise<Measured> {
  const before = tally.acknowledged
  const startedAt = performance.now()
  const latenciesNs = await tally.keepInFlight(inFlight, ms)
  const seconds = (performance.now() - startedAt) / 1_000
  const ascending = Float64Array.from(latenciesNs).sort()
  return {
    ...latenciesOf(ascending),
    eventsPerSecond: (tally.acknowledged - before) / seconds,
  }
}

function latenciesOf(ascendingNs: ArrayLike<number>) {
  return {
    p50Us: percentile(ascendingNs, 50) / 1_000,
    p99Us: percentile(ascendingNs, 99) / 1_000,
    maxUs: percentile(ascendingNs, 100) / 1_000,
  }
}

/** Has a writer record the workload, and counts what it acknowledges. */
class Tally {
  readonly #writer: Writer
  readonly #cycle = new CallCycle(calls)
  #acknowledged = 0

  constructor(writer: Writer) {
    this.#writer = writer
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Records the next event. A promise only if the writer's is one: awaiting costs time too. */
  append(): Promise<void> | void {
    const outcome = this.#writer.append(this.#cycle.next())
    return outcome instanceof Promise ? outcome.then(this.#count) : this.#count(outcome)
  }

  /** Keeps so many events in flight for `ms` milliseconds; returns the nanoseconds that each took. */
  async keepInFlight(count: number, ms: number): Promise<number[]> {
    const latenciesNs: number[] = []
    const end = performance.now() + ms
    const lane = async () => {
      for (let now = performance.now(); now < end; ) {
        await this.append()
        const startedAt = now
        now = performance.now()
        latenciesNs.push((now - startedAt) * 1e6)
      }
    }
    await Promise.all(Array.from({ length: count }, lane))
    return latenciesNs
  }

  readonly #count = (outcome: AuditOutcome): void => {
    if (outcome !== 'durable') throw new Error(`an event's outcome was ${outcome}`)
    this.#acknowledged++
  }
}

function sumOfFiles({ row, files }: Trial): FileCheck {
  const sum = (of: (file: FileCheck) => number) =>
    files.reduce((total, file) => total + of(file), 0)
  return {
    name: row.name,
    acknowledged: sum((file) => file.acknowledged),
    lines: sum((file) => file.lines),
  }
}
