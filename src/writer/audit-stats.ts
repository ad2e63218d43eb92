import type { RecordableHistogram } from 'node:perf_hooks'
import type { EventName } from '../format/events'
import type { Admission } from './caller/admission'
import { FailureCounts, type FailureKind } from './failure/failure-counts'
import type { FailureReporter } from './failure/failure-reporter'
import { type AuditWarningCode, noWarnings } from './failure/warnings'
import type { CheckedOptions } from './options'
import {
  COUNT_BYTES,
  COUNT_GROUPS,
  COUNT_OPENS,
  COUNT_RETRIES,
  COUNT_ROTATIONS,
  COUNT_SYNC_NS,
  COUNT_SYNCS,
  COUNT_TORN_TAILS,
  FILE_END,
  LAST_SUCCESS_AT,
  SYNC_BUCKETS,
  SYNC_LIMITS_NS,
} from './ring/counters'
import type { CountersView } from './ring/memory-map'
import type { SyncMethod } from './ring/messages'
import {
  TYPE_DENIAL,
  TYPE_EXIT,
  TYPE_REQUEST,
  TYPE_STARTED,
  TYPE_WARNING,
} from './ring/record-header'

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

/** Syncs that took no longer than `limitNs`, and longer than the limit before it. */
export interface SyncBucket {
  /** Nanoseconds; Infinity in the last bucket, which JSON turns into null. */
  limitNs: number
  /** How many, without those of the buckets below. */
  count: number
}

/**
 * Returned by {@link ExecAudit.stats}: counts since construction, and what is in flight now. Plain
 * data without a bigint. Times are in milliseconds since 1970, null for never.
 */
export interface AuditStats {
  /** `closing` from the call of `close()` until it has resolved; `disabled` if the policy is. */
  state: 'open' | 'closing' | 'closed' | 'disabled'
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
    /** Warnings that are not one event's failure, including those that the logger did not get. */
    byCode: Record<AuditWarningCode, number>
    /**
     * How many the logger did not get because it had just had the same warning, or too many; those of
     * failed events included.
     */
    suppressed: number
  }
  /** Use of the ring, in bytes. */
  ring: {
    /** How much it holds: `ringBytes`, rounded up. */
    capacityBytes: number
    /** How much of the ring is taken now. */
    usedBytes: number
    /** The most that was ever taken. */
    usedBytesMax: number
  }
  /** Events outside the ring: waiting for room, or too large for it. */
  waiting: {
    /** How many wait now. */
    events: number
    /** How many bytes they take now. */
    bytes: number
    /** The most bytes that they ever took. */
    bytesMax: number
    /** The option `maxWaitingBytes`. */
    limitBytes: number
  }
  /** Groups of events that were written and synced together. */
  groups: {
    /** Groups that have their outcome, failed ones too. */
    count: number
    /** Bytes of the lines of the groups that succeeded. */
    bytes: number
    /** Events per group. */
    events: HistogramSummary
    /** Further tries after a failure, within `retryForMs`. */
    retries: number
    /** When a group last succeeded. */
    lastSucceededAtMs: number | null
  }
  /** Syncs of the log that returned. */
  syncs: {
    /** The option `fsync.method`; with `'none'` the figures stay 0. */
    method: SyncMethod
    /** How many returned, those of failed tries included. */
    count: number
    /** Nanoseconds of all syncs together. */
    totalNs: number
    /** How long each took, in nanoseconds. */
    durationNs: HistogramSummary
    /** The durations by fixed limits, 50 us to 10 s and beyond, for exporters of metrics. */
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
    /** Where the last line of this audit ended in its file; 0 before the first. */
    endBytes: number
  }
  /** Who drains the ring. */
  worker: {
    /** `'caller'` while the worker has been given up, and none can be started. */
    drainer: 'worker' | 'caller'
    /** How often the worker was set to work; a session ends 50 ms after its last event. */
    sessions: number
    /** Workers that died, and were replaced or given up. */
    deaths: number
  }
}

/** The part of the stats that its owner counts itself. */
export type OwnStats = Pick<AuditStats, 'state' | 'uptimeMs' | 'worker'> & {
  readonly path: string
  readonly acceptedByType: Float64Array
  readonly events: Omit<AuditStats['events'], 'byType' | 'lastFailedAtMs'>
}

/** Where the rest of the stats is to be found. */
export interface StatsSources {
  readonly counters: CountersView
  readonly options: CheckedOptions
  readonly admission: Admission
  readonly reporter: FailureReporter
  readonly groupEvents: RecordableHistogram
  readonly syncNs: RecordableHistogram
}

/** Puts the stats together. */
export function collectStats(own: OwnStats, sources: StatsSources): AuditStats {
  const { counters, options, admission, reporter, groupEvents, syncNs } = sources
  const counter = (word: number) => Number(Atomics.load(counters.counts, word))
  const { path, acceptedByType, events, ...rest } = own
  return {
    ...rest,
    events: {
      ...events,
      byType: byTypeOf(acceptedByType),
      lastFailedAtMs: reporter.lastFailedAtMs,
    },
    failures: reporter.counts,
    warnings: reporter.warnings,
    ring: admission.ringUse,
    waiting: { ...admission.outsideUse, limitBytes: options.maxWaitingBytes },
    groups: {
      count: counter(COUNT_GROUPS),
      bytes: counter(COUNT_BYTES),
      events: summarize(groupEvents),
      retries: counter(COUNT_RETRIES),
      lastSucceededAtMs: counter(LAST_SUCCESS_AT) || null,
    },
    syncs: {
      method: options.fsync.method,
      count: counter(COUNT_SYNCS),
      totalNs: counter(COUNT_SYNC_NS),
      durationNs: summarize(syncNs),
      buckets: bucketsOf((bucket) => counter(SYNC_BUCKETS + bucket)),
    },
    file: {
      path,
      opens: counter(COUNT_OPENS),
      rotations: counter(COUNT_ROTATIONS),
      tornTails: counter(COUNT_TORN_TAILS),
      endBytes: counter(FILE_END),
    },
  }
}

/** The stats of a writer whose policy is disabled. */
export function disabledStats(): AuditStats {
  return {
    state: 'disabled',
    uptimeMs: 0,
    events: {
      accepted: 0,
      byType: byTypeOf(new Float64Array()),
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
      buckets: bucketsOf(() => 0),
    },
    file: { path: undefined, opens: 0, rotations: 0, tornTails: 0, endBytes: 0 },
    worker: { drainer: 'worker', sessions: 0, deaths: 0 },
  }
}

function byTypeOf(accepted: Float64Array): Record<EventName, number> {
  const count = (type: number) => accepted[type] ?? 0
  return {
    request: count(TYPE_REQUEST),
    started: count(TYPE_STARTED),
    warning: count(TYPE_WARNING),
    exit: count(TYPE_EXIT),
    denial: count(TYPE_DENIAL),
  }
}

function bucketsOf(countOf: (bucket: number) => number): SyncBucket[] {
  return SYNC_LIMITS_NS.map((limitNs, bucket) => ({ limitNs, count: countOf(bucket) }))
}

function emptySummary(): HistogramSummary {
  return { count: 0, min: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }
}

/** Summarizes a histogram. */
function summarize(histogram: RecordableHistogram): HistogramSummary {
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
