import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hasStackLeft } from '../../../src/writer/failure/foreign-code'
import { runChild } from '../../support/children/run-child'
import { CATCH_WORKERS } from '../../support/children/worker-scripts'
import { startedEvent, startedLines } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'

/** What a foreign function does, once. */
const MISBEHAVIOURS = `{
  throws() { throw new Error('thrown') },
  'throws what has no text'() { throw Object.create(null) },
  'throws a proxy'() { throw new Proxy({}, { get() { throw new Error('trap') }, has() { throw new Error('trap') } }) },
  async rejects() { throw new Error('rejected') },
  'rejects late'() { return turn().then(() => { throw new Error('rejected') }) },
  'rejects by a thenable of its own'() { return { then(_, reject) { reject(new Error('rejected')) } } },
  'has a then that throws'() { return { get then() { throw new Error('then') } } },
  overflows() { const deeper = () => 1 + deeper(); return deeper() },
  'never settles'() { return new Promise(() => {}) },
}`

/** Each foreign function, put in place with \`foreign()\` in it, and an event that makes the audit call it. */
const FUNCTIONS: Readonly<Record<string, { open: string; call: string }>> = {
  logger: {
    open: `newAudit({ logger: { warn(o, text) { said.push(text); return foreign() } } })`,
    call: 'audit.started({})',
  },
  recorder: {
    open: `newAudit({}, { recordAuditFailure() { recorded++; return foreign() } })`,
    call: 'audit.started({})',
  },
  'process.emitWarning': {
    open: `
      process.emitWarning = (text) => { said.push(text); return foreign() }
      newAudit({ logger: undefined })`,
    call: 'audit.started({})',
  },
  redact: {
    open: `newAudit({ redact(argv) { return foreign() ?? argv } })`,
    call: 'audit.denial({ ...parties, reason: "argv_not_allowed", argv: ["secret"] })',
  },
  clock: {
    open: `newAudit({ clock() { return foreign() ?? 0 } })`,
    call: 'audit.started({ requestId, pid: 7 })',
  },
  'a subscriber': {
    open: `
      require('node:diagnostics_channel').subscribe('x0x-exec-audit:group', () => foreign())
      newAudit({})`,
    call: 'audit.started({ requestId, pid: 7 })',
  },
}

/** Node itself raises what a subscriber throws. A promise that it returns is never seen by anybody. */
const RAISED_BY_NODE = new Set(['throws', 'overflows', 'rejects', 'rejects late'])

const SCRIPT = `
const said = [], raised = []
let recorded = 0, misbehaviour, audit
process.on('uncaughtException', (thrown) => raised.push('uncaught'))
process.on('unhandledRejection', (reason) => raised.push('unhandled'))
const parties = { requestId, agentId: 'a1'.repeat(32), machineId: 'b2'.repeat(32) }
const foreign = () => { const once = misbehaviour; misbehaviour = undefined; return once?.() }
const newAudit = (options, recorder = { recordAuditFailure() { recorded++ } }) => {
  const logger = { warn: (_, text) => void said.push(text) }
  audit = new ExecAudit({ enabled: true, auditLogPath: path }, recorder, { logger, clock: () => 0, ...options })
}
`

describe('a foreign function', () => {
  const dir = useTempDir()

  it.each(Object.entries(FUNCTIONS))(
    '%s may misbehave once: nothing is lost, raised or held after it',
    async (name, { open, call }) => {
      const end = await runChild(
        `${SCRIPT}
        const main = async () => {
          ${open}
          await audit.started({ requestId, pid: 0 })
          const found = {}
          for (const [how, misbehave] of Object.entries(${MISBEHAVIOURS})) {
            misbehaviour = misbehave
            const threw = await Promise.resolve().then(() => ${call}).then(() => 'no', String)
            await until('it is not called', () => misbehaviour === undefined)
            for (let turns = 0; turns < 4; turns++) await turn()
            const [before, saidBefore] = [recorded, said.length]
            // A text of its own each time, as equal ones are limited.
            const next = await audit.started({ requestId, pid: 'x'.repeat(how.length) })
            await turn()
            found[how] = [threw, next, recorded - before, said.length - saidBefore, raised.splice(0).join()]
          }
          await audit.close()
          console.log(JSON.stringify(found))
        }
        main()`,
        [dir.path('exec.log')],
      )
      expect({ code: end.code, stdout: end.stdout.length > 0 }).toEqual({ code: 0, stdout: true })
      const found: Record<string, unknown[]> = JSON.parse(end.stdout)
      for (const [how, seen] of Object.entries(found)) {
        const isRaised = name === 'a subscriber' && (RAISED_BY_NODE.has(how) || /^throws/.test(how))
        const raised = isRaised ? (how.startsWith('rejects') ? 'unhandled' : 'uncaught') : ''
        expect([how, ...seen]).toEqual([how, 'no', 'failed', 1, 1, raised])
      }
    },
  )

  it.each(Object.entries(FUNCTIONS))(
    '%s may end the process: what was accepted is kept, in every audit',
    async (_, { open, call }) => {
      const path = dir.path('exec.log')
      const other = dir.path('other.log')
      const end = await runChild(
        `${SCRIPT}
        const main = async () => {
          ${open}
          const another = new ExecAudit({ enabled: true, auditLogPath: ${JSON.stringify(other)} }, new ExecDiagnostics(), { clock: () => 0 })
          await audit.started({ requestId, pid: 0 })
          for (let pid = 0; pid < 50; pid++) another.started({ requestId, pid })
          for (let pid = 1; pid < 50; pid++) audit.started({ requestId, pid })
          misbehaviour = () => process.exit(7)
          ${call}
          await until('it does not end', () => false)
        }
        main()`,
        [path],
      )
      expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 7, stderr: '' })
      expect(readFileSync(path, 'utf8').startsWith(startedLines(50))).toBe(true)
      expect(readFileSync(other, 'utf8')).toBe(startedLines(50))
    },
  )

  it('that ends the process during the exit keeps no other audit from draining', async () => {
    const path = dir.path('exec.log')
    const end = await runChild(
      `// The first one's log is in no folder: its logger is called in the exit.
      const policy = (auditLogPath) => ({ enabled: true, auditLogPath })
      const logger = { warn() { process.exit(8) } }
      const audit = new ExecAudit(policy('/proc/none/exec.log'), new ExecDiagnostics(), { logger })
      const another = open()
      for (let pid = 0; pid < 50; pid++) {
        audit.started({ requestId, pid })
        another.started({ requestId, pid })
      }
      process.exit(7)`,
      [path],
    )
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 8, stderr: '' })
    expect(readFileSync(path, 'utf8')).toBe(startedLines(50))
  })

  it('runs in the context in which the audit was made, and in no request’s', async () => {
    const requests = new AsyncLocalStorage<string>()
    const seen = new Set<string>()
    const see = (what: string) => void seen.add(`${what} in ${requests.getStore()}`)
    const path = dir.path('folder')
    const { audit } = requests.run('the audit’s own', () =>
      openAudit(`${path}/exec.log`, { logger: { warn: () => see('logger') } }),
    )
    await audit.started(startedEvent())
    rmSync(path, { recursive: true })
    writeFileSync(path, '')
    const calls = ['A', 'B', 'C'].map((id) =>
      requests.run(id, async () => {
        const outcome = await audit.started(startedEvent())
        return [outcome, requests.getStore()]
      }),
    )
    expect(await Promise.all(calls)).toEqual(['A', 'B', 'C'].map((id) => ['failed', id]))
    await requests.run('D', () => Reflect.apply(audit.started, audit, [{}]))
    expect([...seen]).toEqual(['logger in the audit’s own'])
  })
})

