import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import {
  allocateMemory,
  DURABLE,
  HEAD,
  positionDelta,
  type RingView,
  TAIL,
} from '../../../src/writer/ring/memory-map'
import { align, TYPE_OFFSET } from '../../../src/writer/ring/record-header'
import {
  EMPTY,
  INSUFFICIENT_CAPACITY,
  RingConsumer,
  RingProducer,
} from '../../../src/writer/ring/ring'
import { seeded } from '../../support/seed'
import { times } from '../../support/times'

const RUNS = times('RING_RUNS', 200, 1_000)
const STEPS_MAX = 1_500
const RECORD_MIN = 40
const CAPACITIES = [1024, 2048]
const BOUNDARIES = [0, 2 ** 31, 2 ** 32]
/** Bytes that the producer scribbles into a claim before it writes the record, or claims anew. */
const SCRIBBLE = 0xee

const STEPS = [
  ...(['claim', 'claim', 'claim', 'commit', 'commit', 'commit', 'commit', 'forgetClaim'] as const),
  ...(['refill', 'refill', 'next', 'advance', 'advance', 'advance', 'advance', 'advance'] as const),
  ...([
    'markFailed',
    'publish',
    'publish',
    'release',
    'release',
    'releasePart',
    'restart',
  ] as const),
]
type Step = (typeof STEPS)[number]

/** A published record as the model keeps it; positions here do not wrap. */
interface ModelRecord {
  readonly position: number
  readonly end: number
  readonly content: Buffer
  failure: number
}

/** The ring and a plain array that says what it must hold. */
class Pair {
  readonly #ring: RingView
  readonly #producer: RingProducer
  readonly #consumer: RingConsumer
  /** Published and not yet released. */
  #records: ModelRecord[] = []
  #claim: { position: number; length: number } | undefined
  #written = 0
  #tail: number
  #head: number
  #read: number
  #durable: number
  #copied: number
  readonly #start: number

  constructor(capacity: number, start: number) {
    this.#ring = allocateMemory(capacity, start).ring
    this.#producer = new RingProducer(this.#ring)
    this.#consumer = new RingConsumer(this.#ring)
    this.#start = start
    this.#tail = this.#head = this.#read = this.#durable = this.#copied = start
  }

