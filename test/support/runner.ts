import { readFileSync } from 'node:fs'
import { type AuditedRun, type ExecAuditOptions, type RunOptions, runAudited } from '../../src'
import { AGENT_ID, MACHINE_ID, REQUEST_ID } from './events'
import { openAudit } from './open-audit'

/** The agent that asks, with a fixed request id. */
export const ASKED = { requestId: REQUEST_ID, agentId: AGENT_ID, machineId: MACHINE_ID } as const

/** A runner whose trail goes to a real log. */
export function openRunner(path: string, auditOptions: ExecAuditOptions = {}) {
  const opened = openAudit(path, { failureMode: 'closed', ...auditOptions })
  return {
    ...opened,
    run: (argv: readonly string[], options: Partial<RunOptions> = {}): Promise<AuditedRun> =>
      runAudited(opened.audit, { ...ASKED, argv, ...options }),
    trail: () => trailOf(path),
  }
}

/** An argv that runs a script with this Node.js. */
export const node = (script: string, ...args: readonly string[]) => [
  process.execPath,
  '-e',
  script,
  ...args,
]

/** A log's events, without the ids and the time, and with the values replaced that differ from run to run. */
export function trailOf(path: string): Record<string, unknown>[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  if (lines.pop() !== '') throw new Error('the log ends within a line')
  return lines.map((line) => {
    const {
      ts_unix_ms: _time,
      request_id: _request,
      agent_id: _agent,
      machine_id: _machine,
      ...event
    }: Record<string, unknown> = JSON.parse(line)
    if (typeof event.pid === 'number') event.pid = 'PID'
    if (typeof event.duration_ms === 'number') event.duration_ms = 'MS'
    return event
  })
}

export const requested = (argv: readonly string[], over: object = {}) => ({
  event: 'request',
  argv,
  matched_acl: null,
  stdin_bytes: 0,
  timeout_ms: 300_000,
  ...over,
})

export const started = { event: 'started', pid: 'PID' }

export const warned = (kind: string, bytes: number | null = null) => ({
  event: 'warning',
  kind,
  bytes,
})

export const exited = (over: object = {}) => ({
  event: 'exit',
  code: 0,
  signal: null,
  duration_ms: 'MS',
  stdout_bytes: 0,
  stderr_bytes: 0,
  truncated: false,
  ...over,
})

export const denied = (argv: readonly string[], reason: string) => ({
  event: 'denial',
  argv,
  reason,
})

/** Whether a process exists and is no zombie. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z'
  } catch {
    return false
  }
}
