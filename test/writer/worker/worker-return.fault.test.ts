import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SESSION_TASK } from '../../../src/writer/ring/messages'
import { type ChildEnd, runChild } from '../../support/children/run-child'
import { COUNT_OUTCOMES } from '../../support/children/worker-scripts'
import { startedLines } from '../../support/events'
import { useTempDir } from '../../support/temp-dir'
import { STALLED } from '../../support/waiting'

const WORKER = join(__dirname, '../../../dist/writer/worker/exec-audit-worker.js')
/** Longer than the pause before the first attempt. */
const SHORTAGE_MS = 2_000
const ROUNDS_MAX = 5

/** Code of a worker that cannot load until `ms` milliseconds after the script has called `repair()`. */
const shortOfMemory = (ms: number) => `
const fs = require('node:fs')
const own = {}
const repaired = __filename + '.repaired'
if (!fs.existsSync(repaired) || Date.now() - fs.statSync(repaired).mtimeMs < ${ms}) throw new Error('no memory is left')`

/** Records one event after the other until there were that many warnings. */
const RECORD = `
const fs = require('node:fs')
const [, , workerFile] = process.argv
const repair = () => fs.writeFileSync(workerFile + '.repaired', '')
const codes = []
const outcomes = []
const logger = { warn: ({ code }) => codes.push(code) }
const openWatched = (options) => open({ workerFile, logger, ...options })
const record = async (audit) => {
  outcomes.push(await audit.started({ requestId, pid: outcomes.length }))
}
const recordUntil = async (audit, warnings) => {
  while (codes.length < warnings) {
    await record(audit)
    await pause(20)
  }
}
/** How often this process has the log open: the worker needs it three times, see journal.ts. */
const timesOpen = () =>
  fs.readdirSync('/proc/self/fd').filter((fd) => {
    const link = '/proc/self/fd/' + fd
    return fs.existsSync(link) && fs.readlinkSync(link) === path
  }).length
`

