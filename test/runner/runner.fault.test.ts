import { existsSync, mkdirSync } from 'node:fs'
import {
  type AuditOutcome,
  type EventRecorder,
  ExecAudit,
  ExecDiagnostics,
  runAudited,
} from '../../src'
import { ASKED, exited, openRunner, requested, started, trailOf } from '../support/runner'
import { useTempDir } from '../support/temp-dir'
import { turn } from '../support/waiting'

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

  it('closed, while the command runs, does not take its result away', async () => {
    const { run, audit } = openRunner(log())
    const result = await run(['echo', 'hello'], {
      // Its request and start are accepted by then, its end is not.
      onStdout: () => audit.close(),
    })
    expect(result).toMatchObject({ outcome: 'exited', code: 0, stdoutBytes: 6 })
    expect(result.trail).toEqual([
      { event: 'request', outcome: 'durable' },
      { event: 'started', outcome: 'durable' },
      {
        event: 'exit',
        outcome: 'failed',
        error: expect.objectContaining({ code: 'AUDIT_CLOSED' }),
      },
    ])
    expect(trailOf(log())).toEqual([requested(['echo', 'hello']), started])
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
