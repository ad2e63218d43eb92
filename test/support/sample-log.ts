import { ExecAudit, ExecDiagnostics } from '../../src'
import { AGENT_ID, exitEvent, requestEvent } from './events'

/** A request's id, made of two repeated digits. */
export const idOf = (byte: string) => byte.repeat(16)
/** The agent of the second request. */
export const OTHER_AGENT = 'c3'.repeat(32)
/** 2026-11-22T21:01:02.985Z. */
export const SAMPLE_START_MS = 1_795_381_262_985
/** A hostile argument that attacks the terminal. */
const HOSTILE = '\x1b[31mred\u202e\n2026-01-01 fake'

/** Writes a small log by the real writer: a success, a kill by signal, a denial and an open request. */
export async function writeSampleLog(path: string): Promise<void> {
  let now = SAMPLE_START_MS
  const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), {
    clock: () => now,
    failureMode: 'closed',
  })
  const [first, second, third, fourth] = ['01', '02', '04', '12'].map(idOf)
  const at = (ms: number) => {
    now = SAMPLE_START_MS + ms
  }
  if (!first || !second || !third || !fourth) throw new Error('four ids')
  const machineId = 'b2'.repeat(32)
  const recorded = [audit.request(requestEvent({ requestId: first, argv: ['ls', 'x y', "it's"] }))]
  at(17)
  recorded.push(audit.started({ requestId: first, pid: 77 }))
  at(1_834)
  recorded.push(audit.warning({ requestId: first, kind: 'stdout_cap_hit', bytes: 1_048_576 }))
  at(1_851)
  recorded.push(
    audit.exit(exitEvent({ requestId: first, stdoutBytes: 2n ** 63n + 1n, truncated: true })),
  )
  at(3_600_000)
  recorded.push(
    audit.request(
      requestEvent({
        requestId: second,
        agentId: OTHER_AGENT,
        argv: ['echo', HOSTILE, '日本', ''],
        matchedAcl: '=1+1',
        stdinBytes: 5,
      }),
    ),
  )
  recorded.push(audit.exit(exitEvent({ requestId: second, code: null, signal: 9 })))
  recorded.push(
    audit.denial({
      ...{ requestId: third, agentId: AGENT_ID, machineId },
      ...{ argv: ['rm', '-rf', '/'], reason: 'argv_not_allowed' },
    }),
  )
  at(7_200_000)
  recorded.push(audit.request(requestEvent({ requestId: fourth, argv: ['sleep', '9'] })))
  await Promise.all(recorded)
  await audit.close()
}
