/*
 * What does a call cost the thread that makes it?
 *
 * A sample is a burst of calls, timed as a whole: the clock costs as much as a tenth of a call. All
 * that a call does on its caller's stack is in it: checking and encoding the event, copying it into
 * the ring, making the promise, waking the worker where it sleeps. Not in it is what happens off that
 * stack: before each burst, off the clock, everything is drained, so that the ring is empty. A burst
 * fills less than half of it, hence no call meets a full ring and waits for the disk (checked at the
 * end). The worker drains while the burst goes on, as it does in a gateway, so its hold on the ring's
 * cache lines is in the figure too.
 *
 * The bursts go round few events, which stay in the processor's cache, as an event does that a gateway
 * has just made. Round a thousand of them, every call and every JSON.stringify costs two to three
 * times as much, for fetching the strings from memory.
 *
 * - `kept`: the promises are kept, and later looked at; `dropped`: nobody keeps them.
 * - `alone`: one call, made while the worker sleeps, so it pays for the wake-up by itself.
 * - `stringify`: JSON.stringify of the same events as plain objects: what any logger of JSON lines
 *   pays on the calling thread before it has written anything.
 * - `all`: the calling thread's whole share, by the time its event loop is not idle: the call, later
 *   the settling of its promise, and the collector. A mean.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecAudit as Audit, AuditOutcome } from '../src'
import {
  type Benchmark,
  type Context,
  type FileCheck,
  percentile,
  type Result,
  RowBuilder,
  sampleNs,
} from './harness'
import {
  type AuditCall,
  CallCycle,
  calls,
  checkFile,
  lineObject,
  METHODS,
  submit,
} from './workload'

const { ExecAudit, ExecDiagnostics }: typeof import('../src') = require('../dist')

const BURST_CALLS = 512
const EVENTS = 64
/** Bursts before a measurement for each sample in it. */
const WARM_UP_SHARE = 0.2
/** Longer than the worker needs to fall asleep, shorter than its session lasts. */
const SLEEP_MS = 1

export const callCost: Benchmark = {
  name: 'call-cost',
  question: 'What does a call cost the thread that makes it? (ns a call)',
  run,
}

/** Calls of one method, or of all as they come. */
interface Subject {
  readonly name: string
  readonly calls: readonly AuditCall[]
}

const SUBJECTS: readonly Subject[] = [
  ...METHODS.map((name) => subjectOf(name, (call) => call.method === name)),
  subjectOf('workload', () => true),
]

function subjectOf(name: string, isIn: (call: AuditCall) => boolean): Subject {
  return { name, calls: calls.filter(isIn).slice(0, EVENTS) }
}

async function run(context: Context): Promise<Result> {
  const rows = SUBJECTS.map(({ name }) => new RowBuilder(name))
  const files: FileCheck[] = []
  for (let repeat = 1; repeat <= context.repeats; repeat++) {
    for (const [i, subject] of SUBJECTS.entries()) {
      context.progress(`call-cost: repeat ${repeat} of ${context.repeats}, ${subject.name}`)
      const { figures, file } = await runSubject(subject, context)
      rows[i]?.add(figures)
      files.push(file)
    }
  }
  return { rows: rows.map((row) => row.build()), files }
}

/** Measures on a fresh file, and reads it back. */
async function runSubject(subject: Subject, { dir, samples }: Context) {
  const path = join(dir, 'call-cost.jsonl')
  const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics())
  // Every method is warm before one is measured, as they all are in a gateway.
  for (let burst = 0; burst < samples * WARM_UP_SHARE; burst++) {
    await Promise.all(calls.slice(0, BURST_CALLS).map((call) => submit(audit, call)))
  }
  const figures = await measureSubject(audit, subject, samples)
  await audit.close()
  const acknowledged = checkOutcomes(audit)
  const file = checkFile(subject.name, path, { acknowledged, order: undefined })
  rmSync(path)
  return { figures, file }
}

async function measureSubject(audit: Audit, { calls }: Subject, samples: number) {
  const keptNs = await burstNs(audit, calls, samples, new Array(BURST_CALLS))
  const droppedNs = await burstNs(audit, calls, samples, undefined)
  const stringifyNs = await stringifyCostNs(calls, samples)
  return {
    keptNs,
    droppedNs,
    aloneNs: await aloneNs(audit, calls, samples),
    allNs: await wholeShareNs(audit, calls, samples),
    stringifyNs,
    timesStringify: keptNs / stringifyNs,
  }
}

/** The median burst's: some bursts the scheduler interrupts or the collector holds up; see `all`. */
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

async function stringifyCostNs(calls: readonly AuditCall[], samples: number): Promise<number> {
  const objects = calls.map((call) => lineObject(call, Date.now()))
  let next = 0
  let length = 0
  const burst = () => {
    for (let i = 0; i < BURST_CALLS; i++) {
      length += JSON.stringify(objects[next]).length
      next = (next + 1) % objects.length
    }
  }
  const perBurst = await sampleNs(burst, { samples })
  // The strings' use, so that making them cannot be optimized away.
  if (length === 0) throw new Error('JSON.stringify made nothing')
  return percentile(perBurst, 50) / BURST_CALLS
}

/** While the thread waits for the disk its event loop is idle; the rest of the time it works. */
async function wholeShareNs(audit: Audit, calls: readonly AuditCall[], bursts: number) {
  const cycle = new CallCycle(calls)
  await audit.drain()
  const start = performance.eventLoopUtilization()
  for (let burst = 0; burst < bursts; burst++) {
    const promises: Promise<AuditOutcome>[] = []
    for (let i = 0; i < BURST_CALLS; i++) promises.push(submit(audit, cycle.next()))
    await promises.at(-1)
  }
  const { active } = performance.eventLoopUtilization(start)
  return (active * 1e6) / (bursts * BURST_CALLS)
}

/** Throws if a call failed or met a full ring: the figures would be of something else. */
function checkOutcomes(audit: Audit): number {
  const { events, ring, waiting } = audit.stats()
  if (events.failed > 0) throw new Error(`call-cost: ${events.failed} events failed`)
  if (waiting.bytesMax > 0) throw new Error('call-cost: the ring was full, calls waited')
  if (ring.usedBytesMax > ring.capacityBytes * 0.75) throw new Error('call-cost: the ring is small')
  return events.succeeded
}
