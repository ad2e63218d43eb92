import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs'
import os from 'node:os'
import {
  type AuditOutcome,
  type EventRecorder,
  ExecAudit,
  ExecDiagnostics,
  runAudited,
  scrubbedEnvironment,
} from '../../src'
import type { EventName } from '../../src/format/events'
import { MemoryAudit } from '../../src/testing'
import { runChild } from '../support/children/run-child'
import { itWithMounts } from '../support/privileged'
import { ASKED, exited, openRunner, requested, started, trailOf } from '../support/runner'
import { useTempDir } from '../support/temp-dir'
import { turn, until } from '../support/waiting'

const dir = useTempDir()
const log = () => dir.path('exec.log')
const touch = () => ['touch', dir.path('touched')]
const isTouched = () => existsSync(dir.path('touched'))

describe('an audit that fails', () => {
  it('closed, runs nothing, and rejects with its error', async () => {
    mkdirSync(log())
    const { run, diagnostics } = openRunner(log())
    await expect(run(touch())).rejects.toMatchObject({
      name: 'AuditError',
      code: 'AUDIT_OPEN_FAILED',
    })
    expect([isTouched(), diagnostics.auditFailures]).toEqual([false, 1])
  })

  it('closed, rejects a denial that it could not record', async () => {
    mkdirSync(log())
    const { run } = openRunner(log())
    await expect(run([])).rejects.toMatchObject({ code: 'AUDIT_OPEN_FAILED' })
  })

  it('open, runs the command, and reports each event that failed', async () => {
    mkdirSync(log())
    const { run, diagnostics } = openRunner(log(), { failureMode: 'open' })
    const { outcome, code, trail } = await run(touch())
    expect([outcome, code, isTouched()]).toEqual(['exited', 0, true])
    expect(trail).toEqual(
      ['request', 'started', 'exit'].map((event) => ({ event, outcome: 'failed' })),
    )
    expect(diagnostics.auditFailures).toBe(3)
  })

  it('that is closed runs nothing', async () => {
    const { run, audit } = openRunner(log())
    await audit.close()
    await expect(run(touch())).rejects.toMatchObject({ code: 'AUDIT_CLOSED' })
    expect(isTouched()).toBe(false)
  })

  it('closed, while the command runs, takes its end before it closes', async () => {
    const { run, audit } = openRunner(log())
    let closing: Promise<void> | undefined
    const result = await run(['echo', 'hello'], {
      // Its request and start are accepted by then, its end is not.
      onStdout: () => {
        closing = audit.close()
      },
    })
    expect(result).toMatchObject({ outcome: 'exited', code: 0, stdoutBytes: 6 })
    expect(result.trail.map(({ event, outcome }) => [event, outcome])).toEqual([
      ['request', 'durable'],
      ['started', 'durable'],
      ['exit', 'durable'],
    ])
    await closing
    expect(audit.stats().state).toBe('closed')
    await expect(run(touch())).rejects.toMatchObject({ code: 'AUDIT_CLOSED' })
    expect(trailOf(log())).toEqual([
      requested(['echo', 'hello']),
      started,
      exited({ stdout_bytes: 6 }),
    ])
  })

  it('whose close() a listener of its own run waits for ends with the time limit', async () => {
    const { run, audit } = openRunner(log())
    const result = await run(['echo', 'hello'], { timeoutMs: 500, onStdout: () => audit.close() })
    expect(result).toMatchObject({ outcome: 'exited', code: 0, stdoutBytes: 6 })
    expect(result.error).toEqual(
      new Error('a listener had not taken the output when the run ended'),
    )
    await audit.close()
    expect(trailOf(log())).toHaveLength(3)
  })

  it('is disabled, denies as x0x does', async () => {
    const audit = new ExecAudit({ enabled: false }, new ExecDiagnostics())
    const result = await runAudited(audit, { ...ASKED, argv: touch() })
    expect(result).toMatchObject({
      outcome: 'denied',
      denialReason: 'exec_disabled',
      error: new Error('the policy is disabled'),
      trail: [
        { event: 'request', outcome: 'disabled' },
        { event: 'denial', outcome: 'disabled' },
      ],
    })
    expect(isTouched()).toBe(false)
  })

  it('does not sync, runs the command', async () => {
    const { run, trail } = openRunner(log(), { fsync: { method: 'none' } })
    const { code, trail: entries } = await run(touch())
    expect([code, isTouched()]).toEqual([0, true])
    expect(entries.map(({ outcome }) => outcome)).toEqual(['written', 'written', 'written'])
    expect(trail()).toEqual([requested(touch()), started, exited()])
  })
})

