import { readFileSync, writeFileSync } from 'node:fs'
import { transformSync } from 'esbuild'
import { runChild } from '../support/children/run-child'
import { startedLines } from '../support/events'
import { useTempDir } from '../support/temp-dir'
import { leastOf } from '../support/waiting'

const PENDING = 10_000
const SECOND = 1_000
const LOG_PENDING = `for (let pid = 0; pid < ${PENDING}; pid++) audit.started({ requestId, pid })\n`

describe('the lifetime of a process', () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  it('ends by itself within a second, with every event, when nobody calls close()', async () => {
    const waitMs = await leastOf(SECOND, async (run) => {
      const path = dir.path(`exec-${run}.log`)
      const end = await runChild(
        `const audit = open(); ${LOG_PENDING}
         process.on('exit', () => console.log(performance.now() - start)); const start = performance.now()`,
        [path],
      )
      expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
      expect(readFileSync(path, 'utf8')).toBe(startedLines(PENDING))
      return Number(end.stdout)
    })
    expect(waitMs).toBeLessThan(SECOND)
  })

  it.each([
    ['process.exit()', 'process.exit(3)', 3],
    ['an uncaught exception', 'throw new Error("boom")', 1],
    ['an unhandled rejection', 'Promise.reject(new Error("boom"))', 1],
    ['process.exit() after a while', 'pause(150).then(() => process.exit(4))', 4],
  ])('%s with 10,000 events pending loses none of them', async (_, ending, code) => {
    const end = await runChild(`const audit = open(); ${LOG_PENDING}${ending}`, [
      dir.path('exec.log'),
    ])
    expect(end.code).toBe(code)
    expect(log()).toBe(startedLines(PENDING))
  })

  it('process.exit() drains each of several audits', async () => {
    const end = await runChild(
      `const audits = ['1', '2', '3'].map((name) => {
         const policy = { enabled: true, auditLogPath: path + name }
         return new ExecAudit(policy, new ExecDiagnostics(), { clock: () => 0 })
       })
       for (const audit of audits) { ${LOG_PENDING} }
       process.exit(0)`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    for (const name of ['1', '2', '3']) {
      expect(readFileSync(dir.path(`exec.log${name}`), 'utf8')).toBe(startedLines(PENDING))
    }
  })

  it('keeps events that are recorded in an exit handler, before and after its own', async () => {
    const end = await runChild(
      `process.on('exit', () => audit.started({ requestId, pid: 1 }))
       const audit = open()
       process.on('exit', () => audit.started({ requestId, pid: 2 }))
       audit.started({ requestId, pid: 0 })
       process.exit(0)`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(log()).toBe(startedLines(3))
  })

  it('drainSync() in an exit handler returns true once every event is in the file', async () => {
    const end = await runChild(
      `const audit = open({ drainOnExit: false }); ${LOG_PENDING}
       process.on('exit', () => console.log(audit.drainSync(), audit.stats().events.pending))
       process.exit(0)`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stdout: 'true 0\n' })
    expect(log()).toBe(startedLines(PENDING))
  })

  it('an idle ExecAudit does not keep the process alive, used or not', async () => {
    const waitMs = await leastOf(SECOND, async () => {
      const end = await runChild(
        `open({}); const audit = open(); audit.started({ requestId, pid: 0 }).then((outcome) => {
           const start = performance.now()
           process.on('exit', () => console.log(outcome, performance.now() - start))
         })`,
        [dir.path('exec.log')],
      )
      expect(end).toMatchObject({ code: 0, stderr: '' })
      const [outcome, ms] = end.stdout.split(' ')
      expect(outcome).toBe('durable')
      return Number(ms)
    })
    expect(waitMs).toBeLessThan(SECOND)
  })

  it('a pending event keeps the process alive until its promise is settled', async () => {
    const end = await runChild(
      `open({ fsync: { maxDelayMs: 300 } }).started({ requestId, pid: 0 }).then(console.log)`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stdout: 'durable\n', stderr: '' })
  })

  it('close() settles every pending event, and a second call returns the same promise', async () => {
    const end = await runChild(
      `// So small a ring that most of them wait outside it.
       const audit = open({ ringBytes: 64 * 1024 }); ${LOG_PENDING}
       const closing = audit.close()
       console.log(closing === audit.close())
       closing.then(() => audit.close()).then(() => console.log(audit.stats().events.pending))`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stdout: 'true\n0\n', stderr: '' })
    expect(log()).toBe(startedLines(PENDING))
  })

  it('an event after close() fails in open mode, and rejects with AUDIT_CLOSED in closed mode', async () => {
    const end = await runChild(
      `const logger = { warn: (object) => console.log('warned', object.code, object.stage) }
       const audits = [open({ logger }), open({ logger, failureMode: 'closed' })]
       for (const audit of audits) audit.close()
       audits[0].started({ requestId, pid: 0 }).then(console.log)
       audits[1].started({ requestId, pid: 0 }).catch((e) => console.log(e.name, e.code))`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout.split('\n').sort()).toEqual([
      '',
      'AuditError AUDIT_CLOSED',
      'failed',
      'warned AUDIT_CLOSED closed',
      'warned AUDIT_CLOSED closed',
    ])
  })

  it('await using closes it, however its block is left', async () => {
    const script = `
      const { readFileSync } = require('node:fs')
      let used
      const run = async () => {
        await using audit = open({ logger: { warn() {} } })
        used = audit
        audit.started({ requestId, pid: 0 })
        throw new Error('left')
      }
      run().catch(async ({ message }) => {
        console.log(message, readFileSync(path, 'utf8').split('\\n').length - 1)
        console.log(await used.started({ requestId, pid: 1 }))
      })`
    // Node 20 has no such syntax of its own.
    const { code } = transformSync(script, { target: 'node20' })
    const end = await runChild(code, [dir.path('exec.log')])
    expect(end).toMatchObject({ code: 0, stdout: 'left 1\nfailed\n', stderr: '' })
    expect(log()).toBe(startedLines(1))
  })

  it('reports at exit what the worker has found, such as a torn line', async () => {
    writeFileSync(dir.path('exec.log'), 'torn')
    const end = await runChild(
      `const audit = open()
       audit.started({ requestId, pid: 0 })
       process.exit(0)`,
      [dir.path('exec.log')],
    )
    const text = `exec audit: ${dir.path('exec.log')} had 4 bytes without a newline at offset 0, left by a crash or a full disk; they were closed with one and kept\n`
    expect(end).toMatchObject({ code: 0, stderr: text })
  })

  it('an event whose getter closes the audit comes too late', async () => {
    const end = await runChild(
      `const audit = open({ logger: { warn: ({ code }) => console.log(code) } })
       audit.started({ requestId, get pid() { audit.close(); return 0 } }).then(console.log)`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stdout: 'AUDIT_CLOSED\nfailed\n', stderr: '' })
  })
})
