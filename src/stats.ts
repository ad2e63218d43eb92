import type { RecordableHistogram } from 'node:perf_hooks'
import type { FailureKind } from './failure-reporter'

/** A histogram's figures; all 0 while it is empty. Their unit is that of what was recorded. */
export interface HistogramSummary {
  /** How many values were recorded. */
  count: number
  /** The smallest. */
  min: number
  /** The arithmetic mean. */
  mean: number
  /** The median. */
  p50: number
  /** 90 % are at or below it. */
  p90: number
  /** 99 % are at or below it. */
  p99: number
  /** 99.9 % are at or below it. */
  p999: number
  /** The largest. */
  max: number
}

/** What {@link ExecAudit.stats} returns: counts since construction, and what is in flight now. */
export interface AuditStats {
  /** Events by how far they have come. */
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
  /** Use of the ring, in bytes. */
  ring: {
    /** How much it holds. */
    capacityBytes: number
    /** How much of it is taken now. */
    usedBytes: number
    /** The most that was taken. */
    usedBytesMax: number
  }
  /** Events outside the ring: waiting for room, or too large for it. */
  waiting: {
    /** How many wait now. */
    events: number
    /** Bytes that they take now. */
    bytes: number
    /** The most bytes that they took. */
    bytesMax: number
    /** The option `maxWaitingBytes`. */
    limitBytes: number
  }
  /** Groups: what was written and synced together. */
  groups: {
    /** Groups committed. */
    count: number
    /** Bytes of their lines. */
    bytes: number
    /** Events a group. */
    events: HistogramSummary
    /** How often a group was tried again after a failure. */
    retries: number
  }
  /** Syncs that returned. */
  syncs: {
    /** How many. */
    count: number
    /** How long each took, in nanoseconds. */
    durationNs: HistogramSummary
  }
  /** The log file. */
  file: {
    /** Absolute; undefined when the policy is disabled. */
    path: string | undefined
    /** How often it was opened. */
    opens: number
    /** Fragments that were found at its end and closed with a newline. */
    tornTails: number
  }
  /** Who drains the ring. */
  worker: {
    /** `'caller'` once the worker has been given up. */
    drainer: 'worker' | 'caller'
    /** Sessions that the worker was started for. */
    sessions: number
    /** Workers that died. */
    deaths: number
  }
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
