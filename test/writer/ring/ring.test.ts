import {
  allocateMemory,
  CORRUPT_END,
  CORRUPTIONS,
  DURABLE,
  HEAD,
  type RingView,
  TAIL,
} from '../../../src/writer/ring/memory-map'
import {
  LENGTH_OFFSET,
  PADDING_STAMP,
  STAMP_OFFSET,
  stampOf,
} from '../../../src/writer/ring/record-header'
import {
  CORRUPT,
  EMPTY,
  INSUFFICIENT_CAPACITY,
  RingConsumer,
  RingProducer,
} from '../../../src/writer/ring/ring'

const CAPACITY = 1024
const MAX_RECORD = CAPACITY / 4
const realStore = Atomics.store

type Ends = { ring: RingView; producer: RingProducer; consumer: RingConsumer }

function openRing(start = 0): Ends {
  const { ring } = allocateMemory(CAPACITY, start)
  return { ring, producer: new RingProducer(ring), consumer: new RingConsumer(ring) }
}

/** Publishes a record of `length` bytes; returns its position. */
function put({ producer }: Ends, length: number): number {
  const index = producer.tryClaim(length)
  if (index === INSUFFICIENT_CAPACITY) throw new Error('the ring is full')
  return producer.commit(length)
}

/** Reads every record there is, and publishes and releases up to its end. */
function settleAll({ producer, consumer }: Ends): void {
  consumer.refill()
  while (consumer.next() >= 0) consumer.advance()
  consumer.publish(consumer.readPosition)
  producer.release(producer.durablePosition)
}

/** Moves an empty ring's positions on until the next record starts at `index`. */
function moveTo(ends: Ends, index: number): void {
  const step = 64
  for (let at = 0; at < index; at += step) {
    put(ends, step)
    settleAll(ends)
  }
}

describe('RingProducer', () => {
  it('claims the record at the tail and shows it to the drainer only once committed', () => {
    const { ring, producer, consumer } = openRing()
    expect(producer.tryClaim(45)).toBe(0)
    consumer.refill()
    expect([consumer.next(), ring.words[TAIL]]).toEqual([EMPTY, 0])
    expect(producer.commit(45)).toBe(0)
    consumer.refill()
    expect([consumer.next(), ring.words[TAIL], producer.usedBytes]).toEqual([0, 48, 48])
    expect(producer.tryClaim(40)).toBe(48)
  })

  it.each([0, 960])('has written all of a record when it moves the tail, at index %d', (index) => {
    const ends = openRing()
    moveTo(ends, index)
    // The remains of the previous lap.
    ends.ring.records.bytes.fill(0xff)
    const seen: number[] = []
    const store = jest.spyOn(Atomics, 'store').mockImplementation((...args) => {
      const [control, word] = args
      const stored = Reflect.apply(realStore, Atomics, args)
      if (word !== TAIL || control.buffer !== ends.ring.words.buffer) return stored
      // The drainer's view at this moment.
      ends.consumer.refill()
      seen.push(ends.consumer.next(), ends.producer.failureAt(ends.consumer.readPosition))
      return stored
    })
    try {
      put(ends, 128)
    } finally {
      store.mockRestore()
    }
    expect(seen).toEqual([0, 0])
  })

  it('leaves nothing behind of a claim that the next one replaces', () => {
    const { ring, producer } = openRing()
    producer.tryClaim(64)
    expect([producer.usedBytes, ring.words[TAIL]]).toEqual([0, 0])
    expect(producer.tryClaim(40)).toBe(0)
    expect(() => producer.commit(64)).toThrow(new RangeError('length=64 exceeds claimedBytes=40'))
  })

  it('refuses a commit without a claim, after one that did not fit, and a second one', () => {
    const ends = openRing()
    const error = new Error('commit without a claim')
    expect(() => ends.producer.commit(40)).toThrow(error)
    put(ends, 40)
    expect(() => ends.producer.commit(40)).toThrow(error)
    for (let i = 0; i < 3; i++) put(ends, MAX_RECORD)
    expect(ends.producer.tryClaim(MAX_RECORD)).toBe(INSUFFICIENT_CAPACITY)
    expect(() => ends.producer.commit(MAX_RECORD)).toThrow(error)
  })

  it('returns INSUFFICIENT_CAPACITY until the drainer and the caller have freed room', () => {
    const ends = openRing()
    const { producer, consumer } = ends
    for (let i = 0; i < 4; i++) put(ends, MAX_RECORD)
    expect([producer.usedBytes, producer.tryClaim(40)]).toEqual([CAPACITY, INSUFFICIENT_CAPACITY])
    consumer.refill()
    consumer.next()
    consumer.advance()
    consumer.publish(consumer.readPosition)
    expect(producer.tryClaim(40)).toBe(INSUFFICIENT_CAPACITY)
    producer.release(producer.durablePosition)
    expect(producer.tryClaim(MAX_RECORD)).toBe(0)
  })

  it('throws at a record longer than a quarter of the ring', () => {
    const { producer } = openRing()
    expect(producer.maxRecordBytes).toBe(MAX_RECORD)
    const expected = new RangeError('length=257 exceeds maxRecordBytes=256')
    expect(() => producer.tryClaim(MAX_RECORD + 1)).toThrow(expected)
    expect(producer.tryClaim(MAX_RECORD)).toBe(0)
  })

  it('fills the end of the ring with padding when the record does not fit there', () => {
    const ends = openRing()
    const { ring, producer, consumer } = ends
    moveTo(ends, 960)
    expect(producer.tryClaim(72)).toBe(0)
    expect(producer.commit(72)).toBe(CAPACITY)
    const { view } = ring.records
    expect(view.getUint32(960 + LENGTH_OFFSET, true)).toBe(64)
    expect(view.getUint32(960 + STAMP_OFFSET, true)).toBe(PADDING_STAMP)
    consumer.refill()
    expect([consumer.next(), consumer.readPosition]).toEqual([0, CAPACITY])
    expect(producer.tailPosition).toBe(CAPACITY + 72)
  })

  it('does not pad for a record that fills the end of the ring exactly', () => {
    const ends = openRing()
    moveTo(ends, 960)
    expect(ends.producer.tryClaim(64)).toBe(960)
    expect(ends.producer.commit(64)).toBe(960)
  })

  it('counts the padding into the room that a record needs', () => {
    const ends = openRing()
    for (let i = 0; i < 15; i++) put(ends, 64)
    const { producer, consumer } = ends
    consumer.refill()
    for (let i = 0; i < 2; i++) {
      consumer.next()
      consumer.advance()
    }
    consumer.publish(consumer.readPosition)
    producer.release(128)
    expect(producer.tryClaim(136)).toBe(INSUFFICIENT_CAPACITY)
    expect(producer.tryClaim(128)).toBe(0)
  })

  it.each([0, 2 ** 31 - 64, 2 ** 32 - 64])('never moves the head back, from %d', (start) => {
    const { ring, producer } = openRing(start)
    producer.release((start + 128) | 0)
    producer.release((start + 64) | 0)
    const head = (start + 128) | 0
    expect([producer.headPosition, ring.words[HEAD]]).toEqual([head, head])
  })
})

