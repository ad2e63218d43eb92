import { createHook } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { type AuditTrail, ExecDiagnostics, runAudited } from '../../src'
import { codeOf } from '../../src/base/describe'
import { MemoryAudit } from '../../src/testing'
import { collect } from '../support/collect'
import {
  denialEvent,
  exitEvent,
  requestEvent,
  startedEvent,
  startedLine,
  warningEvent,
} from '../support/events'
import { openAudit } from '../support/open-audit'
import { ASKED } from '../support/runner'
import { useTempDir } from '../support/temp-dir'
import { turn } from '../support/waiting'

const dir = useTempDir()
const quiet = { clock: () => 0, logger: { warn: () => undefined } }

/** One event of each kind, with values that are written otherwise than they are given. */
async function recordAll(audit: AuditTrail): Promise<unknown[]> {
  return [
    await audit.request(requestEvent({ argv: ['a', '\ud800', 'ü'], stdinBytes: 2n ** 64n - 1n })),
    await audit.started(startedEvent({ requestId: new Uint8Array(16).fill(0xab) })),
    await audit.warning(warningEvent({ bytes: undefined })),
    await audit.exit(exitEvent({ signal: 'SIGKILL', code: undefined })),
    await audit.denial(denialEvent({ argv: ['x'.repeat(2_000)] })),
  ]
}

