import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ExecAudit, ExecDiagnostics } from '../../index'
import { type Point, percentileCurve } from '../../toolkit/chart/chart'
import { eventMaker } from '../../toolkit/disk/audit-events'
import { type LoadResult, runClosedLoop, runOpenLoop } from '../../toolkit/load/open-loop'
import { type Summary, summaryOf } from '../../toolkit/load/samples'
import type { LoadName, Setting } from './settings'

/** A setting under a load. Times in milliseconds. */
export interface TrialPlan {
  readonly setting: Setting
  readonly load: LoadName
  /** Events per second; undefined for as many as possible. */
  readonly rate: number | undefined
  readonly eventBytes: number
  readonly durationMs: number
  readonly warmUpMs: number
  /** The rough time of one sync on this disk. */
  readonly syncMs: number
}

/** One row of the table. */
export interface Trial {
  readonly setting: Setting
  readonly load: LoadName
  /** The rate asked for, in events per second; null for as many as possible. */
  readonly rate: number | null
  readonly achieved: number
  /** Whether what came was done by the end, so that no queue was growing. */
  readonly keepsUp: boolean
  readonly eventsPerSync: number
  readonly syncsPerSecond: number
  /** The writer's own histogram of its syncs. */
  readonly syncP50Ms: number
  readonly callUs: number
  /** Acknowledgements, from the intended moment of each event. */
  readonly ackMs: Summary
  readonly ackCurve: readonly Point[]
  readonly ringBytesMax: number
  /** Null for as many as go: there nothing is due at a moment. */
  readonly loopDelayP99Ms: number | null
}

/** The rough time to sync what may be unsynced at the end of a trial. */
const BACKLOG_MS = 300
const IN_FLIGHT_MIN = 64
const IN_FLIGHT_MAX = 16_384
/** The number of events in flight under the load of as many as possible. */
export const MOST_IN_FLIGHT = 1_024
/** A backlog of so few is no queue that grows. */
const FEW_EVENTS = 16
/** How far behind the last events may come, beyond one group and its sync. */
const SLACK_SHARE = 0.05
const SLACK_MS = 20

/** Puts a fresh writer under the load. Rejects with the AuditError of a disk that fails. */
export async function runTrial(plan: TrialPlan, dir: string, signal: AbortSignal): Promise<Trial> {
  const path = join(dir, 'trial.log')
  const { setting, rate, durationMs, warmUpMs } = plan
  const { maxEvents, maxDelayMs } = setting
  const audit = new ExecAudit({ enabled: true, auditLogPath: path }, new ExecDiagnostics(), {
    fsync: { maxEvents, maxDelayMs },
    failureMode: 'closed',
    // An interrupted run is not worth the wait, and its file is about to be removed.
    drainOnExit: false,
    // The rejection reports it.
    logger: { warn: () => undefined },
  })
  const nextEvent = eventMaker(plan.eventBytes)
  const send = () => audit.request(nextEvent())
  const maxInFlight = inFlightFor(plan)
  try {
    const many = Math.min(maxInFlight, IN_FLIGHT_MIN)
    await runClosedLoop({ send, durationMs: warmUpMs, maxInFlight: many, signal })
    const before = audit.stats()
    const load = { send, durationMs, maxInFlight, signal }
    const found =
      rate === undefined
        ? await runClosedLoop({ ...load, maxInFlight: Math.min(maxInFlight, MOST_IN_FLIGHT) })
        : await runOpenLoop(rate, load)
    const after = audit.stats()
    const syncs = after.syncs.count - before.syncs.count
    return {
      ...rowOf(plan, found, syncs),
      syncP50Ms: after.syncs.durationNs.p50 / 1e6,
      ringBytesMax: after.ring.usedBytesMax,
    }
  } finally {
    await audit.close()
    rmSync(path, { force: true })
  }
}

/** So few that a disk which falls behind has caught up soon after the end. */
function inFlightFor({ setting, syncMs }: TrialPlan): number {
  const groups = Math.ceil(BACKLOG_MS / (syncMs + setting.maxDelayMs))
  const events = groups * (setting.maxEvents ?? MOST_IN_FLIGHT)
  return Math.min(IN_FLIGHT_MAX, Math.max(IN_FLIGHT_MIN, events))
}

function rowOf(plan: TrialPlan, found: LoadResult, syncs: number) {
  const { setting, load, rate, durationMs, syncMs } = plan
  const seconds = found.elapsedMs / 1_000
  const isDone = found.done === found.intended
  const slackMs = SLACK_MS + 2 * (syncMs + setting.maxDelayMs) + durationMs * SLACK_SHARE
  const isSoon = found.elapsedMs <= durationMs + slackMs
  return {
    setting,
    load,
    rate: rate ?? null,
    achieved: found.done / seconds,
    keepsUp: rate === undefined || (isDone && (isSoon || found.backlog <= FEW_EVENTS)),
    eventsPerSync: found.done / Math.max(1, syncs),
    syncsPerSecond: syncs / seconds,
    callUs: found.callNs / 1_000,
    ackMs: summaryOf(found.latenciesMs),
    ackCurve: percentileCurve(found.latenciesMs),
    loopDelayP99Ms: rate === undefined ? null : summaryOf(found.latenessMs).p99,
  }
}
