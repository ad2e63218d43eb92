import { readFileSync } from 'node:fs'
import { readPids, runUntilKilled, seededRandom } from './helpers/load-child'
import { useTempDir } from './helpers/temp-dir'
import { times } from './helpers/times'

const KILLS = times('KILLS', 20, 200)

describe('SIGKILL under load', () => {
  const dir = useTempDir()

  it(`loses nothing durable in ${KILLS} kills, and tears one line a kill at most`, async () => {
    const random = seededRandom()
    const path = dir.path('exec.log')
    const acked: number[] = []
    for (let kill = 0; kill < KILLS; kill++) {
      const load = { path, from: kill * 1_000_000, afterMs: random() * 60 }
      for (const pid of await runUntilKilled(load)) acked.push(pid)
    }
    const { pids, torn } = readPids(readFileSync(path, 'utf8'))
    expect(acked.filter((pid) => !pids.has(pid))).toEqual([])
    expect(acked.length).toBeGreaterThan(KILLS * 50)
    expect(torn).toBeLessThanOrEqual(KILLS)
    process.stdout.write(`    ${acked.length} acknowledged, ${torn} torn lines\n`)
  })
})
