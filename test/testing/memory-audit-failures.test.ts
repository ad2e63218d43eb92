import { writeFileSync } from 'node:fs'
import { type AuditTrail, ExecAudit, ExecDiagnostics, type ExecPolicy } from '../../src'
import { MemoryAudit } from '../../src/testing'
import { denialEvent, exitEvent, requestEvent, startedEvent, startedLine } from '../support/events'
import { openAudit } from '../support/open-audit'
import { refusal } from '../support/refusal'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()
const quiet = { clock: () => 0, logger: { warn: () => undefined } }

/** What became of one call: its outcome, or what it was rejected with. */
async function settled(promise: Promise<unknown>): Promise<unknown> {
  const [result] = await Promise.allSettled([promise])
  return result
}

/** A command that is recorded from its request to its exit, and what came of each event. */
async function recordCommand(audit: AuditTrail): Promise<unknown[]> {
  return [
    await audit.request(requestEvent()),
    await audit.started(startedEvent()),
    await audit.exit(exitEvent()),
  ]
}

describe('MemoryAudit.failNext', () => {
  it.each(['open', 'closed'] as const)(
    'fails as the real writer does if the folder cannot be made, %s',
    async (failureMode) => {
      writeFileSync(dir.path('file'), '')
      const path = dir.path('file/sub/exec.log')
      const options = { ...quiet, failureMode }
      const { audit, diagnostics } = openAudit(path, options)
      const counted = new ExecDiagnostics()
      const policy = { enabled: true, auditLogPath: path } as const
      const memory = new MemoryAudit({ ...options, policy }, counted)
      memory.failNext({ stage: 'folder', errno: 'ENOTDIR' })
      const ours = await settled(memory.started(startedEvent()))
      expect(ours).toEqual(await settled(audit.started(startedEvent())))
      expect(counted.snapshot().lastAuditFailure).toEqual({
        ...diagnostics.lastAuditFailure,
        at: expect.any(String),
      })
      expect(memory.stats().failures).toEqual(audit.stats().failures)
      expect(memory.failed).toEqual([
        {
          event: 'started',
          line: startedLine(4242).trimEnd(),
          stage: 'folder',
          error: expect.objectContaining({ code: 'AUDIT_FOLDER_FAILED' }),
        },
      ])
    },
  )

  it.each([
    { onFull: 'fail' },
    { onFull: 'block', maxBlockMs: 0 },
    { onFull: 'wait', maxWaitingBytes: 0 },
  ] as const)('refuses as the real ring does when it is full, %j', async (full) => {
    const options = { ...quiet, ...full, ringBytes: 1_024, failureMode: 'closed' } as const
    const { audit, diagnostics } = openAudit(dir.path('exec.log'), options)
    const all: Promise<unknown>[] = []
    // In one turn, in which the worker cannot sync them all.
    for (let i = 0; i < 100_000 && diagnostics.auditFailures === 0; i++) {
      all.push(settled(audit.started(startedEvent())))
    }
    const memory = new MemoryAudit(options)
    memory.failNext({ stage: 'full' })
    memory.hold()
    // Settled at once, though the others are held: it was never accepted.
    const ours = await settled(memory.started(startedEvent()))
    expect(ours).toMatchObject({ reason: { code: 'AUDIT_RING_FULL' } })
    expect(ours).toEqual((await Promise.all(all)).at(-1))
    expect(memory.stats().failures).toEqual(audit.stats().failures)
    expect(memory.stats().events).toMatchObject({ accepted: 0, succeeded: 0, failed: 1 })
    expect(memory.failed).toMatchObject([{ stage: 'full', line: startedLine(4242).trimEnd() }])
  })

  it('refuses as a real audit that is closed meanwhile', async () => {
    const options = { ...quiet, failureMode: 'closed' } as const
    const { audit } = openAudit(dir.path('exec.log'), options)
    const memory = new MemoryAudit(options)
    memory.failNext({ stage: 'closed', event: 'exit' })
    await memory.started(startedEvent())
    await audit.close()
    const ours = await settled(memory.exit(exitEvent()))
    expect(ours).toEqual(await settled(audit.exit(exitEvent())))
    expect(memory.failed).toMatchObject([{ event: 'exit', line: undefined, stage: 'closed' }])
    expect(await memory.exit(exitEvent())).toBe('durable')
  })

  it('fails one kind of event, or several, and leaves the others alone', async () => {
    const audit = new MemoryAudit(quiet)
    audit.failNext({ event: 'exit' })
    expect(await recordCommand(audit)).toEqual(['durable', 'durable', 'failed'])
    expect(await recordCommand(audit)).toEqual(['durable', 'durable', 'durable'])
    audit.failNext({ event: ['started', 'exit'], count: 3 })
    expect(await recordCommand(audit)).toEqual(['durable', 'failed', 'failed'])
    expect(await recordCommand(audit)).toEqual(['durable', 'failed', 'durable'])
    expect(audit.failed.map(({ event }) => event)).toEqual(['exit', 'started', 'exit', 'started'])
  })

  it('keeps what several calls ask for, the first of them first, until the failures are cleared', async () => {
    const audit = new MemoryAudit({ ...quiet, failureMode: 'closed' })
    audit.failNext({ event: 'exit', stage: 'sync', errno: 'EIO' })
    audit.failNext({ count: 0, stage: 'open' })
    audit.failNext({ count: Number.POSITIVE_INFINITY })
    audit.failNext({ stage: 'encode' })
    for (let i = 0; i < 2; i++) await settled(audit.exit(exitEvent()))
    await settled(audit.denial(denialEvent()))
    audit.clearFailures()
    expect(await audit.exit(exitEvent())).toBe('durable')
    audit.failNext({ stage: 'encode' })
    await settled(audit.exit(exitEvent()))
    expect(audit.failed.map(({ error }) => Reflect.get(error, 'code'))).toEqual([
      'AUDIT_SYNC_FAILED',
      'AUDIT_WRITE_FAILED',
      'AUDIT_WRITE_FAILED',
      'AUDIT_ENCODE_FAILED',
    ])
    audit.clear()
    expect(audit.failed).toEqual([])
  })

  it('lets wrong events fail by themselves, seen but not counted', async () => {
    const audit = new MemoryAudit(quiet)
    audit.failNext()
    await audit.started(startedEvent({ pid: -1 }))
    await audit.started(startedEvent())
    expect(audit.failed).toMatchObject([
      { event: 'started', line: undefined, stage: 'encode', error: { field: 'pid' } },
      { event: 'started', line: startedLine(4242).trimEnd(), stage: 'write' },
    ])
  })

  it.each<[unknown, string]>([
    [null, 'TypeError: options: expected an object, got null'],
    [
      { evnt: 'exit' },
      'TypeError: options.evnt: unknown option; did you mean event? Known are event, count, stage, errno',
    ],
    [
      { event: 'exited' },
      'RangeError: options.event: expected one of request, started, warning, exit, denial, got "exited"',
    ],
    [{ event: [] }, 'RangeError: options.event: expected at least one name'],
    [
      { event: ['exit', undefined] },
      'TypeError: options.event: expected one of request, started, warning, exit, denial, got undefined',
    ],
    [
      { stage: 'bogus' },
      'RangeError: options.stage: expected one of folder, encode, open, write, sync, closed, full, got "bogus"',
    ],
    [
      { errno: 'ENOSP' },
      'RangeError: options.errno: expected the name of a system error such as ENOSPC (did you mean ENOSPC?), got "ENOSP"',
    ],
    [
      { errno: 28 },
      'RangeError: options.errno: expected the name of a system error such as ENOSPC, got the number 28',
    ],
    [
      { stage: 'full', errno: 'EIO' },
      'TypeError: options.errno: the kernel has no part in a failure at full',
    ],
    [
      { count: 1.5 },
      'RangeError: options.count: expected an integer from 0, or Infinity, got the number 1.5',
    ],
  ])('%j is refused: %s', async (options, message) => {
    const audit = new MemoryAudit(quiet)
    expect(refusal(() => Reflect.apply(audit.failNext, audit, [options]))).toBe(message)
    expect(await audit.started(startedEvent())).toBe('durable')
  })
})