describe('RingConsumer', () => {
  it('returns from a second next() what the first returned, also across padding', () => {
    const ends = openRing()
    moveTo(ends, 960)
    put(ends, 128)
    ends.consumer.refill()
    expect([ends.consumer.next(), ends.consumer.next()]).toEqual([0, 0])
    ends.consumer.advance()
    expect([ends.consumer.next(), ends.consumer.next()]).toEqual([EMPTY, EMPTY])
  })

  it('sees only what was published before its last refill', () => {
    const ends = openRing()
    put(ends, 40)
    expect(ends.consumer.next()).toBe(EMPTY)
    ends.consumer.refill()
    put(ends, 40)
    expect([ends.consumer.next(), ends.consumer.copiedPosition]).toEqual([0, 40])
    ends.consumer.advance()
    expect(ends.consumer.next()).toBe(EMPTY)
  })

  it('reads from a copy that a later write to the shared slot does not reach', () => {
    const ends = openRing()
    put(ends, 40)
    ends.consumer.refill()
    ends.ring.records.bytes.fill(0xff)
    expect(ends.consumer.next()).toBe(0)
    expect(ends.consumer.records.view.getUint32(LENGTH_OFFSET, true)).toBe(40)
  })

  it('starts, and restarts, at the durable position', () => {
    const ends = openRing()
    const { ring, consumer } = ends
    for (let i = 0; i < 3; i++) put(ends, 40)
    consumer.refill()
    consumer.next()
    consumer.advance()
    consumer.publish(40)
    consumer.next()
    consumer.advance()
    expect([ring.words[DURABLE], consumer.readPosition]).toEqual([40, 80])
    expect(new RingConsumer(ring).readPosition).toBe(40)
    consumer.restart()
    const { readPosition, copiedPosition } = consumer
    expect([readPosition, copiedPosition]).toEqual([40, 40])
    expect(consumer.next()).toBe(EMPTY)
    consumer.refill()
    expect(consumer.next()).toBe(40)
  })

  it('restarts further on if another drainer has gone on', () => {
    const ends = openRing()
    put(ends, 40)
    const other = new RingConsumer(ends.ring)
    settleAll({ ...ends, consumer: other })
    ends.consumer.restart()
    expect(ends.consumer.readPosition).toBe(40)
  })

  it('keeps the first reason why a record failed, and clears it for the next in that slot', () => {
    const ends = openRing()
    const { producer, consumer } = ends
    const position = put(ends, 40)
    expect(producer.failureAt(position)).toBe(0)
    consumer.markFailed(position, -7)
    consumer.markFailed(position, 9)
    expect(producer.failureAt(position)).toBe(-7)
    settleAll(ends)
    moveTo(ends, CAPACITY - 64)
    put(ends, 128)
    expect(producer.failureAt(CAPACITY)).toBe(0)
  })

  it.each([0, 2 ** 31 - 1024, 2 ** 32 - 1024])(
    'visits each record but no padding, from %d',
    (start) => {
      const ends = openRing(start)
      moveTo(ends, 960)
      const positions = [put(ends, 128), put(ends, 41), put(ends, 40)]
      ends.consumer.refill()
      while (ends.consumer.next() >= 0) ends.consumer.advance()
      const visited: number[] = []
      const from = ends.producer.headPosition
      ends.consumer.forEachRecord(from, ends.consumer.readPosition, (at) => visited.push(at))
      expect(visited).toEqual(positions)
      expect(positions).toEqual([1024, 1152, 1200].map((offset) => (start + offset) | 0))
    },
  )

  it('reads a record at the one position where its stamp could be taken for padding', () => {
    for (let length = 40; length <= MAX_RECORD; length++) {
      const position = stampOf(0, 0) ^ PADDING_STAMP ^ length
      if (position % 8 !== 0) continue
      const ends = openRing(position)
      put(ends, length)
      ends.consumer.refill()
      expect([length, ends.consumer.next()]).toEqual([length, ends.producer.headPosition & 1023])
    }
  })
})

