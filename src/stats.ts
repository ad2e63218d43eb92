import type { RecordableHistogram } from 'node:perf_hooks'
import type { FailureKind } from './failure-reporter'

/** A histogram's figures; all 0 while it is empty. */
export interface HistogramSummary {
  count: number
  min: number
  mean: number
  p50: number
  p90: number
  p99: number
  p999: number
  max: number
}

/** What {@link ExecAudit.stats} returns: counts since construction, and what is in flight now. */
export interface AuditStats {
  events: {
    /** Events that passed validation and found room. */
    accepted: number
    /** Of those: settled, with any outcome. */
    settled: number
    /** Of those: not settled yet. */
    pending: number
    /** Events whose outcome was `'durable'` (or `'written'`, with `fsync.method: 'none'`). */
    succeeded: number
    /** Events whose outcome was `'failed'`, or whose promise was rejected. */
    failed: number
  }
  /** Failed events by where: `encode` counts the caller's mistakes, `full` and `closed` refusals. */
  failures: Record<FailureKind, number>
  /** Bytes. */
  ring: { capacityBytes: number; usedBytes: number; usedBytesMax: number }
  /** Events outside the ring: waiting for room, or too large for it. */
  waiting: { events: number; bytes: number; bytesMax: number; limitBytes: number }
  /** Groups committed; `events` is the histogram of events a group. */
  groups: { count: number; bytes: number; events: HistogramSummary; retries: number }
  /** Syncs that returned; `durationNs` is their histogram in nanoseconds. */
  syncs: { count: number; durationNs: HistogramSummary }
  /** `path` is absolute; undefined when the policy is disabled. */
  file: { path: string | undefined; opens: number; tornTails: number }
  /** `drainer` is `'caller'` once the worker has been given up. */
  worker: { drainer: 'worker' | 'caller'; sessions: number; deaths: number }
}

function emptySummary(): HistogramSummary {
  return { count: 0, min: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }
}

/** The stats of a writer whose policy is disabled. */
export function disabledStats(): AuditStats {
  return {
    events: { accepted: 0, settled: 0, pending: 0, succeeded: 0, failed: 0 },
    failures: { folder: 0, encode: 0, open: 0, write: 0, sync: 0, closed: 0, full: 0 },
    ring: { capacityBytes: 0, usedBytes: 0, usedBytesMax: 0 },
    waiting: { events: 0, bytes: 0, bytesMax: 0, limitBytes: 0 },
    groups: { count: 0, bytes: 0, events: emptySummary(), retries: 0 },
    syncs: { count: 0, durationNs: emptySummary() },
    file: { path: undefined, opens: 0, tornTails: 0 },
    worker: { drainer: 'worker', sessions: 0, deaths: 0 },
  }
}

/** Summarizes a histogram. */
export function summarize(histogram: RecordableHistogram): HistogramSummary {
  if (histogram.count === 0) return emptySummary()
  return {
    count: histogram.count,
    min: histogram.min,
    mean: histogram.mean,
    p50: histogram.percentile(50),
    p90: histogram.percentile(90),
    p99: histogram.percentile(99),
    p999: histogram.percentile(99.9),
    max: histogram.max,
  }
}
