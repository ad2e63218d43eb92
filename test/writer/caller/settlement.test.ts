import type { AuditOutcome } from '../../../src/format/events'
import { Settlement, type SettlementOptions } from '../../../src/writer/caller/settlement'
import { packFailure, REASON_LINE_TOO_LONG } from '../../../src/writer/ring/failure-word'
import { allocateMemory, DURABLE } from '../../../src/writer/ring/memory-map'
import {
  RECORD_HEADER_BYTES,
  TYPE_OFFSET,
  TYPE_REOPEN,
  TYPE_STARTED,
} from '../../../src/writer/ring/record-header'

import { RingConsumer, RingProducer } from '../../../src/writer/ring/ring'
import { turn, until } from '../../support/waiting'

const CAPACITY = 1024
const PATH = '/var/log/exec.log'
const EIO = 5
const ENOSPC = 28
const CORRUPT =
  "cannot make the event's line for the log /var/log/exec.log: the ring was given up, so which of its events were written is not known; see the warnings before"

/** A settlement over a ring, whose drainer the test plays. */
function rig(options: Partial<SettlementOptions> = {}) {
  const { ring } = allocateMemory(CAPACITY)
  const producer = new RingProducer(ring)
  const consumer = new RingConsumer(ring)
  const notes: string[] = []
  const reporter = {
    note: (stage: string, error: Error) => notes.push(`${stage}: ${error.message}`),
    noteSuccess: () => notes.push('success'),
  }
  const events = { onFreed: () => notes.push('freed'), onMoved: () => notes.push('moved') }
  const settlement = new Settlement(
    ring,
    producer,
    { path: PATH, success: 'durable', rejects: false, ...options },
    reporter,
    events,
  )
  const publish = (type = TYPE_STARTED): Promise<AuditOutcome> => {
    const index = producer.tryClaim(RECORD_HEADER_BYTES)
    ring.records.view.setUint8(index + TYPE_OFFSET, type)
    const promise = settlement.newPromise()
    settlement.expect(producer.commit(RECORD_HEADER_BYTES), settlement.takeSettle(), type)
    return promise
  }
  const finish = (position = producer.tailPosition) => consumer.publish(position)
  const fail = (position: number, stage: 'write' | 'sync' | 'encode', reason: number) =>
    consumer.markFailed(position, packFailure({ stage, reason }))
  return { ring, producer, settlement, notes, publish, finish, fail }
}