describe('MemoryAudit', () => {
  it.each<ExecPolicy>([{ enabled: false, reason: 'exec_disabled' }, { enabled: false }])(
    'with the policy %j does nothing, as a real audit does',
    async (policy) => {
      const counted = new ExecDiagnostics()
      const memory = new MemoryAudit({ ...quiet, policy, failureMode: 'closed' }, counted)
      const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
      memory.failNext()
      memory.hold()
      const useOf = async (trail: AuditTrail) => [
        ...(await recordCommand(trail)),
        await trail.started(startedEvent({ pid: -1 })),
        await trail.reopen(),
        await trail.drain(),
        trail.drainSync(),
        await trail.close(),
        await trail.started(startedEvent()),
        trail.stats(),
        trail.tasklistId,
      ]
      expect(await useOf(memory)).toEqual(await useOf(audit))
      expect([memory.lines, memory.failed, counted.auditFailures]).toEqual([[], [], 0])
    },
  )

  it('has the tasklist of its policy', () => {
    const policy = { enabled: true, auditLogPath: 'x', auditTasklistId: 'tasks' } as const
    expect(new MemoryAudit({ policy }).tasklistId).toBe('tasks')
  })

  it('refuses what the real audit refuses', () => {
    const audit = new MemoryAudit(quiet)
    const construct = (...args: unknown[]) => refusal(() => Reflect.construct(MemoryAudit, args))
    expect([
      construct({ polcy: {} })?.split('?')[0],
      construct({ policy: { enabled: true, auditlogPath: 'x' } }),
      construct({}, {}),
      refusal(() => audit.drainSync(-1)),
      refusal(() => audit.release(Number.NaN)),
    ]).toEqual([
      'TypeError: options.polcy: unknown option; did you mean policy',
      'TypeError: policy.auditlogPath: unknown property; did you mean auditLogPath?',
      'TypeError: diagnostics: expected an object with recordAuditFailure(), got an object',
      'RangeError: timeoutMs: expected a number from 0, got the number -1',
      'RangeError: count: expected an integer from 0, or Infinity, got the number NaN',
    ])
  })
})