describe('a worker that was given up', () => {
  const dir = useTempDir()

  /** The worker's file, which does this first. */
  const workerThat = (code: string) => {
    const file = dir.path('worker.js')
    writeFileSync(file, `${code}\nmodule.exports = { ...require('${WORKER}'), ...own }`)
    return file
  }
  const run = async (script: string, workerFile: string) => {
    const args = [dir.path('exec.log'), workerFile]
    const end = await runChild(RECORD + script, args, [], COUNT_OUTCOMES)
    return { ...end, log: readFileSync(dir.path('exec.log'), 'utf8') }
  }
  /** That all events so far are in the log once, in order. */
  const expectWhole = ({ stdout, log }: { stdout: string; log: string }) => {
    const events = Number(/durable: (\d+) }\n$/.exec(stdout)?.[1])
    expect(log).toBe(startedLines(events))
  }

  it('is restarted again and again, and drains once it can be started', async () => {
    const end = await run(
      `const main = async () => {
         const audit = openWatched()
         await recordUntil(audit, 1)
         const { drainer, sessions } = audit.stats().worker
         repair()
         await recordUntil(audit, 2)
         await record(audit)
         const { worker } = audit.stats()
         console.log(codes, timesOpen(), drainer, worker.drainer, worker.sessions > sessions, count(outcomes))
       }
       main()`,
      workerThat(shortOfMemory(SHORTAGE_MS)),
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout).toMatch(
      /^\[ 'AUDIT_WORKER_LOST', 'AUDIT_WORKER_BACK' \] 2 caller worker true \{ durable: \d+ \}\n$/,
    )
    expectWhole(end)
  })

  it('is restarted while the calling thread holds a group, and waits for its outcome', async () => {
    const end = await run(
      `const main = async () => {
         const audit = openWatched({ retryForMs: 60_000 })
         await recordUntil(audit, 1)
         await audit.reopen()
         fs.renameSync(path, path + '.1')
         fs.mkdirSync(path)
         repair()
         const held = []
         while (codes.length < 2) {
           held.push(audit.started({ requestId, pid: outcomes.length + held.length }))
           await pause(5)
         }
         const { pending } = audit.stats().events
         fs.rmdirSync(path)
         outcomes.push(...(await Promise.all(held)))
         await record(audit)
         const { worker } = audit.stats()
         console.log(codes, pending === held.length, worker.drainer, count(outcomes))
         await audit.close()
         fs.writeFileSync(path, fs.readFileSync(path + '.1', 'utf8') + fs.readFileSync(path, 'utf8'))
       }
       main()`,
      workerThat(shortOfMemory(0)),
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout).toMatch(
      /^\[ 'AUDIT_WORKER_LOST', 'AUDIT_WORKER_BACK' \] true worker \{ durable: \d+ \}\n$/,
    )
    expectWhole(end)
  })

  it('and dies again at its first events is given up again, and nothing is lost', async () => {
    const file = workerThat(
      `const own = { [${JSON.stringify(SESSION_TASK)}]() { throw new Error('cannot drain') } }`,
    )
    const end = await run(
      `const main = async () => {
         const audit = openWatched()
         await recordUntil(audit, 3)
         console.log(codes, audit.stats().worker, count(outcomes))
       }
       main()`,
      file,
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    const codes = "'AUDIT_WORKER_LOST', 'AUDIT_WORKER_BACK', 'AUDIT_WORKER_LOST'"
    expect(end.stdout).toMatch(
      new RegExp(
        `^\\[ ${codes} \\] { drainer: 'caller', sessions: 4, deaths: 4 } { durable: \\d+ }\n$`,
      ),
    )
    expectWhole(end)
  })

  it('and hangs when it is restarted: events do not wait for it, nor does close()', async () => {
    const file = workerThat(`
      const fs = require('node:fs')
      const own = {}
      if (!fs.existsSync(__filename + '.hangs')) throw new Error('cannot load')
      fs.writeFileSync(__filename + '.tried', '')
      ${STALLED}`)
    const end = await run(
      `const main = async () => {
         const audit = openWatched()
         await recordUntil(audit, 1)
         fs.writeFileSync(workerFile + '.hangs', '')
         while (!fs.existsSync(workerFile + '.tried')) await record(audit)
         for (let i = 0; i < 100; i++) await record(audit)
         await audit.close()
         console.log(codes, audit.stats().worker.drainer, count(outcomes))
       }
       main()`,
      file,
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout).toMatch(/^\[ 'AUDIT_WORKER_LOST' \] caller \{ durable: \d+ \}\n$/)
    expectWhole(end)
  })

  it('drains at once when it is back: a call that blocks for room in the ring gets room', async () => {
    const gets = /^\[ 'AUDIT_WORKER_LOST', 'AUDIT_WORKER_BACK' \] true \{ durable: \d+ \}\n$/
    const script = `const calls = []
       const call = () => calls.push(audit.started({ requestId, pid: calls.length }))
       const isFull = () => {
         const { capacityBytes, usedBytes } = audit.stats().ring
         return capacityBytes - usedBytes < 48
       }
       let wasFull
       const warn = ({ code }) => {
         codes.push(code)
         if (code !== 'AUDIT_WORKER_BACK') return
         wasFull = isFull()
         call()
       }
       // Less than a blocked call waits for a worker that does not take up the ring.
       const audit = openWatched({ logger: { warn }, onFull: 'block', maxBlockMs: 900, ringBytes: 65_536 })
       const main = async () => {
         while (codes.length < 1) {
           call()
           await pause(20)
         }
         repair()
         while (codes.length < 2) {
           while (!isFull() && codes.length < 2) call()
           await turn()
         }
         outcomes.push(...(await Promise.all(calls)))
         console.log(codes, wasFull, count(outcomes))
       }
       main()`
    let end: ChildEnd & { log: string }
    let round = 0
    do {
      for (const name of ['exec.log', 'worker.js.repaired']) rmSync(dir.path(name), { force: true })
      end = await run(script, workerThat(shortOfMemory(0)))
      // The ring may just have been drained, or the machine stand still for as long as a call may block.
    } while (!gets.test(end.stdout) && ++round < ROUNDS_MAX)
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout).toMatch(gets)
    expectWhole(end)
  })

  it('and hangs so that it cannot be ended: no other one is started until it has ended', async () => {
    const fifo = dir.path('fifo')
    execFileSync('mkfifo', [fifo])
    const file = workerThat(`
      const fs = require('node:fs')
      const own = {}
      const hangs = __filename + '.hangs'
      if (!fs.existsSync(hangs)) throw new Error('cannot load')
      fs.appendFileSync(__filename + '.tried', 'x')
      if (fs.readFileSync(hangs, 'utf8') === 'yes') fs.readFileSync('${fifo}')`)
    const end = await run(
      `const main = async () => {
         const audit = openWatched()
         await recordUntil(audit, 1)
         fs.writeFileSync(workerFile + '.hangs', 'yes')
         // Longer than an attempt may take, and the pause after it.
         for (const from = Date.now(); Date.now() - from < 14_500; ) {
           await record(audit)
           await pause(20)
         }
         const tried = fs.readFileSync(workerFile + '.tried', 'utf8')
         fs.writeFileSync(workerFile + '.hangs', 'no')
         fs.closeSync(fs.openSync('${fifo}', 'w'))
         await recordUntil(audit, 2)
         await audit.close()
         console.log(codes, tried, count(outcomes))
       }
       main()`,
      file,
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout).toMatch(
      /^\[ 'AUDIT_WORKER_LOST', 'AUDIT_WORKER_BACK' \] x \{ durable: \d+ \}\n$/,
    )
    expectWhole(end)
  })
})
