/*
 * Where does an event's time go?
 *
 * Each stage of the data's way alone, on the workload, in nanoseconds per event: the median of bursts,
 * or of single calls if a stage happens once per group. The two wake-ups, the write and the sync are
 * paid once per group, so they are shown for a group of one event, as with 1 in flight, and for one of
 * 1,024. The totals add them up; a real run takes longer, because the threads hold each other up and
 * compete for the processor's caches.
 *
 * - encode: reading and checking the event's fields, and copying them into a record;
 * - claim and commit: room in the ring for it, and publishing it;
 * - wake the worker: from the notify until it runs;
 * - decode: copying the record out of the ring, and reading it;
 * - serialize: making its line;
 * - write: the group's lines as UTF-8, by sonic-boom;
 * - sync: fdatasync after that write;
 * - wake the caller: from the worker's notify until the calling thread runs;
 * - acknowledge: settling the promises that the durable position has passed.
 */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { SonicBoom } from 'sonic-boom'
import type { AuditLine } from '../../src/format/line'
import type { RingView } from '../../src/writer/ring/memory-map'
import type { RingProducer } from '../../src/writer/ring/ring'
import type { Benchmark, Context, Plot } from '../harness/benchmark'
import { checkLines, linesOf } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import { type Sampling, sampleNs } from '../harness/sampling'
import { percentile } from '../harness/statistics'
import { measureWakeUps } from '../harness/wake-up'
import { CallCycle, calls, lineOf } from '../harness/workload'
import { barsOf } from '../report/charts'
import type { FileCheck, Result, Row } from '../report/report'
import { formatNumber } from '../report/table'

const {
  Settlement,
}: typeof import('../../src/writer/caller/settlement') = require('../../dist/writer/caller/settlement')
const {
  decode,
}: typeof import('../../src/writer/record/decode') = require('../../dist/writer/record/decode')
const {
  EventEncoder,
}: typeof import('../../src/writer/record/encode') = require('../../dist/writer/record/encode')
const {
  allocateMemory,
}: typeof import('../../src/writer/ring/memory-map') = require('../../dist/writer/ring/memory-map')
const {
  LENGTH_OFFSET,
  recordBytes,
  TYPE_REQUEST,
}: typeof import('../../src/writer/ring/record-header') = require('../../dist/writer/ring/record-header')
const ring: typeof import('../../src/writer/ring/ring') = require('../../dist/writer/ring/ring')
const {
  serialize,
}: typeof import('../../src/format/serialize-line') = require('../../dist/format/serialize-line')

export const stages: Benchmark = {
  name: 'stages',
  question: 'Where does an event’s time go? (ns per event, each stage alone)',
  run,
  plots,
}

const BURST = 512
const RING_BYTES = 2 ** 20
const GROUPS = [1, 1_024]

/** Median nanoseconds per event of each stage, by the events per group. */
type StageNs = Readonly<Record<string, number>>

async function run(context: Context): Promise<Result> {
  const rows = new Map<string, RowBuilder>()
  const files: FileCheck[] = []
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    context.progress(`stages: repeat ${repeat + 1} of ${context.repeats}`)
    const perEvent = await perEventStages(context)
    const perGroup = await measureWakeUps(context.samples)
    for (const events of GROUPS) {
      const { file, ...written } = await writeStages(events, context)
      files.push(file)
      addGroup(rows, events, perEvent, {
        'wake the worker': perGroup.workerNs / events,
        ...written,
        'wake the caller': perGroup.callerNs / events,
      })
    }
  }
  return { rows: [...rows.values()].map((row) => row.build()), files }
}

/** Adds one repeat's figures for groups of `events` events, and their sum. */
function addGroup(
  rows: Map<string, RowBuilder>,
  events: number,
  perEvent: StageNs,
  perGroup: StageNs,
): void {
  const all = { ...perEvent, ...perGroup }
  const total = Object.values(all).reduce((sum, ns) => sum + ns, 0)
  const figure = `group${events}Ns`
  for (const stage of [...ORDER, 'in all']) {
    const row = rows.get(stage) ?? new RowBuilder(stage, { stage })
    rows.set(stage, row)
    row.add({ [figure]: stage === 'in all' ? total : (all[stage] ?? Number.NaN) })
  }
}

const ORDER = [
  'encode',
  'claim and commit',
  'wake the worker',
  'decode',
  'serialize',
  'write',
  'sync',
  'wake the caller',
  'acknowledge',
]

async function perEventStages({ samples }: Context): Promise<StageNs> {
  return {
    encode: await burstNs(encodeBurst(), { samples }),
    'claim and commit': await commitNs(samples),
    decode: await decodeNs(samples),
    serialize: await burstNs(serializeBurst(), { samples }),
    acknowledge: await acknowledgeNs(samples),
  }
}

/** The median burst's nanoseconds per event. */
async function burstNs(burst: () => unknown, sampling: Sampling): Promise<number> {
  for (let i = 0; i < 10; i++) {
    await sampling.before?.()
    burst()
  }
  return percentile(await sampleNs(burst, sampling), 50) / BURST
}

function newEncoder() {
  return new EventEncoder({
    maxEventBytes: RING_BYTES,
    redact: undefined,
    clock: Date.now,
    withholdOnRedactError: true,
    onRedactError: () => undefined,
  })
}

