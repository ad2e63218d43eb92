import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RING_FIELD, SESSION_TASK } from '../../../src/writer/ring/messages'
import { runChild, startChild } from '../../support/children/run-child'
import { COUNT_OUTCOMES } from '../../support/children/worker-scripts'
import { startedLines } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'
import { pause, STALLED, WAITING } from '../../support/waiting'

const EVENTS = 20
const OTHER_VERSION = /^its file is not the worker of version \d+\.\d+\.\d+, but of (.*); build it/
const TASK = JSON.stringify(SESSION_TASK)
const RING = join(__dirname, '../../../dist/writer/ring')
const [MEMORY_MAP, VERSION_FILE] = ['memory-map.js', 'version.js'].map((name) =>
  JSON.stringify(join(RING, name)),
)

/** Workers that are not what they seem, and what is found out about each. */
const LIARS: readonly (readonly [what: string, code: string, cause: RegExp])[] = [
  ['has tasks of other names', 'exports.drain = exports.ready = () => {}', OTHER_VERSION],
  ['takes any task and does nothing', 'module.exports = () => {}', OTHER_VERSION],
  ['takes its task and returns early', `exports[${TASK}] = () => {}`, OTHER_VERSION],
  ['answers with nonsense', `exports[${TASK}] = async () => ({ taken: true })`, OTHER_VERSION],
  [
    'is of another version',
    "exports['serve@9.8.7'] = () => {}\nexports.version = () => '9.8.7'",
    /but of version 9\.8\.7;/,
  ],
  [
    'takes its task, but is of another version',
    `const { viewMemory, SESSION_VERSION } = require(${MEMORY_MAP})
     const { versionWord } = require(${VERSION_FILE})
     exports[${TASK}] = (task) => {
       const { session } = viewMemory(task[${JSON.stringify(RING_FIELD)}]).session
       Atomics.store(session, SESSION_VERSION, versionWord('9.8.7'))
     }`,
    /but of version 9\.8\.7;/,
  ],
  ['never returns', `exports[${TASK}] = () => { ${STALLED} }`, /^no worker of version/],
  ['is no code', 'this is not JavaScript', /Unexpected|Invalid|missing/],
]

describe('a worker that', () => {
  const dir = useTempDir()

  it.each(LIARS)('%s is found out, and the calling thread writes', async (_, code, cause) => {
    const workerFile = dir.path('liar.js')
    writeFileSync(workerFile, code)
    const end = await runChild(
      `${COUNT_OUTCOMES}
       const warnings = []
       const logger = { warn: ({ code, err }) => warnings.push([code, String(err.cause?.message ?? err.message)]) }
       const audit = open({ workerFile: process.argv[2], logger })
       const outcomes = Array.from({ length: ${EVENTS} }, (_, pid) => audit.started({ requestId, pid }))
       Promise.all(outcomes).then(async (all) => {
         const { drainer } = audit.stats().worker
         await audit.close()
         console.log(JSON.stringify({ counted: count(all), drainer, warnings }))
       })`,
      [dir.path('exec.log'), workerFile],
    )
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    const { counted, drainer, warnings } = JSON.parse(end.stdout)
    expect({ counted, drainer }).toEqual({ counted: { durable: EVENTS }, drainer: 'caller' })
    expect(warnings).toEqual([['AUDIT_WORKER_LOST', expect.stringMatching(cause)]])
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(startedLines(EVENTS))
  })

  it('is only stopped with its process, for 11 s, is not given up', async () => {
    const child = startChild(
      `const warnings = []
       const audit = open({ logger: { warn: ({ code }) => warnings.push(code) } })
       console.log('go')
       audit.started({ requestId, pid: 0 }).then(async (outcome) => {
         await audit.close()
         console.log(outcome, warnings, audit.stats().worker.drainer)
       })`,
      [dir.path('exec.log')],
    )
    await child.said('go')
    child.process.kill('SIGSTOP')
    await pause(11_000)
    child.process.kill('SIGCONT')
    expect(await child.end).toMatchObject({ code: 0, stdout: 'go\ndurable [] worker\n' })
  })

  it('takes 4 s to load, as on a busy machine, is not given up', async () => {
    const workerFile = dir.path('slow.js')
    const own = require.resolve('../../../dist/writer/worker/exec-audit-worker')
    writeFileSync(
      workerFile,
      `${WAITING}\nstall(4_000)\nmodule.exports = require(${JSON.stringify(own)})`,
    )
    const { code, stdout } = await runChild(
      `const warnings = []
       const audit = open({ workerFile: process.argv[2], logger: { warn: ({ code }) => warnings.push(code) } })
       audit.started({ requestId, pid: 0 }).then(async (outcome) => {
         await audit.close()
         console.log(outcome, warnings, audit.stats().worker.drainer)
       })`,
      [dir.path('exec.log'), workerFile],
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'durable [] worker\n' })
  })
})
