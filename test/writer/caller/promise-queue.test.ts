import type { AuditOutcome } from '../../../src/format/events'
import { PromiseQueue, type Settle } from '../../../src/writer/caller/promise-queue'

const PAST_FIRST_CAPACITY = 5_000

/** A promise's end that notes its number when it is settled. */
function noting(notes: number[], number: number): Settle {
  return () => notes.push(number)
}

describe('PromiseQueue', () => {
  it('gives the promises back in the order they came, with the oldest position in front', () => {
    const queue = new PromiseQueue()
    const outcomes: AuditOutcome[] = []
    const settle: Settle = (outcome) => outcomes.push(outcome)
    const other: Settle = () => undefined
    queue.push(8, settle)
    queue.push(56, other)
    expect([queue.size, queue.firstPosition]).toEqual([2, 8])
    expect(queue.shift()).toBe(settle)
    expect([queue.size, queue.firstPosition]).toEqual([1, 56])
    expect(queue.shift()).toBe(other)
    expect([queue.size, outcomes]).toEqual([0, []])
  })

  it('refuses to take a promise out when there is none', () => {
    const queue = new PromiseQueue()
    expect(() => queue.shift()).toThrow(new Error('shift of an empty queue'))
    queue.push(0, () => undefined)
    queue.shift()
    expect(() => queue.shift()).toThrow(new Error('shift of an empty queue'))
  })

  it('keeps the order when it grows while its oldest entry is in the middle', () => {
    const queue = new PromiseQueue()
    const notes: number[] = []
    const positions: number[] = []
    const take = () => {
      positions.push(queue.firstPosition)
      queue.shift()('durable')
    }
    for (let number = 0; number < PAST_FIRST_CAPACITY; number++) {
      queue.push(number * 40, noting(notes, number))
      if (number % 3 === 0) take()
    }
    while (queue.size > 0) take()
    const numbers = Array.from({ length: PAST_FIRST_CAPACITY }, (_, number) => number)
    expect(notes).toEqual(numbers)
    expect(positions).toEqual(numbers.map((number) => number * 40))
  })

  it('has nothing before any position when it is empty', () => {
    const queue = new PromiseQueue()
    expect(queue.hasBefore(48)).toBe(false)
    queue.push(0, () => undefined)
    queue.shift()
    expect(queue.hasBefore(48)).toBe(false)
  })

  it.each([0, 2 ** 31 - 8, 2 ** 32 - 8])(
    'knows whether its oldest record at %d lies before durable, across the wrap',
    (position) => {
      const queue = new PromiseQueue()
      queue.push(position | 0, () => undefined)
      const durables = [position - 8, position, position + 8, position + 1024]
      const answers = durables.map((durable) => queue.hasBefore(durable | 0))
      expect(answers).toEqual([false, false, true, true])
      expect(queue.firstPosition).toBe(position | 0)
    },
  )
})
