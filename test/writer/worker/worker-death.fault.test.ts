import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type ChildEnd, firstCopies, HOSTS, runChild } from '../../support/children/run-child'
import { CATCH_WORKERS, COUNT_OUTCOMES } from '../../support/children/worker-scripts'
import { startedLine, startedLines } from '../../support/events'
import { itWithStrace, strace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { STALLED } from '../../support/waiting'

/** Whether the second group has been written, whose sync strace holds up. */
const IS_WRITTEN = `
const isWritten = () => require('node:fs').statSync(path).size > ${startedLines(1).length}
`

/** The smallest unit that a disk loses or keeps as a whole. */
const SECTOR_BYTES = 512

describe.each(HOSTS)('a worker that dies, with the audit in %s', (host) => {
  const dir = useTempDir()
  const log = () => firstCopies(readFileSync(dir.path('exec.log'), 'utf8'), host)

  itWithStrace('in the middle of a sync: its group is neither lost nor written twice', async () => {
    const path = dir.path('exec.log')
    let end: ChildEnd
    do {
      rmSync(path, { force: true })
      end = await runChild(
        `const run = async () => {
           const audit = open()
           await audit.started({ requestId, pid: 0 })
           const outcomes = []
           for (let pid = 1; pid < 500; pid++) outcomes.push(audit.started({ requestId, pid }))
           await until('nothing is written', isWritten)
           const isInTime = audit.stats().groups.count === 1
           workers.at(-1).terminate()
           console.log(isInTime, count(await Promise.all(outcomes)), audit.stats().worker.deaths)
         }
         run()`,
        [path],
        strace(path, 'fdatasync:delay_enter=300000:when=2'),
        CATCH_WORKERS + COUNT_OUTCOMES + IS_WRITTEN,
        host,
      )
      // If the machine stands still for long enough, the sync is over first.
    } while (end.stdout.startsWith('false'))
    expect(end).toMatchObject({ code: 0, stdout: 'true { durable: 499 } 1\n', stderr: '' })
    expect(log()).toBe(startedLines(500))
  })

  itWithStrace(
    'in the middle of a sync that a sector ends with: a blank line may follow',
    async () => {
      const path = dir.path('exec.log')
      const others = `${'x'.repeat(SECTOR_BYTES * 2 - startedLines(2).length - 1)}\n`
      let end: ChildEnd
      do {
        writeFileSync(path, others, { mode: 0o600 })
        end = await runChild(
          `const run = async () => {
           const audit = open({ fsync: { maxEvents: 1 } })
           await audit.started({ requestId, pid: 0 })
           const outcomes = []
           for (let pid = 1; pid < 9; pid++) outcomes.push(audit.started({ requestId, pid }))
           await until('nothing is written', () => require('node:fs').statSync(path).size === ${SECTOR_BYTES * 2})
           const isInTime = audit.stats().groups.count === 1
           workers.at(-1).terminate()
           console.log(isInTime, count(await Promise.all(outcomes)))
         }
         run()`,
          [path],
          strace(path, 'fdatasync:delay_enter=300000:when=2'),
          CATCH_WORKERS + COUNT_OUTCOMES,
          host,
        )
      } while (end.stdout.startsWith('false'))
      expect(end).toMatchObject({ code: 0, stdout: 'true { durable: 8 }\n', stderr: '' })
      const again = host === 'the main thread' ? '' : `\n${startedLine(1)}`
      const text = startedLines(2) + again + startedLines(9).slice(startedLines(2).length)
      expect(readFileSync(path, 'utf8')).toBe(others + text)
      expect(firstCopies(text, host)).toBe(startedLines(9))
    },
  )

  itWithStrace('dead while the process exits: the calling thread takes the ring over', async () => {
    const path = dir.path('exec.log')
    const end = await runChild(
      `const audit = open()
       audit.started({ requestId, pid: 0 }).then(() => {
         for (let pid = 1; pid < 500; pid++) audit.started({ requestId, pid })
         return until('nothing is written', isWritten).then(() => { workers.at(-1).terminate(); process.exit(0) })
       })`,
      [path],
      strace(path, 'fdatasync:delay_enter=300000:when=2'),
      CATCH_WORKERS + IS_WRITTEN,
      host,
    )
    expect(end).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(log()).toBe(startedLines(500))
  })

  it.each([
    ['is missing', "'/no/such/worker.js'"],
    ['throws when it loads', 'throwingWorker'],
    ['ends at once', 'exitingWorker'],
  ])(
    'and one that %s is given up: the calling thread writes, and says so once',
    async (_, file) => {
      const end = await runChild(
        `const fs = require('node:fs')
       const throwingWorker = path + '.throws.js'
       const exitingWorker = path + '.exits.js'
       fs.writeFileSync(throwingWorker, 'throw new Error("cannot load")')
       fs.writeFileSync(exitingWorker, 'module.exports = () => process.exit(7)')
       const codes = []
       const audit = open({ workerFile: ${file}, logger: { warn: ({ code }) => codes.push(code) } })
       const outcomes = []
       for (let pid = 0; pid < 1000; pid++) outcomes.push(audit.started({ requestId, pid }))
       Promise.all(outcomes).then(async (all) => {
         console.log(count(all), await audit.started({ requestId, pid: 1000 }), codes, audit.stats().worker.drainer)
         await audit.close()
       })`,
        [dir.path('exec.log')],
        [],
        COUNT_OUTCOMES,
        host,
      )
      expect(end).toMatchObject({
        code: 0,
        stdout: "{ durable: 1000 } durable [ 'AUDIT_WORKER_LOST' ] caller\n",
        stderr: '',
      })
      expect(log()).toBe(startedLines(1001))
    },
  )

  it('and files of the package that vanished too: events fail, and nothing is thrown', async () => {
    const end = await runChild(
      `const codes = new Set()
       const logger = { warn: ({ code }) => codes.add(code) }
       const audit = open({ workerFile: '/no/such/worker.js', logger })
       const outcomes = []
       for (let pid = 0; pid < 100; pid++) outcomes.push(audit.started({ requestId, pid }))
       Promise.all(outcomes).then(async (all) => {
         console.log(count(all), await audit.started({ requestId, pid: 1000 }), [...codes])
         await audit.close()
       })`,
      [dir.path('exec.log')],
      [],
      `${COUNT_OUTCOMES}
       const Module = require('node:module')
       const load = Module._load
       Module._load = (name, ...rest) => {
         if (name === '../drain/drain-loop') throw new Error('vanished')
         return load(name, ...rest)
       }`,
      host,
    )
    expect(end).toMatchObject({
      code: 0,
      stdout: "{ failed: 100 } failed [ 'AUDIT_WORKER_LOST', 'AUDIT_ENCODE_FAILED' ]\n",
      stderr: '',
    })
  })
})

describe('a worker that hangs for ever while it loads', () => {
  const dir = useTempDir()

  // At once: each is given 10 s.
  it(`is given up, and the process ends, with the audit in ${HOSTS.join(', ')}`, async () => {
    const outcomes = HOSTS.map(async (host, i) => {
      const path = dir.path(`${i}.log`)
      const end = await runChild(
        `const fs = require('node:fs')
         const hanging = path + '.hangs.js'
         fs.writeFileSync(hanging, '${STALLED}')
         const codes = []
         const audit = open({ workerFile: hanging, logger: { warn: ({ code }) => codes.push(code) } })
         audit.started({ requestId, pid: 0 }).then(async (outcome) => {
           console.log(outcome, codes)
           await audit.close()
         })`,
        [path],
        [],
        '',
        host,
      )
      return {
        code: end.code,
        stdout: end.stdout,
        stderr: end.stderr,
        log: readFileSync(path, 'utf8'),
      }
    })
    const expected = {
      code: 0,
      stdout: "durable [ 'AUDIT_WORKER_LOST' ]\n",
      stderr: '',
      log: startedLines(1),
    }
    expect(await Promise.all(outcomes)).toEqual(HOSTS.map(() => expected))
  })
})
