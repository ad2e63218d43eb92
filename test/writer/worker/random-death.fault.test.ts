import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { COUNT_GROUPS } from '../../../src/writer/ring/counters'
import { JOURNAL_STATE } from '../../../src/writer/ring/memory-map'
import { type Death, writeDyingWorker } from '../../support/children/dying-worker'
import { firstCopies, HOSTS, runChild } from '../../support/children/run-child'
import {
  CATCH_RINGS,
  CATCH_WORKERS,
  COUNT_OUTCOMES,
  OFFSETS,
} from '../../support/children/worker-scripts'
import { startedLines } from '../../support/events'
import { drawSeed } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const WORKER = join(__dirname, '../../../dist/writer/worker/exec-audit-worker.js')

/** Keeps a worker that hoards from taking the machine's memory with it. */
const LITTLE_MEMORY = `
const { Worker: AnyWorker } = threads
threads.Worker = class extends AnyWorker {
  constructor(file, options) {
    super(file, { ...options, resourceLimits: { maxOldGenerationSizeMb: 24 } })
  }
}
`
const BEFORE =
  CATCH_RINGS +
  CATCH_WORKERS.replace("require('piscina')", `${LITTLE_MEMORY}require('piscina')`) +
  COUNT_OUTCOMES

/**
 * Records events in bursts until `deaths` workers have died; if the workers died too often in a row
 * and the calling thread took over for good, a new ExecAudit goes on with new workers.
 */
const SCRIPT = `
const fs = require('node:fs')
const [, , deaths, deathsMin, seed, workerFile, death] = process.argv
let state = Number(seed)
const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32
const dead = () => fs.statSync(deaths).size
const options = { logger: { warn() {} }, workerFile }
// A worker is spared until it has ended what the one before it had begun: see writeDyingWorker.
const groups = () => new BigInt64Array(ringOf(2 ** 20), ${OFFSETS.counts}, 1)[${COUNT_GROUPS}]
let groupsAtDeath = -1n
const run = async () => {
  let audit = open(options)
  const all = []
  let unsettled = 0
  let givenUp = 0
  while (dead() < Number(deathsMin)) {
    if (audit.stats().worker.drainer === 'caller') {
      await audit.close()
      givenUp++
      shared.length = 0
      audit = open(options)
      groupsAtDeath = -1n
    }
    for (let i = 0; i < 200; i++) all.push(audit.started({ requestId, pid: all.length }))
    if (random() < 0.1) {
      await audit.drain()
      // Long enough that the worker may wait in its event loop.
      await pause(random() * 150)
    } else {
      await pause(random() * 4)
    }
    if (audit.stats().events.pending > 10000) await audit.drain()
    if (death === 'terminate' && random() < 0.3 && groups() > groupsAtDeath) {
      groupsAtDeath = groups()
      fs.appendFileSync(deaths, 'x')
      workers.at(-1).terminate()
    }
  }
  const outcomes = count(await Promise.all(all))
  await audit.close()
  console.log(JSON.stringify({ outcomes, events: all.length, givenUp }))
}
run()
`

interface Report {
  readonly outcomes: object
  readonly events: number
  readonly givenUp: number
}

const SEED = drawSeed()

describe.each(HOSTS)(
  'a worker that dies at random points under load, with the audit in %s',
  (host) => {
    const dir = useTempDir()
    const deathsMin = times('DEATHS', 5, 20)
    const title = `${deathsMin} times: nothing is lost, doubled or reordered (SEED=${SEED})`

    const survive = async (death: Death, within: number) => {
      const [path, deaths] = [dir.path('exec.log'), dir.path('deaths')]
      const worker = writeDyingWorker(dir.path('worker.js'), { death, seed: SEED, within, deaths })
      const args = [path, deaths, `${deathsMin}`, `${SEED}`, worker, death]
      const end = await runChild(SCRIPT, args, [], BEFORE, host)
      expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
      const report: Report = JSON.parse(end.stdout)
      expect(report.outcomes).toEqual({ durable: report.events })
      expect(firstCopies(readFileSync(path, 'utf8'), host)).toBe(startedLines(report.events))
      const died = readFileSync(deaths).length
      process.stdout.write(
        `    ${died} deaths, ${report.events} events, ${report.givenUp} given up\n`,
      )
    }

    const DEATHS: readonly [Death, string, number][] = [
      ['throw', 'throws in its session', 120],
      ['uncaught', 'throws while it waits in its event loop', 2],
      ['exit', 'calls process.exit', 240],
      ['memory', 'runs out of memory', 240],
    ]

    it.each(DEATHS)(`(%s) and %s, ${title}`, (death, _, within) => survive(death, within), 180_000)

    it(`and is terminated from outside, ${title}`, () => survive('terminate', 1), 180_000)
  },
)

