import { readFileSync } from 'node:fs'
import { runChild } from '../../support/children/run-child'
import { CATCH_WORKERS, COUNT_OUTCOMES } from '../../support/children/worker-scripts'
import { startedLines } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'

/** How the thread that embeds the audit was started. */
const HOSTS = {
  'a worker thread': 'new Worker(code, { eval: true, argv })',
  'a worker thread that does not track descriptors':
    'new Worker(code, { eval: true, argv, trackUnmanagedFds: false })',
} as const

const CANARIES = 200

/** Ends the audit's drain worker again and again, while canaries take every number that becomes free. */
const EMBEDDED = `
${CATCH_WORKERS}
${COUNT_OUTCOMES}
const fs = require('node:fs')
const [, , , root] = process.argv
const { ExecAudit, ExecDiagnostics } = require(root)
const [, , path] = process.argv
const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), { logger: { warn() {} } })
const requestId = '00'.repeat(16)
const canaries = new Map()
/** In every number up to the last: files of others, and the log itself, as another audit has it open. */
const openCanaries = () => {
  for (;;) {
    const isLog = canaries.size % 2 === 1
    const name = isLog ? path : path + '.canary' + canaries.size
    const fd = fs.openSync(name, isLog ? 'r' : 'w')
    if (fd > ${CANARIES}) return fs.closeSync(fd)
    canaries.set(fd, name)
  }
}
const run = async () => {
  const outcomes = []
  let pid = 0
  for (let death = 0; death < 8; death++) {
    for (let i = 0; i < 50; i++) outcomes.push(audit.started({ requestId, pid: pid++ }))
    if (death % 2 === 0) await audit.drain()
    await workers.at(-1).terminate()
    openCanaries()
    for (let i = 0; i < 5; i++) outcomes.push(audit.started({ requestId, pid: pid++ }))
    await audit.drain()
  }
  const counted = count(await Promise.all(outcomes))
  await audit.close()
  const lost = [...canaries].filter(([fd, name]) => {
    try {
      return fs.readlinkSync('/proc/self/fd/' + fd) !== name || (name !== path && fs.fstatSync(fd).size !== 0)
    } catch {
      return true
    }
  })
  console.log(JSON.stringify({ counted, events: pid, canaries: canaries.size > 100, lost }))
}
run()
`

describe('a drain worker that dies below', () => {
  const dir = useTempDir()

  it.each(Object.entries(HOSTS))(
    '%s closes, syncs and writes no file of others',
    async (_, start) => {
      const end = await runChild(
        `const { Worker } = require('node:worker_threads')
       const code = ${JSON.stringify(EMBEDDED)}
       const argv = [path, ${JSON.stringify(`${__dirname}/../../../dist`)}]
       ${start}.on('error', (error) => { throw error })`,
        [dir.path('exec.log')],
      )
      expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
      const { counted, events, canaries, lost } = JSON.parse(end.stdout)
      expect({ counted, canaries, lost }).toEqual({
        counted: { durable: events },
        canaries: true,
        lost: [],
      })
      // A group that was begun is doubted, and may stand there twice; none is missing, all are in order.
      const pids = readFileSync(dir.path('exec.log'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line): number => JSON.parse(line).pid)
      expect([...new Set(pids)]).toEqual(Array.from({ length: events }, (_, pid) => pid))
    },
  )
})

describe('a descriptor of the log that somebody closes by mistake', () => {
  const dir = useTempDir()

  it.each([
    ['is noticed before the next write', false],
    ['is neither written to nor closed once its number is another file’s', true],
  ])('%s', async (_, isReused) => {
    const end = await runChild(
      `const fs = require('node:fs')
       const linkOf = (fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd) } catch { return '' } }
       const audit = open()
       const run = async () => {
         const outcomes = [await audit.started({ requestId, pid: 0 })]
         const numbers = fs.readdirSync('/proc/self/fd').map(Number).filter((fd) => linkOf(fd) === path)
         for (const fd of numbers) fs.closeSync(fd)
         const files = numbers.map((fd) => path + '.own' + fd)
         const own = ${isReused} ? files.map((file) => fs.openSync(file, 'a+')) : []
         for (let pid = 1; pid < 3; pid++) outcomes.push(await audit.started({ requestId, pid }))
         await audit.close()
         const isKept = own.every((fd, i) => linkOf(fd) === files[i] && fs.fstatSync(fd).size === 0)
         console.log(count(outcomes), own.join() === (${isReused} ? numbers.join() : ''), isKept)
       }
       run()`,
      [dir.path('exec.log')],
      [],
      COUNT_OUTCOMES,
    )
    expect(end).toMatchObject({ code: 0, stdout: '{ durable: 3 } true true\n', stderr: '' })
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(startedLines(3))
  })
})