describe('an audit of another kind', () => {
  const succeed = async (): Promise<AuditOutcome> => 'durable'
  const others: EventRecorder = {
    request: succeed,
    started: succeed,
    warning: succeed,
    exit: succeed,
    denial: succeed,
  }

  it('will do if it has the five methods, and may even throw', async () => {
    const thrown = new Error('thrown at once')
    const started = () => {
      throw thrown
    }
    const result = await runAudited({ ...others, started }, { ...ASKED, argv: ['echo', '1'] })
    expect(result).toMatchObject({ code: 0, stdoutBytes: 2 })
    expect(result.trail[1]).toEqual({ event: 'started', outcome: 'failed', error: thrown })
  })

  it('is awaited to the end', async () => {
    let settle = (_: AuditOutcome) => {}
    let isOver = false
    const exit = () =>
      new Promise<AuditOutcome>((resolve) => {
        settle = resolve
        void turn().then(() => {
          expect(isOver).toBe(false)
          settle('durable')
        })
      })
    await runAudited({ ...others, exit }, { ...ASKED, argv: ['true'] })
    isOver = true
    expect.assertions(1)
  })

  it.each([undefined, null, {}, { request: () => {} }])('%p will not', async (audit) => {
    const run = runAudited(Object(audit), { ...ASKED, argv: ['true'] })
    await expect(run).rejects.toThrow(
      'audit: expected an object with request, started, warning, exit, denial methods',
    )
  })
})

/** An audit whose disk hangs from the event of this name on. */
function hungAudit(from: EventName) {
  let isHung = false
  const seen: EventName[] = []
  const never = new Promise<AuditOutcome>(() => undefined)
  const record = (event: EventName) => () => {
    seen.push(event)
    isHung ||= event === from
    return isHung ? never : Promise.resolve<AuditOutcome>('durable')
  }
  const audit: EventRecorder = {
    request: record('request'),
    started: record('started'),
    warning: record('warning'),
    exit: record('exit'),
    denial: record('denial'),
  }
  return { audit, seen }
}

describe('a disk that hangs', () => {
  const trailFrom = (from: EventName, events: readonly EventName[]) =>
    events.map((event, i) => ({
      event,
      outcome: i < events.indexOf(from) ? 'durable' : 'pending',
    }))

  it.each([
    ['cancel', 'cancelled'],
    ['lease', 'lease_expired'],
    ['peer', 'peer_disconnected'],
  ] as const)(
    'while a request waits for it, does not keep a run from its %s',
    async (name, kind) => {
      const { audit, seen } = hungAudit('request')
      const controller = new AbortController()
      const result = runAudited(audit, { ...ASKED, argv: touch(), [name]: controller.signal })
      await turn()
      controller.abort()
      expect(await result).toMatchObject({ outcome: 'cancelled', stoppedBy: kind, pid: null })
      expect((await result).trail).toEqual(trailFrom('request', ['request', 'warning', 'exit']))
      expect([seen, isTouched()]).toEqual([['request', 'warning', 'exit'], false])
    },
  )

  it('while a request waits for it, does not keep a run from its time limit', async () => {
    const { audit } = hungAudit('request')
    const result = await runAudited(audit, { ...ASKED, argv: touch(), timeoutMs: 100 })
    expect(result).toMatchObject({ outcome: 'cancelled', stoppedBy: 'timeout' })
    expect(result.warnings).toEqual(['duration_approaching_cap'])
    expect(isTouched()).toBe(false)
  })

  it('while a denial waits for it, does not keep a run from its end', async () => {
    const { audit } = hungAudit('denial')
    const result = await runAudited(audit, { ...ASKED, argv: ['/no/such/program'], timeoutMs: 100 })
    expect(result).toMatchObject({ outcome: 'denied', denialReason: 'spawn_failed' })
    expect(result.trail).toEqual(trailFrom('denial', ['request', 'denial']))
  })

  it.each(['started', 'exit'] as const)(
    'from %s on gives the result once the run is cancelled',
    async (from) => {
      const { audit, seen } = hungAudit(from)
      const controller = new AbortController()
      const options = { ...ASKED, argv: ['sh', '-c', 'exit 5'], cancel: controller.signal }
      const result = runAudited(audit, options)
      await until('it does not end', () => seen.includes('exit'))
      controller.abort()
      expect(await result).toMatchObject({ outcome: 'exited', code: 5, stoppedBy: null })
      expect((await result).trail).toEqual(trailFrom(from, ['request', 'started', 'exit']))
    },
  )

  it('and goes on, loses nothing', async () => {
    const audit = new MemoryAudit({ failureMode: 'closed' })
    audit.hold()
    const result = await runAudited(audit, { ...ASKED, argv: touch(), timeoutMs: 100 })
    expect(result.trail.map(({ outcome }) => outcome)).toEqual(['pending', 'pending', 'pending'])
    audit.release()
    await audit.drain()
    expect(audit.events.map(({ event }) => event)).toEqual(['request', 'warning', 'exit'])
  })
})

