/*
 * What does a call cost the thread that makes it?
 *
 * A sample is a burst of calls, timed as a whole: the clock costs as much as a tenth of a call. All
 * that a call does on its caller's stack is in it: checking and encoding the event, copying it into
 * the ring, making the promise, waking the worker if it sleeps. The work off that stack is not in it: before
 * each burst, off the clock, everything is drained, so that the ring is empty. A burst
 * fills less than half of it, hence no call meets a full ring and waits for the disk (checked at the
 * end). The worker drains while the burst goes on, as it does in a gateway, so its hold on the ring's
 * cache lines is in the figure too.
 *
 * The bursts go round few events, which stay in the processor's cache, as an event does that a gateway
 * has just made. Round a thousand of them, every call and every JSON.stringify costs two to three
 * times as much, for fetching the strings from memory.
 *
 * A row is one way to hand over one kind of event:
 *
 * - `x0x-exec-audit`, its promise kept and awaited off the clock;
 * - `JSON.stringify` of the same events as plain objects, which any logger of JSON lines pays on the
 *   calling thread before it has written anything;
 * - pino into its worker transport, pino into an asynchronous sonic-boom, winston into a file: given
 *   the same plain objects, and nothing of what they write is durable.
 *
 * Its figures:
 *
 * - `call`: that of the median burst, since the scheduler or the collector holds some bursts up;
 * - `dropped`: the median burst if nobody keeps the promises;
 * - `alone`: one call, made while the worker sleeps, so it pays for the wake-up by itself;
 * - `whole`: the calling thread's whole share, by the time its event loop is not idle: the calls, later
 *   the settling and awaiting of each promise (or the writing, if a logger writes on this thread),
 *   and the collector. A mean.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecAudit as Audit, AuditOutcome } from '../../src'
import { BEFORE, libraryOf } from '../contenders/built-in'
import { LOGGERS, type Logger, type OpenLogger } from '../contenders/peer-loggers'
import { arePeersInstalled, PEERS_NOTE } from '../contenders/peers'
import { type Benchmark, type Context, rotated } from '../harness/benchmark'
import { checkLines, linesOf, sumOfFiles } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import { sampleNs } from '../harness/sampling'
import { percentile } from '../harness/statistics'
import {
  type AuditCall,
  CallCycle,
  calls,
  hex,
  lineObject,
  METHODS,
  submit,
} from '../harness/workload'
import type { FileCheck, Result } from '../report/report'

type Library = typeof import('../../src')
const LIBRARY: Library = require('../../dist')

const BURST_CALLS = 512
const EVENTS = 64
/** Bursts before a measurement for each sample in it. */
const WARM_UP_SHARE = 0.2
/** Longer than the worker needs to fall asleep, shorter than its session lasts. */
const SLEEP_MS = 1

export const callCost: Benchmark = {
  name: 'call-cost',
  question: 'What does a call cost the thread that makes it? (ns per call)',
  run,
}

/** Calls of one method, or of all as they come. */
interface Subject {
  readonly name: string
  readonly calls: readonly AuditCall[]
}

const SUBJECTS: readonly Subject[] = [
  ...METHODS.map((name) => subjectOf(name, (call) => call.method === name)),
  { name: 'exit, hex id', calls: subjectOf('', isExit).calls.map(withHexId) },
  subjectOf('workload', () => true),
]

function subjectOf(name: string, isIn: (call: AuditCall) => boolean): Subject {
  return { name, calls: calls.filter(isIn).slice(0, EVENTS) }
}

function isTarget({ name }: Subject): boolean {
  return name === 'request'
}

function isExit(call: AuditCall): boolean {
  return call.method === 'exit'
}

/** The same call, its id as hexadecimal digits. */
function withHexId(call: AuditCall): AuditCall {
  if (call.method !== 'exit') return call
  return { ...call, event: { ...call.event, requestId: hex(call.event.requestId) } }
}

/** A way to hand events over. `measure` returns nanoseconds per call. */
interface Way {
  readonly name: string
  measure(subject: Subject, path: string, samples: number): Promise<Found>
}

interface Found {
  readonly figures: Readonly<Record<string, number>> & { readonly callNs: number }
  readonly file?: FileCheck
}

