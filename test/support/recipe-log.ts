import { appendFileSync } from 'node:fs'
import { ExecAudit, ExecDiagnostics } from '../../src'

/*
 * A small log in which everything happens once or twice, as the input of the recipes of docs/shipping.
 */

const START_MS = Date.UTC(2026, 10, 22, 3, 0, 0)
const STEP_MS = 1_234
const ALICE = { agentId: 'a1'.repeat(32), machineId: 'b2'.repeat(32) }
const MALLORY = { agentId: 'c3'.repeat(32), machineId: 'd4'.repeat(32) }
const LIMITS = { stdinBytes: 0, timeoutMs: 120_000 }
const OUTPUT = { stdoutBytes: 345, stderrBytes: 0, truncated: false }

/** The id of request `n`. */
const idOf = (n: number) => String(n).padStart(32, '0')

/** Writes the log, with a blank line and a fragment in its middle, as a crash leaves them. */
export async function writeSampleLog(path: string): Promise<void> {
  let now = START_MS
  const clock = () => {
    now += STEP_MS
    return now
  }
  const open = () => {
    const policy = { enabled: true, auditLogPath: path } as const
    return new ExecAudit(policy, new ExecDiagnostics(), {
      clock,
      logger: { warn: () => undefined },
    })
  }

  await using before = open()
  await before.request({ ...ALICE, ...LIMITS, requestId: idOf(1), argv: ['ls', '-la'] })
  await before.started({ requestId: idOf(1), pid: 4_201 })
  await before.exit({ ...OUTPUT, requestId: idOf(1), code: 0, durationMs: 12 })
  await before.request({ ...ALICE, ...LIMITS, requestId: idOf(2), argv: ['tar', 'xf', 'a b.tar'] })
  await before.started({ requestId: idOf(2), pid: 4_202 })
  await before.close()
  appendFileSync(path, '\n{"event":"exit","ts_unix')

  await using after = open()
  await after.exit({ ...OUTPUT, requestId: idOf(2), code: 2, durationMs: 90_500 })
  const rm = { ...MALLORY, argv: ['rm', '-rf', '/\u001b[2J'] }
  await after.denial({ ...rm, requestId: idOf(3), reason: 'argv_not_allowed' })
  await after.denial({ ...rm, requestId: idOf(4), reason: 'argv_not_allowed' })
  await after.denial({ ...MALLORY, requestId: idOf(5), argv: ['id'], reason: 'unverified_sender' })
  await after.request({ ...MALLORY, ...LIMITS, requestId: idOf(6), argv: ['sleep', '1000'] })
  await after.started({ requestId: idOf(6), pid: 4_206 })
  await after.warning({ requestId: idOf(6), kind: 'duration_approaching_cap' })
  await after.exit({ ...OUTPUT, requestId: idOf(6), signal: 'SIGKILL', durationMs: 120_000 })
  await after.request({ ...ALICE, ...LIMITS, requestId: idOf(7), argv: ['make', 'all'] })
  await after.started({ requestId: idOf(7), pid: 4_207 })
  await after.request({ ...ALICE, ...LIMITS, requestId: idOf(8), argv: ['nosuch'] })
  await after.denial({ ...ALICE, requestId: idOf(8), argv: ['nosuch'], reason: 'spawn_failed' })
  await after.request({ ...ALICE, ...LIMITS, requestId: idOf(9), argv: ['yes'] })
  const huge = { ...OUTPUT, stdoutBytes: 2n ** 53n + 1n, truncated: true }
  await after.exit({ ...huge, requestId: idOf(9), code: 1, durationMs: 7 })
}
