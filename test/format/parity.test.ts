import { existsSync, readFileSync } from 'node:fs'
import { ExecAudit, ExecDiagnostics, type ExecPolicy } from '../../src'
import {
  AGENT_ID,
  denialEvent,
  exitEvent,
  MACHINE_ID,
  REQUEST_ID,
  requestEvent,
  startedEvent,
  startedLines,
  warningEvent,
} from '../support/events'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'

const REQUEST_LINE = `{"event":"request","ts_unix_ms":0,"request_id":"${REQUEST_ID}","agent_id":"${AGENT_ID}","machine_id":"${MACHINE_ID}","argv":["ls","-la"],"matched_acl":"rule-1","stdin_bytes":0,"timeout_ms":30000}\n`
const STARTED_LINE = `{"event":"started","ts_unix_ms":0,"request_id":"${REQUEST_ID}","pid":4242}\n`
const WARNING_LINE = `{"event":"warning","ts_unix_ms":0,"request_id":"${REQUEST_ID}","kind":"stdout_cap_hit","bytes":1024}\n`
const EXIT_LINE = `{"event":"exit","ts_unix_ms":0,"request_id":"${REQUEST_ID}","code":0,"signal":null,"duration_ms":12,"stdout_bytes":34,"stderr_bytes":56,"truncated":false}\n`
const DENIAL_LINE = `{"event":"denial","ts_unix_ms":0,"request_id":"${REQUEST_ID}","agent_id":"${AGENT_ID}","machine_id":"${MACHINE_ID}","argv":["rm","-rf","/"],"reason":"argv_not_allowed"}\n`

// The reference's own tests, under their own names.
describe('parity with the reference', () => {
  const dir = useTempDir()
  const disabled: ExecPolicy = { enabled: false, reason: 'no policy file' }

  it('disabled_policy_does_not_write', async () => {
    const diagnostics = new ExecDiagnostics()
    const audit = new ExecAudit(disabled, diagnostics)
    expect(await audit.request(requestEvent())).toBe('disabled')
    expect(await audit.started(startedEvent())).toBe('disabled')
    expect(await audit.warning(warningEvent())).toBe('disabled')
    expect(await audit.exit(exitEvent())).toBe('disabled')
    expect(await audit.denial(denialEvent())).toBe('disabled')
    expect(await audit.reopen()).toBe('disabled')
    expect(audit.drainSync()).toBe(true)
    expect(audit.stats().events.accepted).toBe(0)
    await audit.drain()
    await audit.close()
    expect(diagnostics.auditFailures).toBe(0)
    expect(existsSync(dir.path('exec.log'))).toBe(false)
  })

  it('enabled_policy_writes_request_event', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    expect(await audit.request(requestEvent())).toBe('durable')
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(REQUEST_LINE)
  })

  it('enabled_policy_writes_all_event_types', async () => {
    const { audit, diagnostics } = openAudit(dir.path('exec.log'))
    const outcomes = await Promise.all([
      audit.request(requestEvent()),
      audit.started(startedEvent()),
      audit.warning(warningEvent()),
      audit.exit(exitEvent()),
      audit.denial(denialEvent()),
    ])
    expect(outcomes).toEqual(['durable', 'durable', 'durable', 'durable', 'durable'])
    const expected = REQUEST_LINE + STARTED_LINE + WARNING_LINE + EXIT_LINE + DENIAL_LINE
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(expected)
    expect(diagnostics.auditFailures).toBe(0)
  })

  it('enabled_policy_writes_denial_event', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    expect(await audit.denial(denialEvent())).toBe('durable')
    expect(readFileSync(dir.path('exec.log'), 'utf8')).toBe(DENIAL_LINE)
  })

  it('audit_creates_directory_automatically', async () => {
    const path = dir.path('var/log/x0x/exec.log')
    const { audit } = openAudit(path)
    expect(await audit.started(startedEvent())).toBe('durable')
    expect(readFileSync(path, 'utf8')).toBe(STARTED_LINE)
  })

  it('multiple_events_append_to_same_file', async () => {
    const path = dir.path('exec.log')
    const first = openAudit(path)
    for (let pid = 0; pid < 3; pid++) await first.audit.started(startedEvent({ pid }))
    await first.audit.close()
    const second = openAudit(path)
    for (let pid = 3; pid < 5; pid++) await second.audit.started(startedEvent({ pid }))
    expect(readFileSync(path, 'utf8')).toBe(startedLines(5))
  })

  it('now_unix_ms_returns_reasonable_value', async () => {
    const path = dir.path('exec.log')
    const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics())
    const before = Date.now()
    await audit.started(startedEvent())
    await audit.close()
    const line: { ts_unix_ms: number } = JSON.parse(readFileSync(path, 'utf8'))
    expect(line.ts_unix_ms).toBeGreaterThanOrEqual(before)
    expect(line.ts_unix_ms).toBeLessThanOrEqual(Date.now())
  })

  it('a disabled policy has no tasklist id, an enabled one carries it', async () => {
    const auditLogPath = dir.path('exec.log')
    const withId = new ExecAudit(
      { enabled: true, auditLogPath, auditTasklistId: 'tasks-7' },
      new ExecDiagnostics(),
    )
    const withNull = new ExecAudit(
      { enabled: true, auditLogPath, auditTasklistId: null },
      new ExecDiagnostics(),
    )
    expect(new ExecAudit(disabled, new ExecDiagnostics()).tasklistId).toBeUndefined()
    expect(withId.tasklistId).toBe('tasks-7')
    expect(withNull.tasklistId).toBeUndefined()
    await Promise.all([withId.close(), withNull.close()])
  })
})