const OURS = 'x0x-exec-audit'
const STRINGIFY = 'JSON.stringify'
const PINO_WORKER = 'pino, worker'

const WAYS: readonly Way[] = [
  { name: OURS, measure: auditWay(LIBRARY) },
  { name: STRINGIFY, measure: measureStringify },
  ...LOGGERS.map((logger) => ({
    name: logger.name,
    measure: (subject: Subject, path: string, samples: number) =>
      measureLogger(logger, subject, path, samples),
  })),
]

/** They, and the writer of another checkout. */
function waysOf(against: string | undefined): readonly Way[] {
  if (against === undefined) return WAYS
  return [{ name: BEFORE, measure: auditWay(libraryOf(against)) }, ...WAYS]
}

/** One kind of event, one way. */
interface Trial {
  readonly way: Way
  readonly row: RowBuilder
  readonly files: FileCheck[]
}

async function run(context: Context): Promise<Result> {
  const subjects = context.isForTargets ? SUBJECTS.filter(isTarget) : SUBJECTS
  const groups = subjects.map((subject) => {
    const trials: Trial[] = waysOf(context.against).map((way) => {
      const labels = { contender: way.name, method: subject.name }
      return { way, row: new RowBuilder(`${subject.name}, ${way.name}`, labels), files: [] }
    })
    return { subject, trials }
  })
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    for (const { subject, trials } of groups) await runRound(subject, trials, repeat, context)
  }
  const trials = groups.flatMap((group) => group.trials)
  return {
    rows: trials.map(({ row }) => row.build()),
    files: trials
      .filter(({ files }) => files.length > 0)
      .map(({ row, files }) => sumOfFiles(row.name, files)),
    notes: arePeersInstalled ? [] : [PEERS_NOTE],
  }
}

async function runRound(
  subject: Subject,
  trials: readonly Trial[],
  repeat: number,
  { dir, samples, repeats, progress }: Context,
): Promise<void> {
  const found = new Map<string, Found['figures']>()
  const path = join(dir, 'call-cost.jsonl')
  for (const { way, row, files } of rotated(trials, repeat)) {
    progress(`repeat ${repeat + 1} of ${repeats}: ${row.name}`)
    const { figures, file } = await way.measure(subject, path, samples)
    found.set(way.name, figures)
    if (file !== undefined) files.push(file)
    rmSync(path, { force: true })
  }
  const stringifyNs = found.get(STRINGIFY)?.callNs
  const pinoNs = found.get(PINO_WORKER)?.callNs
  const beforeNs = found.get(BEFORE)?.callNs
  for (const { way, row } of trials) {
    const figures = found.get(way.name)
    if (figures === undefined) continue
    const { callNs } = figures
    row.add({
      ...figures,
      ...(stringifyNs === undefined ? {} : { timesStringify: callNs / stringifyNs }),
      ...(beforeNs === undefined || way.name !== OURS
        ? {}
        : { callTimesBefore: callNs / beforeNs }),
      ...(pinoNs === undefined ? {} : { percentOfPino: (100 * callNs) / pinoNs }),
    })
  }
}

/** Measures a library's writer on a fresh file, and reads that back. */
function auditWay(library: Library): Way['measure'] {
  return (subject, path, samples) => measureAudit(library, subject, path, samples)
}

async function measureAudit(
  { ExecAudit, ExecDiagnostics }: Library,
  subject: Subject,
  path: string,
  samples: number,
): Promise<Found> {
  const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics())
  // Every method is warm before one is measured, as they all are in a gateway.
  for (let burst = 0; burst < samples * WARM_UP_SHARE; burst++) {
    await Promise.all(calls.slice(0, BURST_CALLS).map((call) => submit(audit, call)))
  }
  const figures = {
    callNs: await burstNs(audit, subject.calls, samples, new Array(BURST_CALLS)),
    droppedNs: await burstNs(audit, subject.calls, samples, undefined),
    aloneNs: await aloneNs(audit, subject.calls, samples),
    wholeNs: await wholeShareNs(audit, subject.calls, samples),
  }
  await audit.close()
  const expected = { acknowledged: checkOutcomes(audit), calls: undefined, isOrdered: false }
  return { figures, file: checkLines(subject.name, linesOf(path), expected) }
}

