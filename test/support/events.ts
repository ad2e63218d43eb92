import type { DenialEvent, ExitEvent, RequestEvent, StartedEvent, WarningEvent } from '../../src'

export const REQUEST_ID = '0123456789abcdef0123456789abcdef'
export const AGENT_ID = 'a1'.repeat(32)
export const MACHINE_ID = 'b2'.repeat(32)

export function requestEvent(overrides: Partial<RequestEvent> = {}): RequestEvent {
  return {
    requestId: REQUEST_ID,
    agentId: AGENT_ID,
    machineId: MACHINE_ID,
    argv: ['ls', '-la'],
    matchedAcl: 'rule-1',
    stdinBytes: 0,
    timeoutMs: 30_000,
    ...overrides,
  }
}

export function startedEvent(overrides: Partial<StartedEvent> = {}): StartedEvent {
  return { requestId: REQUEST_ID, pid: 4242, ...overrides }
}

export function warningEvent(overrides: Partial<WarningEvent> = {}): WarningEvent {
  return { requestId: REQUEST_ID, kind: 'stdout_cap_hit', bytes: 1024, ...overrides }
}

export function exitEvent(overrides: Partial<ExitEvent> = {}): ExitEvent {
  return {
    requestId: REQUEST_ID,
    code: 0,
    signal: null,
    durationMs: 12,
    stdoutBytes: 34,
    stderrBytes: 56,
    truncated: false,
    ...overrides,
  }
}

export function denialEvent(overrides: Partial<DenialEvent> = {}): DenialEvent {
  return {
    requestId: REQUEST_ID,
    agentId: AGENT_ID,
    machineId: MACHINE_ID,
    argv: ['rm', '-rf', '/'],
    reason: 'argv_not_allowed',
    ...overrides,
  }
}

/** The line of {@link startedEvent} at time 0 with this pid, newline included. */
export function startedLine(pid: number): string {
  return `{"event":"started","ts_unix_ms":0,"request_id":"${REQUEST_ID}","pid":${pid}}\n`
}

/** The lines of the pids from 0 up to `count`. */
export function startedLines(count: number): string {
  return Array.from({ length: count }, (_, pid) => startedLine(pid)).join('')
}

/** One of each, by its method. */
export const VALID_EVENTS = {
  request: requestEvent(),
  started: startedEvent(),
  warning: warningEvent(),
  exit: exitEvent(),
  denial: denialEvent(),
} as const
