import type { EventName } from '../format/events'
import { FailureCounts, type FailureKind } from './failure/failure-counts'
import { type AuditWarningCode, noWarnings } from './failure/warnings'
import { SYNC_LIMITS_NS } from './ring/counters'
import type { SyncMethod } from './ring/messages'

/** A histogram's figures, in the unit of the recorded values; all 0 while it is empty. */
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

/** Syncs that took at most `limitNs`, and longer than the limit of the bucket before. */
export interface SyncBucket {
  /** Nanoseconds; Infinity in the last bucket, which JSON turns into null. */
  limitNs: number
  /** How many, without those of the buckets below. */
  count: number
}

/**
 * The result of {@link ExecAudit.stats}: counts since construction, and the events in flight now. Plain
 * data without a bigint. Times are in milliseconds since 1970, null for never.
 */
export interface AuditStats {
  /** `closing` from the call of `close()` until it has resolved; `disabled` if the policy is. */
  state: 'open' | 'closing' | 'closed' | 'disabled'
  /** The option `failureMode`: with `'open'` commands run although their events fail. */
  failureMode: 'open' | 'closed'
  /** Milliseconds since construction. */
  uptimeMs: number
  /** Events by how far they have come. */
  events: {
    /** Events (and `reopen()`s) that passed validation and found room. */
    accepted: number
    /** The accepted events by method; a `reopen()` counts in none. */
    byType: Record<EventName, number>
    /** Accepted events that are settled, with any outcome. */
    settled: number
    /** Accepted events that are not settled yet. */
    pending: number
    /** Age of the event that is pending longest, by the audit's clock; 0 if none is. */
    oldestPendingMs: number
    /** Events whose outcome was `'durable'` (or `'written'`, with `fsync.method: 'none'`). */
    succeeded: number
    /** Events whose outcome was `'failed'`, or whose promise was rejected. */
    failed: number
    /** When an event failed last. */
    lastFailedAtMs: number | null
  }
  /** Failed events by stage: `encode` counts the caller's mistakes, `full` and `closed` refusals. */
  failures: Record<FailureKind, number>
  /** Warnings, which the logger gets. */
  warnings: {
    /** Warnings that are not one event's failure, those included that were held back from the logger. */
    byCode: Record<AuditWarningCode, number>
    /**
     * Warnings held back from the logger because it had just had others of the same text, or too many in
     * all; those of failed events included.
     */
    suppressed: number
  }
  /** Use of the ring, in bytes. */
  ring: {
    /** Its capacity: `ringBytes`, rounded up. */
    capacityBytes: number
    /** How much of it is in use now. */
    usedBytes: number
    /** The most that was in use at one time. */
    usedBytesMax: number
  }
  /** Events outside the ring: waiting for room, or too large for it. */
  waiting: {
    /** How many wait now. */
    events: number
    /** Bytes that they use now. */
    bytes: number
    /** The most bytes that they used at one time. */
    bytesMax: number
    /** The option `maxWaitingBytes`. */
    limitBytes: number
  }
  /** Groups: events that were written and synced together. */
  groups: {
    /** Groups that have their outcome, failed ones too. */
    count: number
    /** Bytes of the lines of the groups that succeeded. */
    bytes: number
    /** Events per group. */
    events: HistogramSummary
    /** Further attempts after a failure, within `retryForMs`. */
    retries: number
    /** When a group last succeeded. */
    lastSucceededAtMs: number | null
  }
  /** Syncs of the log that returned. */
  syncs: {
    /** The option `fsync.method`; with `'none'` the figures stay 0. */
    method: SyncMethod
    /** How many, including those of failed attempts that returned. */
    count: number
    /** Nanoseconds of all syncs together. */
    totalNs: number
    /** How long each took, in nanoseconds. */
    durationNs: HistogramSummary
    /** The durations counted by fixed limits, 50 us to 10 s and beyond, for exporters of metrics. */
    buckets: SyncBucket[]
  }
  /** The log. */
  file: {
    /** Absolute; undefined if the policy is disabled. */
    path: string | undefined
    /** How often the log was opened, the first time included. */
    opens: number
    /** How often the file was found renamed, deleted or replaced, and the path was followed. */
    rotations: number
    /** Fragments of lines that were found at the log's end, and closed with a newline. */
    tornTails: number
    /** Offset in its file at which the last line of this audit ended; 0 before the first. */
    endBytes: number
  }
  /** Who drains the ring. */
  worker: {
    /** `'caller'` while the worker has been given up, and none can be started. */
    drainer: 'worker' | 'caller'
    /** How often a worker was given the ring: once, and once more after each that has ended. */
    sessions: number
    /** Workers that died, and were replaced or given up. */
    deaths: number
  }
}

/** The stats of a writer whose policy is disabled. */
export function disabledStats(failureMode: AuditStats['failureMode']): AuditStats {
  return {
    state: 'disabled',
    failureMode,
    uptimeMs: 0,
    events: {
      accepted: 0,
      byType: { request: 0, started: 0, warning: 0, exit: 0, denial: 0 },
      settled: 0,
      pending: 0,
      oldestPendingMs: 0,
      succeeded: 0,
      failed: 0,
      lastFailedAtMs: null,
    },
    failures: new FailureCounts().toRecord(),
    warnings: { byCode: noWarnings(), suppressed: 0 },
    ring: { capacityBytes: 0, usedBytes: 0, usedBytesMax: 0 },
    waiting: { events: 0, bytes: 0, bytesMax: 0, limitBytes: 0 },
    groups: { count: 0, bytes: 0, events: emptySummary(), retries: 0, lastSucceededAtMs: null },
    syncs: {
      method: 'fdatasync',
      count: 0,
      totalNs: 0,
      durationNs: emptySummary(),
      buckets: SYNC_LIMITS_NS.map((limitNs) => ({ limitNs, count: 0 })),
    },
    file: { path: undefined, opens: 0, rotations: 0, tornTails: 0, endBytes: 0 },
    worker: { drainer: 'worker', sessions: 0, deaths: 0 },
  }
}

/** The summary of a histogram that is empty. */
export function emptySummary(): HistogramSummary {
  return { count: 0, min: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }
}