describe('Settlement', () => {
  it('settles the events that the durable position has passed, and frees their space', async () => {
    const { settlement, producer, notes, publish, finish } = rig()
    const first = publish()
    const between = producer.tailPosition
    const second = publish()
    settlement.settle()
    expect([settlement.pending, notes]).toEqual([2, []])
    finish(between)
    settlement.settle()
    expect([settlement.pending, notes, producer.headPosition]).toEqual([1, ['freed'], between])
    expect(await Promise.race([second, first])).toBe('durable')
    finish()
    settlement.settle()
    expect(await second).toBe('durable')
    const { acceptedByType, ...counts } = settlement.counts
    expect(counts).toEqual({ accepted: 2, settled: 2, succeeded: 2, failed: 0 })
    expect(acceptedByType[TYPE_STARTED]).toBe(2)
  })

  it('counts an event as accepted in the call that keeps its promise, or before it waits', () => {
    const { settlement, producer } = rig()
    const publish = (type?: number) => {
      producer.tryClaim(RECORD_HEADER_BYTES)
      void settlement.newPromise()
      settlement.expect(producer.commit(RECORD_HEADER_BYTES), settlement.takeSettle(), type)
      return settlement.pending
    }
    expect(publish(TYPE_STARTED)).toBe(1)
    settlement.countWaiting(TYPE_STARTED)
    expect(settlement.pending).toBe(2)
    // The one that waited has found room.
    expect(publish()).toBe(2)
    expect(settlement.counts.acceptedByType[TYPE_STARTED]).toBe(2)
  })

  it('settles with the outcome that its options name', async () => {
    const { settlement, publish, finish } = rig({ success: 'written' })
    const promise = publish()
    finish()
    settlement.settle()
    expect(await promise).toBe('written')
  })

  it('notes each failure, with one error for all events of a group', async () => {
    const { settlement, notes, publish, finish, fail, producer } = rig({ rejects: true })
    const positions = [0, 1, 2].map(() => {
      const position = producer.tailPosition
      return { position, promise: publish().catch((error: unknown) => error) }
    })
    positions.forEach(({ position }, i) => {
      fail(position, i < 2 ? 'write' : 'sync', i < 2 ? ENOSPC : EIO)
    })
    finish()
    settlement.settle()
    const [first, second, third] = await Promise.all(positions.map(({ promise }) => promise))
    expect(first).toBe(second)
    expect(third).toMatchObject({ code: 'AUDIT_SYNC_FAILED' })
    expect(notes.map((note) => note.split(':')[0])).toEqual([
      ...['write', 'write', 'sync'],
      'freed',
    ])
    expect(settlement.counts).toMatchObject({ settled: 3, succeeded: 0, failed: 3 })
  })

  it('resolves a failed event if failures do not reject, and counts refused ones as failed', async () => {
    const { settlement, publish, finish, fail } = rig()
    const promise = publish()
    fail(0, 'write', ENOSPC)
    settlement.countRefused()
    finish()
    settlement.settle()
    expect(await promise).toBe('failed')
    expect(settlement.counts).toMatchObject({ accepted: 1, settled: 1, failed: 2 })
  })

  it('notes a success once the file had failed, but not that of a reopen', () => {
    const { settlement, notes, publish, finish, fail } = rig()
    void publish()
    fail(0, 'write', ENOSPC)
    finish()
    settlement.settle()
    notes.splice(0)
    void publish(TYPE_REOPEN)
    finish()
    settlement.settle()
    expect(notes).toEqual(['freed'])
    for (let i = 0; i < 2; i++) {
      void publish()
      finish()
      settlement.settle()
    }
    expect(notes).toEqual(['freed', 'success', 'freed', 'freed'])
  })

  it.each([
    ['write', ENOSPC],
    ['sync', EIO],
    ['encode', REASON_LINE_TOO_LONG],
  ] as const)(
    'makes one error per outage, at %s: the next is another one',
    async (stage, reason) => {
      const { settlement, publish, finish, fail, producer } = rig({ rejects: true })
      const settled = async (isFailing: boolean, type = TYPE_STARTED) => {
        const position = producer.tailPosition
        const promise = publish(type).catch((error: unknown) => error)
        if (isFailing) fail(position, stage, reason)
        finish()
        settlement.settle()
        return promise
      }
      const first = await settled(true)
      expect(await settled(true)).toBe(first)
      // Opening the path afresh ends no outage.
      await settled(false, TYPE_REOPEN)
      expect(await settled(true)).toBe(first)
      await settled(false)
      const second = await settled(true)
      expect(second).toEqual(first)
      expect(second).not.toBe(first)
    },
  )

  it.each([CAPACITY, -8])(
    'fails everything when the durable position is impossible: %d',
    async (durable) => {
      const { settlement, ring, producer, notes, publish } = rig()
      const promise = publish()
      Atomics.store(ring.words, DURABLE, durable)
      settlement.settle()
      expect(await promise).toBe('failed')
      expect(notes).toEqual([`encode: ${CORRUPT}`, 'freed'])
      expect(producer.usedBytes).toBe(0)
    },
  )

  it('resolves a drain when the events accepted before it are settled', async () => {
    const { settlement, producer, publish, finish } = rig()
    await settlement.drained()
    void publish()
    const between = producer.tailPosition
    const order: string[] = []
    const drained = settlement.drained().then(() => order.push('drained'))
    void publish()
    const both = settlement.drained().then(() => order.push('both'))
    finish(between)
    settlement.settle()
    await drained
    expect(order).toEqual(['drained'])
    finish()
    settlement.settle()
    await both
    expect(order).toEqual(['drained', 'both'])
  })

  it('reports once that the durable position has moved, which it has waited for in advance', async () => {
    const { settlement, notes, publish, finish } = rig()
    settlement.watch()
    await turn()
    expect(notes).toEqual([])
    void publish()
    settlement.watch()
    settlement.watch()
    finish()
    await until('the move is not reported', () => notes.length > 0)
    await turn()
    expect(notes).toEqual(['moved'])
  })

  it('reports a position that something else has written once', async () => {
    const { ring, settlement, notes } = rig()
    Atomics.store(ring.words, DURABLE, 8)
    settlement.watch()
    await until('the move is not reported', () => notes.length > 0)
    settlement.settle()
    settlement.watch()
    await turn()
    expect(notes).toEqual(['moved', 'freed'])
  })

  it('lets go of its wait at its end, and reports no move', async () => {
    const { ring, settlement, notes, publish, finish } = rig()
    settlement.watch()
    settlement.end()
    expect(Atomics.notify(ring.words, DURABLE)).toBe(0)
    void publish()
    settlement.watch()
    finish()
    await turn()
    expect(notes).toEqual([])
  })

  it('knows the time of the oldest event in the ring', () => {
    const { settlement, publish, finish } = rig()
    expect(settlement.oldestTime).toBeUndefined()
    void publish()
    expect(settlement.oldestTime).toBe(0)
    finish()
    settlement.settle()
    expect(settlement.oldestTime).toBeUndefined()
  })
})
