import { runInWindow } from '../../../src/ship/stream/window'
import { turn } from '../../support/waiting'

const ITEMS = Array.from({ length: 50 }, (_, index) => index)

/** Jobs that take turns of the event loop, and how many ran at once. */
function observed(failsAt = Number.POSITIVE_INFINITY) {
  const begun: number[] = []
  let running = 0
  let most = 0
  return {
    begun,
    most: () => most,
    running: () => running,
    async run(item: number): Promise<void> {
      begun.push(item)
      most = Math.max(most, ++running)
      await turn()
      running--
      if (item >= failsAt) throw new Error(`item ${item}`)
    },
  }
}

describe('runInWindow', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
    [9, 8],
    [16, 16],
    [40, 40],
    [1_000, 50],
  ])('begins all in order, with at most %i unfinished', async (size, most) => {
    const jobs = observed()
    expect(await runInWindow(size, ITEMS, jobs.run)).toBeUndefined()
    expect([jobs.begun, jobs.most(), jobs.running()]).toEqual([ITEMS, most, 0])
  })

  it('has the first failure, begins no further burst, and leaves none behind', async () => {
    const jobs = observed(5)
    expect(await runInWindow(4, ITEMS, jobs.run)).toEqual({ failure: new Error('item 5') })
    expect([jobs.begun.length, jobs.running()]).toEqual([9, 0])
  })

  it('does nothing for nothing', async () => {
    expect(await runInWindow(4, [], () => Promise.reject(new Error('never')))).toBeUndefined()
  })
})
