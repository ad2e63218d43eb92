import {
  allocateMemory,
  DRAINER,
  DRAINER_CALLER,
  DRAINER_NONE,
  FLUSH_UP_TO,
  PARKED,
  TAIL,
} from '../../../src/writer/ring/memory-map'
import { flushUpTo, park, parkAsync, unpark, unparkAnyway } from '../../../src/writer/ring/wake-up'
import { inEveryOrder } from '../../support/simulation/interleave'
import { turn, until } from '../../support/waiting'

const ALL = { ended: 2_048, stuck: 0 }
const PATIENCE_MS = 5_000
const END = 48
/** A worker's thread. */
const WORKER = 4_711

describe('a drainer that goes to sleep', () => {
  it('is woken for a record, in whatever order the steps of both threads come', () => {
    const commit = () => {
      const { ring } = allocateMemory(1024)
      const producer = () => {
        Atomics.store(ring.words, TAIL, END)
        unpark(ring)
      }
      return [() => park(ring, 0, PATIENCE_MS), producer] as const
    }
    expect(inEveryOrder(commit)).toEqual(ALL)
  })

  it('is woken by flushUpTo(), which changes no tail, in whatever order the steps come', () => {
    const hurried = () => {
      const { ring } = allocateMemory(1024)
      const mayPark = () => Atomics.load(ring.words, FLUSH_UP_TO) === 0
      return [() => park(ring, 0, PATIENCE_MS, mayPark), () => flushUpTo(ring, END)] as const
    }
    expect(inEveryOrder(hurried)).toEqual(ALL)
  })

  it('is woken in its event loop, too, for a record', () => {
    const commit = () => {
      const { ring } = allocateMemory(1024)
      const producer = () => {
        Atomics.store(ring.words, TAIL, END)
        unpark(ring)
      }
      const mayPark = () => Atomics.load(ring.words, TAIL) === 0
      return [() => parkAsync(ring, mayPark, () => {}), producer] as const
    }
    expect(inEveryOrder(commit)).toEqual(ALL)
  })

  it('is woken in its event loop once the calling thread gives the ring back', () => {
    const handOver = () => {
      const { ring, session } = allocateMemory(1024)
      Atomics.store(session.session, DRAINER, DRAINER_CALLER)
      const worker = () => {
        const owner = Atomics.compareExchange(session.session, DRAINER, DRAINER_NONE, WORKER)
        if (owner === DRAINER_NONE) return
        const isTaken = () => Atomics.load(session.session, DRAINER) !== DRAINER_NONE
        parkAsync(ring, isTaken, () => {})
      }
      const caller = () => {
        Atomics.store(session.session, DRAINER, DRAINER_NONE)
        unpark(ring)
      }
      return [worker, caller] as const
    }
    expect(inEveryOrder(handOver)).toEqual(ALL)
  })

  it('would sleep for ever if it looked for records before it says that it sleeps', () => {
    const tooEarly = () => {
      const { ring } = allocateMemory(1024)
      const producer = () => {
        Atomics.store(ring.words, TAIL, END)
        unpark(ring)
      }
      const worker = () => {
        const isEmpty = Atomics.load(ring.words, TAIL) === 0
        parkAsync(
          ring,
          () => isEmpty,
          () => {},
        )
      }
      return [worker, producer] as const
    }
    expect(inEveryOrder(tooEarly).stuck).toBeGreaterThan(0)
  })

  it('is woken by unparkAnyway() alone once something else has written that it is awake', async () => {
    const { ring } = allocateMemory(1024)
    let isWoken = false
    parkAsync(
      ring,
      () => true,
      () => {
        isWoken = true
      },
    )
    Atomics.store(ring.words, PARKED, 0)
    unpark(ring)
    await turn()
    expect(isWoken).toBe(false)
    unparkAnyway(ring)
    await until('it sleeps on', () => isWoken)
  })

  it('sleeps until the timeout if nobody wakes it', () => {
    const silent = () => {
      const { ring } = allocateMemory(1024)
      const producer = () => Atomics.store(ring.words, TAIL, END)
      return [() => park(ring, 0, PATIENCE_MS), producer] as const
    }
    const { ended, stuck } = inEveryOrder(silent)
    expect([ended > 0, stuck > 0]).toEqual([true, true])
  })

  it('counts as awake once it returns, whether woken or not', () => {
    const { ring } = allocateMemory(1024)
    expect(park(ring, 0, 1)).toBe(false)
    expect(ring.words[PARKED]).toBe(0)
    expect(park(ring, END, PATIENCE_MS)).toBe(true)
    expect(park(ring, 0, PATIENCE_MS, () => false)).toBe(true)
    expect(ring.words[PARKED]).toBe(0)
  })
})
