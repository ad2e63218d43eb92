import { allocateMemory, FLUSH_UP_TO, PARKED, TAIL } from '../../../src/writer/ring/memory-map'
import { flushUpTo, park, unpark } from '../../../src/writer/ring/wake-up'
import { inEveryOrder } from '../../support/simulation/interleave'

const ALL = { ended: 2_048, stuck: 0 }
const PATIENCE_MS = 5_000
const END = 48

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
