import { mkdirSync } from 'node:fs'
import { explore } from '../support/explorer/explorer'
import { drawSeed, replayOf } from '../support/seed'
import { useTempDir } from '../support/temp-dir'
import { times } from '../support/times'

const SCHEDULES = times('SCHEDULES', 10_000, 100_000)

describe('the caller and the worker, each delayed at any access to shared words', () => {
  const dir = useTempDir()

  it('have one drainer at a time, sync before they say so, and lose no wake-up', async () => {
    const first = drawSeed()
    const isReplay = process.env.SEED !== undefined
    mkdirSync(dir.path('runs'))
    const order = { first, count: isReplay ? 1 : SCHEDULES, folder: dir.path('runs') }
    const result = await explore(order, isReplay)
    if (result.problem !== undefined) {
      throw new Error(`${result.problem}; ${replayOf(result.seed)}`)
    }
    const counts = Object.entries(result.tally).map(([name, count]) => `${name}=${count}`)
    process.stdout.write(`    explored: ${counts.join(' ')} first=${first}\n`)
    expect(result.tally.runs).toBe(order.count)
  }, 1_200_000)
})
