import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  allocateMemory,
  positionDelta,
  type SharedMemory,
} from '../../../src/writer/ring/memory-map'
import { REQUEST_ID_OFFSET } from '../../../src/writer/ring/record-header'
import { INSUFFICIENT_CAPACITY, RingProducer } from '../../../src/writer/ring/ring'
import { unpark, waitDurable } from '../../../src/writer/ring/wake-up'

const CAPACITY = 1024
const RECORDS = 250_000
const RECORD_BYTES_MIN = 40
/** Long enough that a sleep runs out only if a wake-up is lost, and not because the machine is busy. */
const PARK_MS = 20_000
const STALL_MS = 25_000
/** The drainer marks each record failed whose sequence number this divides. */
const FAIL_EVERY = 7

/** The reports of test/support/children/ring-stress-worker.js, when it is ready and at its end. */
interface Report {
  readonly records: number
  readonly parks: number
  readonly error: string
}

/** Lengths from the shortest to the longest record, in an order without a simple period. */
const LENGTHS = Array.from({ length: 997 }, (_, i) => RECORD_BYTES_MIN + ((i * i * 31) % 217))

/** How many records go out before the producer waits for all of them: every other time only one. */
function burstOf(sequence: number): number {
  return sequence % 2 === 0 ? 1 : 1 + (sequence % 23)
}

/** The calling thread's side: writes self-checking records, and checks the outcomes it gets back. */
class Producer {
  readonly #memory: SharedMemory
  readonly #ring: RingProducer
  readonly #positions: number[] = []
  #seenDurable: number
  #acknowledged = 0
  #wrongOutcomes = 0

  constructor(memory: SharedMemory) {
    this.#memory = memory
    this.#ring = new RingProducer(memory.ring)
    this.#seenDurable = this.#ring.durablePosition
  }

  get wrongOutcomes(): number {
    return this.#wrongOutcomes
  }

  /** Passes all records; returns how many were acknowledged: fewer than all after a stall. */
  run(): number {
    let isMoving = true
    for (let sequence = 0; sequence < RECORDS && isMoving; ) {
      const end = Math.min(RECORDS, sequence + burstOf(sequence))
      while (sequence < end && isMoving) isMoving = this.#pass(sequence++)
      isMoving &&= this.#waitUntil(() => this.#ring.usedBytes === 0)
    }
    return this.#acknowledged
  }

  #pass(sequence: number): boolean {
    const length = LENGTHS[sequence % LENGTHS.length] ?? 0
    let index = INSUFFICIENT_CAPACITY
    const isClaimed = this.#waitUntil(() => {
      index = this.#ring.tryClaim(length)
      return index !== INSUFFICIENT_CAPACITY
    })
    if (!isClaimed) return false
    const { view, bytes } = this.#memory.ring.records
    view.setUint32(index + REQUEST_ID_OFFSET, sequence, true)
    for (let at = REQUEST_ID_OFFSET + 4; at < length; at++) bytes[index + at] = sequence + at
    this.#positions.push(this.#ring.commit(length))
    unpark(this.#memory.ring)
    return true
  }

  /** Blocks while durable moves and `isDone` is false; returns false if durable stands still. */
  #waitUntil(isDone: () => boolean): boolean {
    while (!isDone()) {
      if (!waitDurable(this.#memory.ring, this.#seenDurable, STALL_MS)) {
        return false
      }
      this.#settle()
    }
    return true
  }

  #settle(): void {
    const durable = this.#ring.durablePosition
    this.#seenDurable = durable
    for (const position of this.#takeBefore(durable)) {
      const isFailed = this.#acknowledged % FAIL_EVERY === 0
      const expected = isFailed ? this.#acknowledged + 1 : 0
      if (this.#ring.failureAt(position) !== expected) this.#wrongOutcomes++
      this.#acknowledged++
    }
    this.#ring.release(durable)
  }

  /** Takes out the positions of the records that lie before `durable`. */
  #takeBefore(durable: number): number[] {
    const first = this.#positions.findIndex((position) => positionDelta(durable, position) <= 0)
    return this.#positions.splice(0, first < 0 ? this.#positions.length : first)
  }
}

function startDrainer(memory: SharedMemory): Worker {
  const workerData = {
    buffer: memory.buffer,
    total: RECORDS,
    parkMs: PARK_MS,
    lengths: LENGTHS,
    failEvery: FAIL_EVERY,
  }
  return new Worker(join(__dirname, '../../support/children/ring-stress-worker.js'), { workerData })
}

function nextReport(worker: Worker): Promise<Report> {
  return new Promise((resolve, reject) => {
    worker.once('message', (report: Report) => resolve(report))
    worker.once('error', reject)
  })
}

describe('the ring between two threads', () => {
  it.each([2 ** 31 - 4 * CAPACITY, 2 ** 32 - 4 * CAPACITY])(
    'loses, tears and reorders no record and misses no wake-up, from position %d',
    async (start) => {
      const memory = allocateMemory(CAPACITY, start)
      const producer = new Producer(memory)
      const worker = startDrainer(memory)
      try {
        await nextReport(worker)
        const end = nextReport(worker)
        const acknowledged = producer.run()
        const { records, error, parks } = await end
        expect({ error, records, acknowledged }).toEqual({
          error: '',
          records: RECORDS,
          acknowledged: RECORDS,
        })
        expect(producer.wrongOutcomes).toBe(0)
        expect(parks).toBeGreaterThan(RECORDS / 100)
      } finally {
        await worker.terminate()
      }
    },
  )
})