describe('a user that the system does not know', () => {
  it('has no HOME', () => {
    const home = process.env.HOME
    delete process.env.HOME
    const unknown = jest.spyOn(os, 'homedir').mockImplementation(() => {
      throw Object.assign(new Error('ENOENT'), { code: 'ERR_SYSTEM_ERROR' })
    })
    const names = Object.keys(scrubbedEnvironment())
    unknown.mockRestore()
    process.env.HOME = home
    expect(names).toEqual(['PATH', 'LANG', 'LC_ALL'])
  })
})

const NOBODY = 65_534

/** A program that becomes root, so that nobody may signal it. */
function rootsProgram(): string {
  const program = dir.path('becomes-root')
  copyFileSync('/usr/bin/setpriv', program)
  chmodSync(program, 0o4755)
  chmodSync(dir.path('.'), 0o777)
  return program
}

describe('a command that may not be signalled', () => {
  const asNobody = (argv: readonly string[]) => `
const { runAudited } = require(${JSON.stringify(require.resolve('../../dist'))})
process.setgid(${NOBODY}); process.setuid(${NOBODY})
const agentId = '00'.repeat(32)
process.on('warning', ({ message }) => console.log(message.replace(/\\d+/, 'PID')))
runAudited(open(), {
  argv: ${JSON.stringify(argv)}, agentId, machineId: agentId, timeoutMs: 300,
  limits: { graceMs: 200, lingerMs: 300 },
}).then(({ code, signal, stoppedBy, unstoppable }) => {
  console.log(JSON.stringify({ code, signal, stoppedBy, unstoppable }))
})`

  itWithMounts('is said to outlive its limit, at once and at its end', async () => {
    const argv = [rootsProgram(), '--reuid', '0', 'sleep', '1.5']
    const { stdout } = await runChild(asNobody(argv), [`${dir.path('.')}/logs/x.log`])
    const [warning, end] = stdout.trim().split('\n')
    expect(warning).toBe(
      'exec audit: process PID could not be stopped: it has become another user, and may not be signalled (EPERM)',
    )
    const known = { code: 0, signal: null, stoppedBy: 'timeout', unstoppable: true }
    expect(JSON.parse(end ?? '')).toEqual(known)
  })

  itWithMounts('but was started by one that may be, is said to run on', async () => {
    const left = `${rootsProgram()} --reuid 0 sleep 5 >/dev/null 2>&1 & sleep 600`
    const script = asNobody(['sh', '-c', left])
    const { stdout } = await runChild(script, [`${dir.path('.')}/logs/x.log`])
    const [warning, end] = stdout.trim().split('\n')
    // Which of the two is seen first depends on when the command itself is gone.
    expect(warning).toMatch(
      /^exec audit: process PID could not be stopped: (it has become another user|a process of its group runs on)/,
    )
    expect(JSON.parse(end ?? '')).toMatchObject({ signal: 'SIGTERM', unstoppable: true })
  })
})