  /** Laps of the record area so far. */
  get laps(): number {
    return Math.floor((this.#tail - this.#start) / this.#ring.capacity)
  }

  /** Whether the tail has passed `position`. */
  hasPassed(position: number): boolean {
    return this.#start < position && this.#tail >= position
  }

  take(step: Step, size: number): void {
    this[step](size)
    this.#expectInvariant()
  }

  claim(size: number): void {
    if (this.#claim !== undefined) return
    const { capacity, records } = this.#ring
    const length = RECORD_MIN + (size % (this.#producer.maxRecordBytes - RECORD_MIN + 1))
    const bytesToEnd = capacity - (this.#tail % capacity)
    const padding = align(length) > bytesToEnd ? bytesToEnd : 0
    const position = this.#tail + padding
    const isRoom = position + align(length) <= this.#head + capacity
    const index = this.#producer.tryClaim(length)
    strictEqual(index, isRoom ? position % capacity : INSUFFICIENT_CAPACITY)
    if (!isRoom) return
    records.bytes.fill(SCRIBBLE, index, index + length)
    this.#claim = { position, length }
  }

  commit(size: number): void {
    if (this.#claim === undefined) return
    const { position, length: claimed } = this.#claim
    const length = size % 2 === 0 ? claimed : Math.max(RECORD_MIN, claimed - (size % 100))
    const content = contentOf(this.#written++, length)
    content.copy(this.#ring.records.bytes, (position % this.#ring.capacity) + TYPE_OFFSET)
    strictEqual(this.#producer.commit(length), position | 0)
    const end = position + align(length)
    this.#records.push({ position, end, content, failure: 0 })
    this.#tail = end
    this.#claim = undefined
  }

  /** A claim that is not committed is replaced by the next one. */
  forgetClaim(): void {
    this.#claim = undefined
  }

  refill(): void {
    this.#consumer.refill()
    this.#copied = this.#tail
    strictEqual(this.#consumer.copiedPosition, this.#copied | 0)
  }

  /** The record that must be read next: padding before it is stepped over. */
  #expectedNext(): ModelRecord | undefined {
    const record = this.#records.find(({ position }) => position >= this.#read)
    return record !== undefined && record.end <= this.#copied ? record : undefined
  }

  next(): ModelRecord | undefined {
    const record = this.#expectedNext()
    const index = this.#consumer.next()
    strictEqual(index, record === undefined ? EMPTY : record.position % this.#ring.capacity)
    if (record === undefined) return undefined
    this.#read = record.position
    const from = index + TYPE_OFFSET
    const end = from + record.content.length
    const { bytes, window } = this.#consumer.records
    ok(bytes.subarray(from, end).equals(record.content))
    strictEqual(window?.slice(from, end), record.content.toString('latin1'))
    return record
  }

  advance(): void {
    const record = this.next()
    if (record === undefined) return
    this.#consumer.advance()
    this.#read = record.end
  }

  markFailed(size: number): void {
    const open = this.#records.filter((r) => r.position >= this.#durable && r.end <= this.#read)
    const record = open[size % Math.max(1, open.length)]
    if (record === undefined) return
    this.#consumer.markFailed(record.position | 0, size + 1)
    if (record.failure === 0) record.failure = size + 1
  }

  publish(): void {
    this.#consumer.publish(this.#consumer.readPosition)
    this.#durable = this.#read
    this.#expectFailures()
  }

  /** Every record has the outcome it was given. */
  #expectFailures(): void {
    const done = this.#records.filter(({ end }) => end <= this.#durable)
    const failures = done.map(({ position }) => this.#producer.failureAt(position | 0))
    deepStrictEqual(
      failures,
      done.map(({ failure }) => failure),
    )
  }

  release(): void {
    this.#releaseTo(this.#producer.durablePosition, this.#durable)
  }

  /** Releases up to any record's end below durable; one below the head must change nothing. */
  releasePart(size: number): void {
    const ends = [this.#head - 8, ...this.#records.map(({ end }) => end)]
    const done = ends.filter((end) => end <= this.#durable)
    const end = done[size % done.length] ?? this.#head
    this.#releaseTo(end | 0, end)
  }

  #releaseTo(position: number, expected: number): void {
    this.#producer.release(position)
    this.#head = Math.max(this.#head, expected)
    this.#records = this.#records.filter((record) => record.position >= this.#head)
  }

  restart(): void {
    this.#consumer.restart()
    this.#read = this.#copied = this.#durable
  }

  #expectInvariant(): void {
    const { words, capacity } = this.#ring
    const read = this.#consumer.readPosition
    const positions = [HEAD, DURABLE, TAIL].map((word) => Atomics.load(words, word))
    deepStrictEqual(
      [...positions, read],
      [this.#head, this.#durable, this.#tail, this.#read].map((at) => at | 0),
    )
    const [head = 0, durable = 0, tail = 0] = positions
    const gaps = [
      positionDelta(durable, head),
      positionDelta(read, durable),
      positionDelta(tail, read),
      capacity - positionDelta(tail, head),
    ]
    ok(
      gaps.every((gap) => gap >= 0 && gap <= capacity),
      `head, durable, tail: ${positions}, read: ${read}`,
    )
    strictEqual(this.#producer.usedBytes, this.#tail - this.#head)
  }
}

/** The bytes of the nth record from its type on: no two neighbours have a byte in common. */
function contentOf(n: number, length: number): Buffer {
  const content = Buffer.alloc(length - TYPE_OFFSET)
  for (let i = 0; i < content.length; i++) content[i] = (n * 37 + i * 11) & 0xff
  return content
}

const steps = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(1023)), {
  minLength: STEPS_MAX / 2,
  maxLength: STEPS_MAX,
  size: 'max',
})

describe('the ring, beside a plain array of records', () => {
  it.each(CAPACITIES.flatMap((capacity) => BOUNDARIES.map((boundary) => ({ capacity, boundary }))))(
    'agrees after each step ($capacity bytes, crossing $boundary)',
    ({ capacity, boundary }) => {
      let laps = 0
      let crossings = 0
      const distance = fc.nat(capacity / 8)
      const agree = fc.property(distance, steps, (words, taken) => {
        const pair = new Pair(capacity, Math.max(0, boundary - 8 * words))
        for (const [step, size] of taken) pair.take(step, size)
        laps += pair.laps
        if (pair.hasPassed(boundary)) crossings++
      })
      fc.assert(agree, seeded(RUNS))
      expect(laps).toBeGreaterThan(4 * RUNS)
      expect(crossings).toBeGreaterThan(boundary === 0 ? -1 : RUNS / 2)
    },
  )
})
