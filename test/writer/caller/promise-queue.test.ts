import type { AuditOutcome } from '../../../src/format/events'
import { Acks, type Settle } from '../../../src/writer/caller/settlement'

const PAST_FIRST_CAPACITY = 5_000

/** A promise's end that notes its number when it is settled. */
function noting(notes: number[], number: number): Settle {
  return () => notes.push(number)
}

describe('Acks', () => {
  it('gives the promises back in the order they came, with the oldest position in front', () => {
    const acks = new Acks()
    const outcomes: AuditOutcome[] = []
    const settle: Settle = (outcome) => outcomes.push(outcome)
    const other: Settle = () => undefined
    acks.push(8, settle)
    acks.push(56, other)
    expect([acks.size, acks.firstPosition]).toEqual([2, 8])
    expect(acks.shift()).toBe(settle)
    expect([acks.size, acks.firstPosition]).toEqual([1, 56])
    expect(acks.shift()).toBe(other)
    expect([acks.size, outcomes]).toEqual([0, []])
  })

  it('refuses to take a promise out when there is none', () => {
    const acks = new Acks()
    expect(() => acks.shift()).toThrow(new Error('shift of an empty queue'))
    acks.push(0, () => undefined)
    acks.shift()
    expect(() => acks.shift()).toThrow(new Error('shift of an empty queue'))
  })

  it('keeps the order when it grows while its oldest entry stands in the middle', () => {
    const acks = new Acks()
    const notes: number[] = []
    const positions: number[] = []
    const take = () => {
      positions.push(acks.firstPosition)
      acks.shift()('durable')
    }
    for (let number = 0; number < PAST_FIRST_CAPACITY; number++) {
      acks.push(number * 40, noting(notes, number))
      if (number % 3 === 0) take()
    }
    while (acks.size > 0) take()
    const numbers = Array.from({ length: PAST_FIRST_CAPACITY }, (_, number) => number)
    expect(notes).toEqual(numbers)
    expect(positions).toEqual(numbers.map((number) => number * 40))
  })

  it('has nothing before any position when it is empty', () => {
    const acks = new Acks()
    expect(acks.hasBefore(48)).toBe(false)
    acks.push(0, () => undefined)
    acks.shift()
    expect(acks.hasBefore(48)).toBe(false)
  })

  it.each([0, 2 ** 31 - 8, 2 ** 32 - 8])(
    'knows whether its oldest record at %d lies before durable, across the wrap',
    (position) => {
      const acks = new Acks()
      acks.push(position | 0, () => undefined)
      const durables = [position - 8, position, position + 8, position + 1024]
      const answers = durables.map((durable) => acks.hasBefore(durable | 0))
      expect(answers).toEqual([false, false, true, true])
      expect(acks.firstPosition).toBe(position | 0)
    },
  )
})
