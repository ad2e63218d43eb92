import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { IDLE_LINGER_MS } from '../../src/writer/ring/messages'
import { firstCopies, HOSTS, runChild } from '../support/children/run-child'
import { CATCH_WORKERS, COUNT_OUTCOMES } from '../support/children/worker-scripts'
import { startedLines } from '../support/events'
import { itWithStrace, strace } from '../support/strace'
import { useTempDir } from '../support/temp-dir'

/*
 * What holds in every thread that may embed an audit, besides the tests of a dying worker, a failing sync and a
 * full ring, which run in each of them as well.
 */

const PENDING = 300

/** Accepts events in each state of the worker, and ends the thread that embeds the audit. */
const EXITS = `
const record = (from, to) => { for (let pid = from; pid < to; pid++) audit.started({ requestId, pid }) }
const end = () => { record(1, ${PENDING}); process.exit(0) }
const audit = open()
const first = () => audit.started({ requestId, pid: 0 })
`

describe.each(HOSTS)('process.exit() of %s loses nothing that was accepted', (host) => {
  const dir = useTempDir()

  const expectAll = async (script: string, fault: readonly string[] = []) => {
    const path = dir.path('exec.log')
    const end = await runChild(EXITS + script, [path], fault, CATCH_WORKERS, host)
    expect(end).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(firstCopies(readFileSync(path, 'utf8'), host)).toBe(startedLines(PENDING))
  }

  it('while its worker starts', () => expectAll('first(); end()'))

  it('while its worker waits for the next event', () =>
    expectAll('first().then(() => pause(100)).then(end)'))

  it('after its worker has died while it waited for the next event', () =>
    expectAll('first().then(() => pause(100)).then(() => { workers.at(-1).terminate(); end() })'))

  it('while its worker waits in its event loop', () =>
    expectAll(`first().then(() => pause(${IDLE_LINGER_MS + 100})).then(end)`))

  it('at the moment when its worker begins to wait there', () =>
    expectAll(`first().then(() => pause(${IDLE_LINGER_MS})).then(end)`))

  it('after its worker has died while it waited there', () =>
    expectAll(`first().then(() => pause(${IDLE_LINGER_MS + 100})).then(() => {
      workers.at(-1).terminate()
      end()
    })`))

  itWithStrace('while its worker is in a sync', () =>
    expectAll(
      `const size = ${startedLines(1).length}
       const isWritten = () => require('node:fs').statSync(path).size > size
       first().then(() => {
         record(1, ${PENDING} - 1)
         return until('nothing is written', isWritten)
       }).then(() => { record(${PENDING} - 1, ${PENDING}); process.exit(0) })`,
      strace(dir.path('exec.log'), 'fdatasync:delay_enter=300000:when=2'),
    ),
  )
})

describe.each(HOSTS)('a log that is rotated under load, with the audit in %s', (host) => {
  const dir = useTempDir()

  it('gets each line once, in order, through renames, reopen() and deaths of the worker', async () => {
    const path = dir.path('exec.log')
    const end = await runChild(
      `const fs = require('node:fs')
       const run = async () => {
         const audit = open({ logger: { warn() {} } })
         const outcomes = []
         for (let file = 0; file < 6; file++) {
           for (let i = 0; i < 200; i++) outcomes.push(audit.started({ requestId, pid: outcomes.length }))
           if (file % 3 === 2) workers.at(-1).terminate()
           await outcomes.at(-100)
           fs.renameSync(path, path + '.' + file)
           if (file % 2 === 0) await audit.reopen()
         }
         outcomes.push(audit.started({ requestId, pid: outcomes.length }))
         console.log(count(await Promise.all(outcomes)))
         await audit.close()
       }
       run()`,
      [path],
      [],
      CATCH_WORKERS + COUNT_OUTCOMES,
      host,
    )
    expect(end).toMatchObject({ code: 0, stdout: '{ durable: 1201 }\n', stderr: '' })
    const names = readdirSync(dir.path('')).sort()
    const files = [...Array.from({ length: 6 }, (_, i) => `exec.log.${i}`), 'exec.log']
    expect(names).toEqual(files.toSorted())
    const text = files.map((name) => readFileSync(dir.path(name), 'utf8')).join('')
    expect(firstCopies(text, host)).toBe(startedLines(1201))
  })
})

/** A task that waits for its events, or returns before they are settled. */
const TASK = `
const outcomes = []
let audit
module.exports = async ({ dist, path, requestId, isPatient }) => {
  const { ExecAudit, ExecDiagnostics } = require(dist)
  audit ??= new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), { clock: () => 0 })
  const settled = audit.stats().events.settled
  for (let i = 0; i < 100; i++) outcomes.push(audit.started({ requestId, pid: outcomes.length }))
  return isPatient ? [settled, [...new Set(await Promise.all(outcomes))]] : settled
}
`

describe('a piscina task that does not wait for its events', () => {
  const dir = useTempDir()

  it('leaves them to the worker, which writes them; they are settled in the next task', async () => {
    writeFileSync(dir.path('task.js'), TASK)
    const end = await runChild(
      `const { Piscina } = require('piscina')
       const { statSync } = require('node:fs')
       const [, , dist, filename] = process.argv
       const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1 })
       const size = (file) => statSync(file, { throwIfNoEntry: false })?.size
       const run = async () => {
         console.log(await pool.run({ dist, path, requestId }))
         await until('they are not written', () => size(path) === ${startedLines(100).length})
         console.log(await pool.run({ dist, path, requestId, isPatient: true }))
         await pool.destroy()
       }
       run()`,
      [dir.path('exec.log'), join(__dirname, '../../dist'), dir.path('task.js')],
    )
    expect(end).toMatchObject({ code: 0, stdout: "0\n[ 0, [ 'durable' ] ]\n", stderr: '' })
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(startedLines(200))
  })
})
