import { allocateRing, HURRY, PARKED, TAIL } from '../../../src/writer/ring/memory-map'
import { hurry, park, unpark } from '../../../src/writer/ring/wake-up'
import { inEveryOrder } from '../../support/simulation/interleave'

const ALL = { ended: 2_048, stuck: 0 }
const PATIENCE_MS = 5_000
const END = 48

describe('a drainer that goes to sleep', () => {
  it('is woken for a record, in whatever order the steps of both threads come', () => {
    const commit = () => {
      const { control } = allocateRing(1024)
      const producer = () => {
        Atomics.store(control, TAIL, END)
        unpark(control)
      }
      return [() => park(control, 0, PATIENCE_MS), producer] as const
    }
    expect(inEveryOrder(commit)).toEqual(ALL)
  })

  it('is woken by hurry(), which changes no tail, in whatever order the steps come', () => {
    const hurried = () => {
      const { control } = allocateRing(1024)
      const mayPark = () => Atomics.load(control, HURRY) === 0
      return [() => park(control, 0, PATIENCE_MS, mayPark), () => hurry(control, END)] as const
    }
    expect(inEveryOrder(hurried)).toEqual(ALL)
  })

  it('is not woken where nobody wakes it', () => {
    const silent = () => {
      const { control } = allocateRing(1024)
      const producer = () => Atomics.store(control, TAIL, END)
      return [() => park(control, 0, PATIENCE_MS), producer] as const
    }
    const { ended, stuck } = inEveryOrder(silent)
    expect([ended > 0, stuck > 0]).toEqual([true, true])
  })

  it('is awake for the others again once it returns, whether woken or not', () => {
    const { control } = allocateRing(1024)
    expect(park(control, 0, 1)).toBe(false)
    expect(control[PARKED]).toBe(0)
    expect(park(control, END, PATIENCE_MS)).toBe(true)
    expect(park(control, 0, PATIENCE_MS, () => false)).toBe(true)
    expect(control[PARKED]).toBe(0)
  })
})
