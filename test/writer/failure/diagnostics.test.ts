import { mkdirSync } from 'node:fs'
import { type AuditFailure, ExecAudit, ExecDiagnostics } from '../../../src'
import { runChild } from '../../support/children/run-child'
import { startedEvent } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { itWithStrace, strace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'

const NONE = { folder: 0, encode: 0, open: 0, write: 0, sync: 0, closed: 0, full: 0 }

const FAIL_THREE_WAYS = `
const diagnostics = new ExecDiagnostics()
const audit = new ExecAudit({ enabled: true, auditLogPath: path }, diagnostics, { logger: { warn() {} } })
const main = async () => {
  for (const pid of [0, 1, 2, -1]) await audit.started({ requestId, pid })
  await audit.close()
  await audit.started({ requestId, pid: 4 })
  await audit.started({ requestId, pid: 5 })
  console.log(JSON.stringify(diagnostics))
}
main()
`

const dir = useTempDir()

describe('the diagnostics', () => {
  it('have counted nothing at first', () => {
    expect(new ExecDiagnostics().snapshot()).toEqual({
      auditFailures: 0,
      auditFailuresByStage: NONE,
      lastAuditFailure: null,
    })
  })

  itWithStrace('count failures by stage, and serialize', async () => {
    const path = dir.path('exec.log')
    const end = await runChild(FAIL_THREE_WAYS, [path], strace(path, 'fdatasync:error=EIO:when=2'))
    const { lastAuditFailure, ...counts } = JSON.parse(end.stdout)
    expect(counts).toEqual({
      auditFailures: 4,
      auditFailuresByStage: { ...NONE, sync: 1, encode: 1, closed: 2 },
    })
    const { at, ...last } = lastAuditFailure
    expect(last).toEqual({
      stage: 'closed',
      code: 'AUDIT_CLOSED',
      cause: null,
      message: 'this ExecAudit is closed; make a new one',
      path,
    })
    expect(new Date(at).toISOString()).toBe(at)
  })

  it("know the last failure's stage, code, the kernel's error, and when it was", async () => {
    const path = dir.path('exec.log')
    mkdirSync(path)
    const { audit, diagnostics } = openAudit(path)
    const before = Date.now()
    await audit.started(startedEvent())
    const last = diagnostics.lastAuditFailure
    expect(last).toEqual({
      stage: 'open',
      code: 'AUDIT_OPEN_FAILED',
      cause: 'EISDIR',
      message: expect.stringMatching(`^cannot open the log ${path}: EISDIR`),
      path,
      at: expect.any(String),
    })
    const at = Date.parse(last?.at ?? '')
    expect(at).toBeGreaterThanOrEqual(before)
    expect(at).toBeLessThanOrEqual(Date.now())
    expect(audit.stats().events.lastFailedAtMs).toBeGreaterThanOrEqual(before)

    await audit.started({ requestId: '', pid: 1 })
    expect(diagnostics.snapshot()).toEqual({
      auditFailures: 2,
      auditFailuresByStage: { ...NONE, open: 1, encode: 1 },
      lastAuditFailure: expect.objectContaining({ stage: 'encode', code: 'AUDIT_INVALID_EVENT' }),
    })
  })

  it('are shared by several audits, and say which log it was', async () => {
    const diagnostics = new ExecDiagnostics()
    for (const name of ['a.log', 'b.log']) {
      const policy = { enabled: true, auditLogPath: dir.path(name) } as const
      const audit = new ExecAudit(policy, diagnostics, { logger: { warn() {} } })
      await audit.close()
      await audit.started(startedEvent())
      expect(diagnostics.lastAuditFailure?.path).toBe(dir.path(name))
    }
    expect(diagnostics.auditFailures).toBe(2)
  })

  it('count what the gateway records itself, in no stage, and keep what was known', () => {
    const diagnostics = new ExecDiagnostics()
    diagnostics.recordAuditFailure({ stage: 'full', error: new Error('no room'), path: '/x' })
    diagnostics.recordAuditFailure()
    expect(diagnostics.snapshot()).toEqual({
      auditFailures: 2,
      auditFailuresByStage: { ...NONE, full: 1 },
      lastAuditFailure: expect.objectContaining({ code: null, message: 'no room' }),
    })
  })

  it('may be any object that counts: each failure comes with its stage, error and path', async () => {
    const path = dir.path('exec.log')
    mkdirSync(path)
    const failures: (AuditFailure | undefined)[] = []
    const recorder = { recordAuditFailure: (failure?: AuditFailure) => failures.push(failure) }
    let counted = 0
    const counter = { recordAuditFailure: () => counted++ }
    const options = { failureMode: 'closed', logger: { warn() {} } } as const
    for (const diagnostics of [recorder, counter]) {
      const audit = new ExecAudit({ enabled: true, auditLogPath: path }, diagnostics, options)
      const error: unknown = await audit.started(startedEvent()).catch((thrown) => thrown)
      if (diagnostics === recorder) expect(failures).toEqual([{ stage: 'open', error, path }])
      await audit.close()
    }
    expect(counted).toBe(1)
  })
})
