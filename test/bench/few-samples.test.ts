import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ClientAnswer, ClientTask } from '../../bench/benchmarks/gateway'
import type { ServerFigures } from '../../bench/benchmarks/gateway-server-child'
import { OURS } from '../../bench/contenders/built-in'
import { rawSyncTrials } from '../../bench/contenders/raw-sync-in-c'
import { runTrial } from '../../bench/harness/trial'
import { calls } from '../../bench/harness/workload'
import { useTempDir } from '../support/temp-dir'
import { pause } from '../support/waiting'

/* A disk or a machine may be so busy that a measurement's time is over before it has a single sample. */

const ROOT = join(__dirname, '../..')
const temp = useTempDir()
/** The load generator looks at the clock once per second only. */
const ANSWER_MS = 1_300
const hasCompiler = spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0
const sizes = () => ({
  dir: temp.path(''),
  repeats: 1,
  ms: 0,
  samples: 1,
  isQuick: true,
  progress: () => undefined,
})

/** Expects figures of at least one sample. */
function expectSamples({ measured, ascendingNs, file }: Awaited<ReturnType<typeof runTrial>>) {
  expect(ascendingNs.length).toBeGreaterThan(0)
  expect(Object.values(measured).filter((figure) => !(figure > 0 && figure < 1e12))).toEqual([])
  expect(file.lines).toBe(file.acknowledged)
}

test('raw in C is measured at least once when no time is left', async () => {
  const trials = rawSyncTrials(temp.path(''))
  expect(trials.length).toBe(hasCompiler ? 2 : 0)
  for (const trial of trials) expectSamples(await trial.run(sizes()))
})

test('a writer with many events in flight is measured at least once when no time is left', async () => {
  expectSamples(await runTrial(OURS, calls, 64, sizes()))
})

test('the client of the gateway waits for a first answer', async () => {
  const figures: ServerFigures = {
    served: 1,
    seconds: 1,
    cpuSeconds: 1,
    syncs: 1,
    loopP50Us: 1,
    loopP99Us: 1,
  }
  const answer = (response: ServerResponse) => response.end(JSON.stringify(figures))
  // Connections are kept: one whose time is over may be about to be used again.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    request.resume()
    if (request.url === '/figures') answer(response)
    else void pause(ANSWER_MS).then(() => answer(response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const task: ClientTask = {
    port,
    connections: 2,
    warmUpMs: ANSWER_MS,
    saturatedMs: ANSWER_MS / 2,
    rateMs: ANSWER_MS,
    rate: undefined,
  }
  const file = join('bench', 'benchmarks', 'gateway-client-child.ts')
  const args = ['-r', 'esbuild-register', file, JSON.stringify(task)]
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT })
    const { saturated }: ClientAnswer = JSON.parse(stdout)
    expect(saturated?.p50Us).toBeGreaterThan(ANSWER_MS * 900)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
