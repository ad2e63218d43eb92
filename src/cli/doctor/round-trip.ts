import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeOf } from '../../base/describe'
import { ExecAudit, ExecDiagnostics } from '../../index'
import { eventMaker } from '../../toolkit/disk/audit-events'
import { summaryOf } from '../../toolkit/load/samples'
import { formatMs } from '../../toolkit/text/time'
import { messageOf } from '../shared/errors'
import { quoteArgument } from '../shared/escape'
import { fail, ok, untried, type Verdict, warn } from './finding'
import { spaceRemedy, systemText } from './log-checks'
import { makeScratch, type Subject } from './subject'

/* The whole writer: its worker starts, and events become durable and are read back. */

const EVENT_BYTES = 350
/** There in most containers, even if all else is read-only. */
const MEMORY = '/dev/shm'
/** After the first, which waits for the worker to start. */
const EVENTS = 20

/** The observations of a writer. */
interface Trip {
  readonly firstMs: number
  readonly laterMs: number
  readonly drainer: 'worker' | 'caller'
  readonly linesBack: number
  /** The writer's warnings. */
  readonly warnings: readonly string[]
}

/** Whether a worker thread starts, and drains. It needs no disk, so it is tried wherever there is room. */
export async function checkWorker(subject: Subject): Promise<Verdict> {
  const scratch = scratchOrReason(subject)
  if ('reason' in scratch) return warn(`not tried: ${scratch.reason}`)
  try {
    const { drainer, firstMs, warnings } = await travel(scratch.folder, 'none', 0)
    if (drainer === 'worker') return ok(`the worker starts and drains, in ${formatMs(firstMs)}`)
    const why = warnings.join('; ')
    return fail(
      `the worker does not start, so the calling thread does its work: ${why}`,
      'npm ls x0x-exec-audit piscina sonic-boom # and with a bundler set the option workerFile',
    )
  } catch (thrown) {
    return fail(`the worker does not drain: ${messageOf(thrown)}`)
  } finally {
    rmSync(scratch.folder, { recursive: true, force: true })
  }
}

/** A folder away from the log's disk, which may hang, or the reason that there is none. */
function scratchOrReason(subject: Subject): { folder: string } | { reason: string } {
  const reasons: string[] = []
  const parents: [name: string, parent: () => string][] = [
    [tmpdir(), tmpdir],
    [MEMORY, () => MEMORY],
    ...(subject.hasFolder && subject.hasLog
      ? [[subject.folder, () => subject.scratch()] satisfies [string, () => string]]
      : []),
  ]
  for (const [name, parent] of parents) {
    try {
      return { folder: makeScratch(parent()) }
    } catch (thrown) {
      reasons.push(`${name} takes no file (${codeOf(thrown)})`)
    }
  }
  return { reason: reasons.join('; ') }
}

/** Whether events become durable beside the log, and are there when they are read. */
export async function checkRoundTrip(subject: Subject): Promise<Verdict> {
  const { hindrance } = subject
  if (hindrance !== undefined) return untried(hindrance)
  const remedyFor = (thrown: unknown) => spaceRemedy(codeOf(thrown), subject.folder)
  try {
    const trip = await travel(subject.scratch(), 'fdatasync', EVENTS)
    const { firstMs, laterMs, linesBack } = trip
    if (linesBack !== EVENTS + 1) {
      const counts = `${EVENTS + 1} events were durable, ${linesBack} were read back`
      return fail(counts, `x0x-exec-audit tune --dir ${quoteArgument(subject.folder)}`)
    }
    return ok(
      `an event is durable and read back in ${formatMs(laterMs)}, the first after ${formatMs(firstMs)}`,
    )
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown
    const isWriters = cause !== thrown
    return fail(isWriters ? messageOf(thrown) : systemText(thrown), remedyFor(cause))
  }
}

/** Sends events one after the other through a writer of its own. Rejects with its AuditError. */
async function travel(folder: string, method: 'fdatasync' | 'none', events: number): Promise<Trip> {
  const path = join(folder, 'exec.log')
  const warnings: string[] = []
  const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), {
    failureMode: 'closed',
    fsync: { method },
    // A disk that hangs must not hold this process.
    drainOnExit: false,
    logger: { warn: (_, message) => warnings.push(message) },
  })
  const next = eventMaker(EVENT_BYTES)
  const send = async () => {
    const startMs = performance.now()
    await audit.request(next())
    return performance.now() - startMs
  }
  try {
    const firstMs = await send()
    const laterMs: number[] = []
    for (let i = 0; i < events; i++) laterMs.push(await send())
    const { drainer } = audit.stats().worker
    await audit.close()
    const linesBack = readFileSync(path, 'utf8').split('\n').length - 1
    return {
      firstMs,
      laterMs: summaryOf(Float64Array.from(laterMs).sort()).p50,
      drainer,
      linesBack,
      warnings,
    }
  } finally {
    void audit.close()
  }
}
