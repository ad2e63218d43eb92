import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { TYPE_OFFSET } from '../../../src/writer/ring/record-header'
import { runChild } from '../../support/children/run-child'
import { CATCH_RINGS } from '../../support/children/worker-scripts'
import { startedLine } from '../../support/events'
import { itWithStrace, strace } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'

const RING_BYTES = 1024

interface Fault {
  readonly stage: string
  readonly code: string
  /** The kernel's error behind it. */
  readonly errno: string
  /** The error as strace's injection, into the calls on the log or its folder. */
  readonly injection: string
  /** Whether the line of the failed event is in the file, though it is not known to be durable. */
  readonly isWritten: boolean
}

/** The stages at which the kernel can fail an event. Each fails the first event of its log, once. */
const FAULTS: readonly Fault[] = [
  {
    stage: 'folder',
    code: 'AUDIT_FOLDER_FAILED',
    errno: 'EACCES',
    injection: 'mkdir:error=EACCES:when=1',
    isWritten: false,
  },
  {
    stage: 'open',
    code: 'AUDIT_OPEN_FAILED',
    errno: 'EMFILE',
    injection: 'openat:error=EMFILE:when=1',
    isWritten: false,
  },
  {
    stage: 'write',
    code: 'AUDIT_WRITE_FAILED',
    errno: 'ENOSPC',
    injection: 'write:error=ENOSPC:when=1',
    isWritten: false,
  },
  {
    stage: 'sync',
    code: 'AUDIT_SYNC_FAILED',
    errno: 'EIO',
    injection: 'fdatasync:error=EIO:when=1',
    isWritten: true,
  },
]

/** The report on the second event, if the file failed the first. */
const RECOVERED = ['AUDIT_RECOVERED', null, null]

/** Records two events, the second after the first is settled, and returns all reports on them. */
const TWO_EVENTS = `
const reported = { outcomes: [], recorded: [], warned: [] }
const recorder = {
  recordAuditFailure: ({ stage, error }) => reported.recorded.push([stage, error.code]),
}
const logger = { warn: ({ code, stage, err }) => reported.warned.push([code, stage, err.cause?.code]) }
const both = async (failureMode, spoiling = (call) => call()) => {
  const options = { failureMode, logger, clock: () => 0, ringBytes: ${RING_BYTES} }
  const audit = new ExecAudit({ enabled: true, auditLogPath: path }, recorder, options)
  for (const pid of [0, 1]) {
    const call = () => audit.started({ requestId, pid })
    const outcome = pid === 0 ? spoiling(call) : call()
    reported.outcomes.push(await outcome.catch(({ name, code, cause }) => [name, code, cause?.code]))
  }
  const { failures } = audit.stats()
  const failed = Object.entries(failures).filter(([, count]) => count > 0)
  console.log(JSON.stringify({ ...reported, failed }))
}
`

describe.each(['open', 'closed'])('an error, in %s mode,', (failureMode) => {
  const dir = useTempDir()
  /** The report on a first event that failed like this, and a second one that did not. */
  const toldOf = (stage: string, code: string, errno?: string) => {
    const cause = errno === undefined ? [null] : [errno]
    return {
      outcomes: [failureMode === 'open' ? 'failed' : ['AuditError', code, ...cause], 'durable'],
      recorded: [[stage, code]],
      warned: [[code, stage, ...cause], ...(stage === 'encode' ? [] : [RECOVERED])],
      failed: [[stage, 1]],
    }
  }

  itWithStrace.each(FAULTS)(
    'at the stage $stage fails its event alone, is reported once, and is over with it',
    async ({ stage, code, errno, injection, isWritten }) => {
      const path = dir.path('logs/exec.log')
      const end = await runChild(
        `${TWO_EVENTS} both('${failureMode}')`,
        [path],
        strace(stage === 'folder' ? dirname(path) : path, injection),
      )
      expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
      expect(JSON.parse(end.stdout)).toEqual(toldOf(stage, code, errno))
      expect(readFileSync(path, 'utf8')).toBe(`${isWritten ? startedLine(0) : ''}${startedLine(1)}`)
    },
  )

  it('at the stage encode fails its event alone, is reported once, and is over with it', async () => {
    const path = dir.path('exec.log')
    // The record's type is made an unknown one.
    const end = await runChild(
      `${TWO_EVENTS} both('${failureMode}', (call) => whileNobodyDrains(ringOf(${RING_BYTES}), () => {
         const outcome = call()
         const ring = new Uint8Array(ringOf(${RING_BYTES}))
         ring[ring.length - ${RING_BYTES} + ${TYPE_OFFSET}] = 99
         return outcome
       }))`,
      [path],
      [],
      CATCH_RINGS,
    )
    expect({ code: end.code, stderr: end.stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(end.stdout)).toEqual(toldOf('encode', 'AUDIT_ENCODE_FAILED'))
    expect(existsSync(path) ? readFileSync(path, 'utf8') : '').toBe(startedLine(1))
  })
})