function encodeBurst(): () => void {
  const cycle = new CallCycle(calls)
  const encoder = newEncoder()
  const scratch = recordBytes(new SharedArrayBuffer(RING_BYTES))
  return () => {
    for (let i = 0; i < BURST; i++) {
      const { method, event } = cycle.next()
      encoder.prepare(method, event)
      encoder.write(scratch, 0)
    }
  }
}

/** A ring, and a way to fill it with a burst of the workload. */
function newRing() {
  const memory = allocateMemory(RING_BYTES)
  const producer = new ring.RingProducer(memory.ring)
  const encoder = newEncoder()
  const cycle = new CallCycle(calls)
  /** Publishes a burst; `each` gets the position of every record. */
  const fill = (each: (position: number) => void = () => undefined) => {
    producer.release(producer.tailPosition)
    for (let i = 0; i < BURST; i++) {
      const { method, event } = cycle.next()
      encoder.prepare(method, event)
      const index = claim(producer, encoder.maxBytes)
      each(producer.commit(encoder.write(producer.records, index)))
    }
  }
  return { memory, producer, fill }
}

function claim(producer: RingProducer, bytes: number): number {
  const index = producer.tryClaim(bytes)
  if (index === ring.INSUFFICIENT_CAPACITY) throw new Error('stages: the ring is full')
  return index
}

async function commitNs(samples: number): Promise<number> {
  const { producer } = newRing()
  const lengths = calls.slice(0, BURST).map((call) => lineOf(call).length)
  const burst = () => {
    for (const length of lengths) {
      claim(producer, length)
      producer.commit(length)
    }
  }
  const before = async () => producer.release(producer.tailPosition)
  return await burstNs(burst, { samples, before })
}

async function decodeNs(samples: number): Promise<number> {
  const { memory, fill } = newRing()
  const consumer = new ring.RingConsumer(memory.ring)
  const burst = () => {
    for (const _ of takeAll(consumer));
  }
  return await burstNs(burst, { samples, before: async () => fill() })
}

/** Copies what was published, and decodes it. */
function* takeAll(consumer: InstanceType<typeof ring.RingConsumer>): Iterable<AuditLine> {
  consumer.refill()
  for (let index = consumer.next(); index !== ring.EMPTY; index = consumer.next()) {
    if (index === ring.CORRUPT) throw new Error('stages: the ring is corrupt')
    const { records } = consumer
    yield decode(records, index, records.view.getUint32(index + LENGTH_OFFSET, true))
    consumer.advance()
  }
}

function serializeBurst(): () => number {
  const { memory, fill } = newRing()
  fill()
  const lines = [...takeAll(new ring.RingConsumer(memory.ring))]
  return () => lines.reduce((length, line) => length + serialize(line).length, 0)
}

function newSettlement(view: RingView, producer: RingProducer) {
  const options = { path: '', success: 'durable', rejects: false } as const
  const reporter = { isFailing: false, note: () => undefined, noteSuccess: () => undefined }
  const events = { onFreed: () => undefined, onMoved: () => undefined }
  return new Settlement(view, producer, options, reporter, events)
}

async function acknowledgeNs(samples: number): Promise<number> {
  const { memory, producer, fill } = newRing()
  const consumer = new ring.RingConsumer(memory.ring)
  const settlement = newSettlement(memory.ring, producer)
  const before = async () => {
    fill((position) => {
      void settlement.newPromise()
      settlement.expect(position, settlement.takeSettle(), TYPE_REQUEST)
    })
    consumer.publish(producer.tailPosition)
  }
  const burst = () => {
    settlement.settle()
    if (settlement.pending > 0) throw new Error('stages: a promise was left over')
  }
  return await burstNs(burst, { samples, before })
}

/** The write and the sync of a group of `events` events, and the file they made. */
async function writeStages(events: number, { dir, samples }: Context) {
  const path = join(dir, 'stages.jsonl')
  const fd = openSync(path, 'a', 0o600)
  const group = calls.slice(0, events)
  const text = group.map(lineOf).join('')
  const append = appender(fd, text)
  let groups = 0
  const writeNs = await sampleNs(
    () => {
      append()
      groups++
    },
    { samples },
  )
  const before = async () => {
    writeSync(fd, text)
    groups++
  }
  const syncNs = await sampleNs(() => fdatasyncSync(fd), { samples, before })
  closeSync(fd)
  const expected = { acknowledged: groups * events, calls: group, isOrdered: true }
  const file = checkLines('stages', linesOf(path), expected)
  rmSync(path)
  return { file, write: percentile(writeNs, 50) / events, sync: percentile(syncNs, 50) / events }
}

/** Appends a text as the sink does. */
function appender(fd: number, text: string): () => void {
  const stream = new SonicBoom({
    fd,
    sync: true,
    contentMode: 'buffer',
    minLength: 0,
    maxWrite: 2 ** 30,
  })
  const output = Buffer.allocUnsafeSlow(Buffer.byteLength(text))
  return () => {
    const length = output.write(text, 0, 'utf8')
    Reflect.apply(stream.write, stream, [output.subarray(0, length)])
  }
}

function plots(rows: readonly Row[]): readonly Plot[] {
  const single = rows.filter(({ labels }) => labels.stage !== 'in all')
  return GROUPS.map((events) => {
    const group =
      events === 1 ? 'alone in its group' : `in a group of ${events.toLocaleString('en-US')}`
    const title = `Nanoseconds of each stage, for an event ${group}`
    return {
      name: `group-of-${events}`,
      chart: barsOf(title, single, `group${events}Ns`, formatNumber),
    }
  })
}