async function measureLogger(
  logger: Logger,
  subject: Subject,
  path: string,
  samples: number,
): Promise<Found> {
  const open = await logger.open(path)
  const cycle = new CallCycle(subject.calls.map((call) => lineObject(call, Date.now())))
  let logged = 0
  const burst = () => {
    for (let i = 0; i < BURST_CALLS; i++) open.log(cycle.next())
    logged += BURST_CALLS
  }
  for (let i = 0; i < samples * WARM_UP_SHARE; i++) {
    burst()
    await open.settle()
  }
  const perBurst = await sampleNs(burst, { samples, before: () => open.settle() })
  const wholeNs = await loggerShareNs(open, burst, samples)
  await open.close()
  const expected = { acknowledged: logged, calls: undefined, isOrdered: false }
  const file = checkLines(logger.name, linesOf(path), expected)
  return { figures: { callNs: percentile(perBurst, 50) / BURST_CALLS, wholeNs }, file }
}

async function loggerShareNs(open: OpenLogger, burst: () => void, bursts: number) {
  await open.settle()
  const start = performance.eventLoopUtilization()
  for (let i = 0; i < bursts; i++) {
    burst()
    await open.settle()
  }
  const { active } = performance.eventLoopUtilization(start)
  return (active * 1e6) / (bursts * BURST_CALLS)
}

async function burstNs(
  audit: Audit,
  calls: readonly AuditCall[],
  samples: number,
  kept: Promise<AuditOutcome>[] | undefined,
): Promise<number> {
  const cycle = new CallCycle(calls)
  const burst = () => {
    for (let i = 0; i < BURST_CALLS; i++) {
      const promise = submit(audit, cycle.next())
      if (kept !== undefined) kept[i] = promise
    }
  }
  const before = () => audit.drain()
  const perBurst = await sampleNs(burst, { samples, before })
  if (kept !== undefined) await Promise.all(kept)
  return percentile(perBurst, 50) / BURST_CALLS
}

/** The median: a sample is a single call, and now and then the scheduler takes the thread away. */
async function aloneNs(audit: Audit, calls: readonly AuditCall[], samples: number) {
  const cycle = new CallCycle(calls)
  const before = async () => {
    await audit.drain()
    await sleep(SLEEP_MS)
  }
  const call = () => {
    void submit(audit, cycle.next())
  }
  return percentile(await sampleNs(call, { samples, before }), 50)
}

async function measureStringify({ calls }: Subject, _path: string, samples: number) {
  const cycle = new CallCycle(calls.map((call) => lineObject(call, Date.now())))
  let length = 0
  const burst = () => {
    for (let i = 0; i < BURST_CALLS; i++) length += JSON.stringify(cycle.next()).length
  }
  const perBurst = await sampleNs(burst, { samples })
  // The strings' use, so that making them cannot be optimized away.
  if (length === 0) throw new Error('JSON.stringify made nothing')
  return { figures: { callNs: percentile(perBurst, 50) / BURST_CALLS } }
}

/** While the thread waits for the disk its event loop is idle; the rest of the time it works. */
async function wholeShareNs(audit: Audit, calls: readonly AuditCall[], bursts: number) {
  const cycle = new CallCycle(calls)
  await audit.drain()
  const start = performance.eventLoopUtilization()
  for (let burst = 0; burst < bursts; burst++) {
    const promises: Promise<AuditOutcome>[] = []
    for (let i = 0; i < BURST_CALLS; i++) promises.push(submit(audit, cycle.next()))
    await Promise.all(promises)
  }
  const { active } = performance.eventLoopUtilization(start)
  return (active * 1e6) / (bursts * BURST_CALLS)
}

/** Throws if a call failed or met a full ring, since the figures would then mean something else. */
function checkOutcomes(audit: Audit): number {
  const { events, ring, waiting } = audit.stats()
  if (events.failed > 0) throw new Error(`call-cost: ${events.failed} events failed`)
  if (waiting.bytesMax > 0) throw new Error('call-cost: the ring was full, calls waited')
  if (ring.usedBytesMax > ring.capacityBytes * 0.75) throw new Error('call-cost: the ring is small')
  return events.succeeded
}