describe('MemoryAudit', () => {
  it('keeps the very lines and events that the real writer leaves in its file', async () => {
    const path = dir.path('exec.log')
    const options = { ...quiet, maxEventBytes: 1_024, redact: (argv: readonly string[]) => argv }
    const { audit } = openAudit(path, options)
    const memory = new MemoryAudit(options)
    expect(await recordAll(memory)).toEqual(await recordAll(audit))
    const text = readFileSync(path, 'utf8')
    expect(memory.lines.map((line) => `${line}\n`).join('')).toBe(text)
    expect(memory.events).toEqual((await collect(path)).events)
    memory.clear()
    expect([memory.lines, memory.events]).toEqual([[], []])
  })

  it.each(['open', 'closed'] as const)(
    'treats a wrong event as the real writer does, %s',
    async (failureMode) => {
      const options = { ...quiet, failureMode }
      const { audit, diagnostics } = openAudit(dir.path('exec.log'), options)
      const counted = new ExecDiagnostics()
      const memory = new MemoryAudit(options, counted)
      const wrong = [
        (trail: AuditTrail) => trail.started(startedEvent({ pid: -1 })),
        (trail: AuditTrail) => trail.request(requestEvent({ agentId: 'xyz' })),
        (trail: AuditTrail) => trail.exit(exitEvent({ durationMs: 0.5 })),
        (trail: AuditTrail) =>
          trail.warning(
            Object.create({
              get requestId() {
                throw new Error('no')
              },
            }),
          ),
      ]
      for (const record of wrong) {
        const [ours] = await Promise.allSettled([record(memory)])
        const [theirs] = await Promise.allSettled([record(audit)])
        expect(ours).toEqual(theirs)
        if (failureMode === 'closed')
          expect(ours).toMatchObject({ reason: { code: 'AUDIT_INVALID_EVENT' } })
      }
      expect(counted.auditFailures).toBe(wrong.length)
      expect(memory.stats().failures).toEqual(audit.stats().failures)
      expect(diagnostics.auditFailures).toBe(wrong.length)
      await Promise.all([memory.close(), audit.close()])
      const [ours] = await Promise.allSettled([memory.started(startedEvent())])
      expect(ours).toEqual((await Promise.allSettled([audit.started(startedEvent())]))[0])
    },
  )

  it('fails the next events on demand, in either mode', async () => {
    const diagnostics = new ExecDiagnostics()
    const open = new MemoryAudit(quiet, diagnostics)
    open.failNext()
    expect(await open.started(startedEvent())).toBe('failed')
    expect(await open.started(startedEvent({ pid: 2 }))).toBe('durable')
    const closed = new MemoryAudit({ ...quiet, failureMode: 'closed' }, diagnostics)
    closed.failNext({ count: 2, stage: 'sync', errno: 'EIO' })
    for (let i = 0; i < 2; i++) {
      await expect(closed.started(startedEvent())).rejects.toMatchObject({
        code: 'AUDIT_SYNC_FAILED',
        cause: { code: 'EIO' },
      })
    }
    expect(await closed.started(startedEvent({ pid: 3 }))).toBe('durable')
    expect([open.lines, closed.lines].flat().map((line) => `${line}\n`)).toEqual([
      startedLine(2),
      startedLine(3),
    ])
    expect(diagnostics.auditFailures).toBe(3)
    expect(closed.stats().events).toEqual({
      accepted: 3,
      byType: { request: 0, started: 3, warning: 0, exit: 0, denial: 0 },
      settled: 3,
      pending: 0,
      succeeded: 1,
      failed: 2,
      oldestPendingMs: 0,
      lastFailedAtMs: expect.any(Number),
    })
  })

  it('holds acknowledgements back until they are released, in their order', async () => {
    const audit = new MemoryAudit(quiet)
    const settled: number[] = []
    audit.hold()
    const all = [1, 2, 3].map((pid) =>
      audit.started(startedEvent({ pid })).then(() => settled.push(pid)),
    )
    const drained = audit.drain().then(() => settled.push(0))
    expect([audit.heldEvents, audit.drainSync(), audit.lines]).toEqual([3, false, []])
    audit.release(1)
    await all[0]
    expect([settled, audit.stats().events.pending]).toEqual([[1], 2])
    audit.release()
    await Promise.all([...all, drained])
    expect(settled).toEqual([1, 2, 3, 0])
    expect(await audit.started(startedEvent({ pid: 4 }))).toBe('durable')
    expect(audit.events.map((event) => (event.event === 'started' ? event.pid : 0))).toEqual([
      1, 2, 3, 4,
    ])
  })

  it('settles failed events in their order, even if they reject', async () => {
    const audit = new MemoryAudit({ ...quiet, failureMode: 'closed' })
    const settled: unknown[] = []
    audit.hold()
    audit.failNext()
    for (const pid of [1, 2]) {
      const note = (outcome: unknown) => settled.push([pid, codeOf(outcome) ?? outcome])
      audit.started(startedEvent({ pid })).then(note, note)
    }
    audit.release()
    await audit.drain()
    expect(settled).toEqual([
      [1, 'AUDIT_WRITE_FAILED'],
      [2, 'durable'],
    ])
  })

  it('refuses what is recorded from within another event, as the real writer does', async () => {
    const inner: Promise<unknown>[] = []
    const audit: MemoryAudit = new MemoryAudit({
      ...quiet,
      redact: (argv) => {
        inner.push(audit.started(startedEvent()), audit.reopen())
        return argv
      },
    })
    expect(await audit.request(requestEvent())).toBe('durable')
    expect(await Promise.all(inner)).toEqual(['failed', 'failed'])
    expect(audit.failed.map(({ error }) => codeOf(error))).toEqual(['AUDIT_INVALID_EVENT'])
    expect(audit.stats().events).toMatchObject({ accepted: 1, succeeded: 1, failed: 2 })
    expect(await audit.request(requestEvent({ argv: [] }))).toBe('durable')
  })

  it('refuses what an async hook records while an event is, and keeps the order of the calls', async () => {
    const audit: MemoryAudit = new MemoryAudit(quiet)
    const inner: Promise<unknown>[] = []
    let left = 1
    const record = () => left-- > 0 && inner.push(audit.started(startedEvent({ pid: 9 })))
    const init = createHook({ init: (_, type) => type === 'PROMISE' && record() }).enable()
    const outer = audit.started(startedEvent({ pid: 1 }))
    init.disable()
    expect(await Promise.all([outer, ...inner])).toEqual(['durable', 'failed'])
    expect(audit.failed.map(({ error }) => codeOf(error))).toEqual(['AUDIT_INVALID_EVENT'])

    audit.hold()
    const held = [2, 3].map((pid) => audit.started(startedEvent({ pid })))
    left = 1
    const resolve = createHook({ promiseResolve: record }).enable()
    audit.release()
    resolve.disable()
    expect(await Promise.all([...held, ...inner.slice(1)])).toEqual(Array(3).fill('durable'))
    expect(audit.lines).toEqual([1, 2, 3, 9].map((pid) => startedLine(pid).trimEnd()))
  })

  it('stands for an ExecAudit in a type, and is closed like one', async () => {
    await using audit: AuditTrail = new MemoryAudit(quiet)
    expect(await audit.reopen()).toBe('durable')
    expect([audit.drainSync(0), audit.tasklistId]).toEqual([true, undefined])
    expect(() => new MemoryAudit({ clock: 5 } as object)).toThrow(
      'options.clock: expected a function',
    )
    await audit.close()
    expect(await audit.started(startedEvent())).toBe('failed')
  })

  it('waits for a command under way when it is closed, takes its events, and no others', async () => {
    const audit = new MemoryAudit(quiet)
    let end: () => void = () => undefined
    const until = new Promise<void>((resolve) => {
      end = resolve
    })
    const run = runAudited(audit, { ...ASKED, argv: ['sleep'], spawner: () => ({ until }) })
    await turn()
    let isClosed = false
    const closed = audit.close().then(() => {
      isClosed = true
    })
    expect(await audit.started(startedEvent())).toBe('failed')
    await turn()
    expect([isClosed, audit.stats().state]).toEqual([false, 'closed'])
    end()
    expect((await run).trail.map(({ event, outcome }) => [event, outcome])).toEqual([
      ['request', 'durable'],
      ['started', 'durable'],
      ['exit', 'durable'],
    ])
    await closed
    expect(audit.events.map(({ event }) => event)).toEqual(['request', 'started', 'exit'])
    expect((await runAudited(audit, { ...ASKED, argv: ['true'] })).trail[0]?.outcome).toBe('failed')
  })

  it('prints no warning if it is to be quiet, and counts them all the same', async () => {
    const print = jest.spyOn(process, 'emitWarning').mockReturnValue()
    for (const isQuiet of [true, false]) {
      const audit = new MemoryAudit({ quiet: isQuiet })
      audit.failNext()
      expect(await audit.started(startedEvent())).toBe('failed')
      expect(audit.stats().failures.write).toBe(1)
      await turn()
      expect(print).toHaveBeenCalledTimes(isQuiet ? 0 : 1)
    }
    print.mockRestore()
  })
})