describe("a request's async context", () => {
  const dir = useTempDir()

  it('is kept alive by its event no longer than that is pending: first, later, and in an outage', async () => {
    const end = await runChild(
      `require('node:v8').setFlagsFromString('--expose-gc')
       const gc = require('node:vm').runInNewContext('gc')
       const { AsyncLocalStorage } = require('node:async_hooks')
       const requests = new AsyncLocalStorage()
       const audit = open({ logger: { warn() {} } })
       const request = () => requests.run({}, async () => {
         const store = new WeakRef(requests.getStore())
         await audit.started({ requestId, pid: 0 })
         return store
       })
       const isCollected = (store) => () => { gc(); return store.deref() === undefined }
       const main = async () => {
         for (const which of ['first', 'later']) await until(which, isCollected(await request()))
         workers.at(-1).terminate()
         await until('after a death', isCollected(await request()))
         await audit.close()
         const lost = open({ workerFile: '/no/such/worker.js', logger: { warn() {} } })
         await until('without a worker', isCollected(await requests.run({}, async () => {
           const store = new WeakRef(requests.getStore())
           await lost.started({ requestId, pid: 0 })
           return store
         })))
         await lost.close()
         console.log('all')
       }
       main()`,
      [dir.path('exec.log')],
      [],
      CATCH_WORKERS,
    )
    expect(end).toMatchObject({ code: 0, stdout: 'all\n', stderr: '' })
  })
})

describe('the stack', () => {
  it('is known to be short before foreign code would meet its end', () => {
    expect(hasStackLeft()).toBe(true)
    const found: boolean[] = []
    const deeper = (): void => {
      try {
        deeper()
      } catch {
        // Here it is at its end; further up it has room again.
      }
      if (found.length < 10_000) found.push(hasStackLeft())
    }
    deeper()
    expect(found[0]).toBe(false)
    expect(found.at(-1)).toBe(true)
  })

  it('may end in the call: the failure is reported with the next one, and events go on', async () => {
    const path = dirOfStack.path('exec.log')
    const { audit, diagnostics, warned } = openAudit(path)
    await audit.started(startedEvent({ pid: 0 }))
    const calls: Promise<unknown>[] = []
    let thrown = 0
    const deeper = (): void => {
      try {
        deeper()
      } catch {
        // The end of the stack is somewhere in the next calls, at another place each time.
      }
      if (calls.length + thrown >= 2_000) return
      try {
        const pid = calls.length % 2 === 0 ? -1 : 1
        calls.push(audit.started(startedEvent({ pid })))
      } catch {
        thrown++
      }
    }
    deeper()
    const outcomes = await Promise.all(calls)
    const failed = outcomes.filter((outcome) => outcome === 'failed').length
    expect(await audit.started(startedEvent({ pid: 2 }))).toBe('durable')
    expect(await audit.started(startedEvent({ pid: -1 }))).toBe('failed')
    expect(warned.length).toBeGreaterThan(0)
    const { events } = audit.stats()
    expect(events).toMatchObject({ pending: 0, failed: diagnostics.auditFailures })
    expect(diagnostics.auditFailures).toBe(failed + 1)
    await audit.close()
  })
})

const dirOfStack = useTempDir()