describe('a ring whose bytes are no record', () => {
  const damages: readonly (readonly [string, number, number, number])[] = [
    ['a length of 0', 0, LENGTH_OFFSET, 0],
    ['a length below that of the shortest record', 0, LENGTH_OFFSET, 39],
    ['a length that reaches past the tail', 0, LENGTH_OFFSET, 49],
    ['a length that reaches past the end of the ring', 960, LENGTH_OFFSET, 72],
    ['the stamp of the lap before', 0, STAMP_OFFSET, stampOf(48, -CAPACITY)],
    ['a stamp that belongs to another length', 0, STAMP_OFFSET, stampOf(47, 0)],
    ['padding that ends before the ring', 0, STAMP_OFFSET, PADDING_STAMP],
  ]

  it.each(damages)('calls %s CORRUPT', (_title, index, offset, word) => {
    const ends = openRing()
    moveTo(ends, index)
    put(ends, 48)
    if (index > 0) put(ends, 48)
    ends.ring.records.view.setUint32(index + offset, word, true)
    ends.consumer.refill()
    expect([ends.consumer.next(), ends.consumer.next()]).toEqual([CORRUPT, CORRUPT])
  })

  it('calls padding that reaches past the tail CORRUPT', () => {
    const ends = openRing()
    put(ends, 48)
    ends.ring.records.view.setUint32(LENGTH_OFFSET, CAPACITY, true)
    ends.ring.records.view.setUint32(STAMP_OFFSET, PADDING_STAMP, true)
    ends.consumer.refill()
    expect(ends.consumer.next()).toBe(CORRUPT)
  })

  it('is given up to the tail, which the producer sees until durable has passed it', () => {
    const ends = openRing()
    const { ring, producer, consumer } = ends
    expect(producer.corruption(0)).toBe(false)
    put(ends, 48)
    ring.records.view.setUint32(LENGTH_OFFSET, 0, true)
    put(ends, 48)
    consumer.refill()
    put(ends, 48)
    consumer.skipToTail()
    expect([ring.words[CORRUPTIONS], ring.words[CORRUPT_END]]).toEqual([1, 96])
    const reported = [0, 48, 88, 96, 96].map((durable) => producer.corruption(durable))
    expect(reported).toEqual([true, true, true, true, false])
    consumer.refill()
    expect(consumer.next()).toBe(96)
  })
})
