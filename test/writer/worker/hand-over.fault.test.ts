import { readFileSync } from 'node:fs'
import { runChild } from '../../support/children/run-child'
import { CATCH_WORKERS } from '../../support/children/worker-scripts'
import { drawSeed } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

// Some of them sync each event, and a slow disk takes its time.
jest.setTimeout(300_000)

/**
 * Records events in bursts and, between them, kills the worker, blocks in drainSync, waits in drain or
 * sleeps, by a seeded choice; then prints the outcomes that were not durable and what was recorded.
 */
const SCRIPT = `
const seed = Number(process.argv[2])
let state = seed
const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32
const pick = (...choices) => choices[Math.floor(random() * choices.length)]
const id = 'a1'.repeat(32)
const fs = require('node:fs')
const linkOf = (fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd) } catch { return '' } }
const openLogs = () => fs.readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith(path)).length
// Workers that are killed while they start may be given up; that is said, and changes nothing else.
const logger = { warn() {} }
const run = async () => {
  const fsync = { maxEvents: pick(1, 5, 1000), maxDelayMs: pick(0, 0, 3) }
  const audit = open({ ringBytes: pick(1024, 4096, 65536), onFull: pick('wait', 'block'), fsync, logger })
  const outcomes = []
  // More if a worker takes long to die: the kills meanwhile hit one and the same worker.
  for (let round = 0; round < 100 || audit.stats().worker.deaths < 3; round++) {
    for (let burst = 1 + random() * 40; burst > 0; burst--) {
      // Some are too large for the small rings and travel beside them.
      const argv = [String(outcomes.length), 'x'.repeat(pick(0, 50, 50, 3000))]
      outcomes.push(audit.denial({ requestId, agentId: id, machineId: id, argv, reason: 'exec_disabled' }))
    }
    const choice = random()
    if (choice < 0.2) workers.at(-1).terminate()
    else if (choice < 0.4) audit.drainSync(pick(1, 5000))
    else if (choice < 0.45) await audit.drain()
    if (random() < 0.7) await pause(random() * 6)
  }
  await audit.close()
  const failed = (await Promise.all(outcomes)).filter((outcome) => outcome !== 'durable')
  const { worker } = audit.stats()
  console.log(JSON.stringify({ events: outcomes.length, failed: failed.length, worker, left: openLogs() }))
}
run()
`

interface Report {
  readonly events: number
  readonly failed: number
  readonly worker: { readonly deaths: number }
  /** Descriptors of the log that are open after close(). */
  readonly left: number
}

describe('the ring, handed from drainer to drainer', () => {
  const dir = useTempDir()
  const first = drawSeed()
  const seeds = Array.from({ length: times('SEEDS', 6, 20) }, (_, i) => first + i)

  it.each(seeds)('loses, doubles and reorders nothing (SEED=%i)', async (seed) => {
    const path = dir.path('exec.log')
    const end = await runChild(SCRIPT, [path, String(seed)], [], CATCH_WORKERS)
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const report: Report = JSON.parse(end.stdout)
    expect(report.failed).toBe(0)
    expect(report.worker.deaths).toBeGreaterThan(2)
    // A thread that is ended while the kernel opens a file cannot note that one.
    expect(report.left).toBeLessThanOrEqual(report.worker.deaths)
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    const order = lines.map((line) => Number(JSON.parse(line).argv[0]))
    expect(order).toEqual(Array.from({ length: report.events }, (_, i) => i))
  })
})