describe('a worker that dies after its write, and the next one while it takes the group over', () => {
  const dir = useTempDir()

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])(
    'at its step %i: the group is not written twice',
    async (step) => {
      const [path, file] = [dir.path('exec.log'), dir.path('worker.js')]
      writeFileSync(
        file,
        `const fs = require('node:fs')
       const deaths = __filename + '.deaths'
       const { writeSync } = fs
       const { store } = Atomics
       let steps = 0
       const dead = () => (fs.existsSync(deaths) ? fs.statSync(deaths).size : 0)
       const die = () => { fs.appendFileSync(deaths, 'x'); process.exit(1); for (;;); }
       module.exports = require(${JSON.stringify(WORKER)})
       if (dead() === 0) fs.writeSync = (...args) => { writeSync(...args); die() }
       // Words of the journal and of open descriptors. A group whose probe was being asked is doubted.
       const isDoubt = (index, value) => index === ${JOURNAL_STATE} && value === 2
       if (dead() === 1) Atomics.store = (array, index, value) => {
         store(array, index, value)
         if (array.byteOffset === ${OFFSETS.journal} && !isDoubt(index, value) && ++steps === ${step}) die()
         return value
       }`,
      )
      const end = await runChild(
        `const audit = open({ workerFile: process.argv[2] })
       const outcomes = []
       for (let pid = 0; pid < 100; pid++) outcomes.push(audit.started({ requestId, pid }))
       Promise.all(outcomes).then((all) => { console.log(count(all)); return audit.close() })`,
        [path, file],
        [],
        BEFORE,
      )
      expect(end).toMatchObject({ code: 0, stdout: '{ durable: 100 }\n', stderr: '' })
      expect(readFileSync(path, 'utf8')).toBe(startedLines(100))
    },
  )
})

describe('a worker that dies in every session', () => {
  const dir = useTempDir()

  it.each<Death>(['throw', 'exit', 'memory'])(
    '(%s) is given up, and said so once: the calling thread writes',
    async (death) => {
      const [path, deaths] = [dir.path('exec.log'), dir.path('deaths')]
      const worker = { death, seed: 1, within: 1, deaths }
      const workerFile = writeDyingWorker(dir.path('worker.js'), worker)
      const end = await runChild(
        `const codes = []
       const audit = open({ workerFile: process.argv[2], logger: { warn: ({ code }) => codes.push(code) } })
       const outcomes = []
       for (let pid = 0; pid < 1000; pid++) outcomes.push(audit.started({ requestId, pid }))
       Promise.all(outcomes).then(async (all) => {
         console.log(count(all), await audit.started({ requestId, pid: 1000 }), codes, audit.stats().worker)
         await audit.close()
       })`,
        [path, workerFile],
        [],
        BEFORE,
      )
      expect(end).toMatchObject({
        code: 0,
        stdout:
          "{ durable: 1000 } durable [ 'AUDIT_WORKER_LOST' ] { drainer: 'caller', sessions: 3, deaths: 3 }\n",
        stderr: '',
      })
      expect(readFileSync(deaths, 'utf8')).toBe('xxx')
      expect(readFileSync(path, 'utf8')).toBe(startedLines(1001))
    },
  )
})
