import { performance, type RecordableHistogram } from 'node:perf_hooks'
import type { EventName } from '../../format/events'
import {
  type AuditStats,
  emptySummary,
  type HistogramSummary,
  type SyncBucket,
} from '../audit-stats'
import type { FailureReporter } from '../failure/failure-reporter'
import type { CheckedOptions } from '../options'
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
} from '../ring/counters'
import type { CountersView } from '../ring/memory-map'
import type { DrainConfig } from '../ring/messages'
import {
  TYPE_DENIAL,
  TYPE_EXIT,
  TYPE_REQUEST,
  TYPE_STARTED,
  TYPE_WARNING,
} from '../ring/record-header'
import type { WorkerHost } from '../worker/worker-host'
import type { Admission } from './admission'
import type { Settlement } from './settlement'

/** The objects that count. */
export interface StatsSources {
  readonly options: CheckedOptions
  readonly config: DrainConfig
  readonly counters: CountersView
  readonly settlement: Settlement
  readonly admission: Admission
  readonly reporter: FailureReporter
  readonly host: WorkerHost
}

/** Puts the stats of one audit together. */
export class StatsCollector {
  readonly #sources: StatsSources
  readonly #startedAt = performance.now()
  #isAskingClock = false

  constructor(sources: StatsSources) {
    this.#sources = sources
  }

  collect(state: AuditStats['state']): AuditStats {
    const { options, admission, reporter, host } = this.#sources
    return {
      state,
      failureMode: options.failureMode,
      uptimeMs: performance.now() - this.#startedAt,
      events: this.#events(),
      failures: reporter.counts,
      warnings: reporter.warnings,
      ring: admission.ringUse,
      waiting: { ...admission.outsideUse, limitBytes: options.maxWaitingBytes },
      groups: this.#groups(),
      syncs: this.#syncs(),
      file: this.#file(),
      worker: host.state,
    }
  }

  #events(): AuditStats['events'] {
    const { settlement, reporter } = this.#sources
    const { acceptedByType, ...counts } = settlement.counts
    return {
      ...counts,
      byType: byTypeOf(acceptedByType),
      pending: settlement.pending,
      oldestPendingMs: this.#oldestPendingMs(),
      lastFailedAtMs: reporter.lastFailedAtMs,
    }
  }

  #oldestPendingMs(): number {
    const time = this.#sources.settlement.oldestTime
    // The clock is foreign code, and may ask for the stats itself.
    if (time === undefined || this.#isAskingClock) return 0
    this.#isAskingClock = true
    const now = this.#sources.options.clock()
    this.#isAskingClock = false
    return Math.max(0, now - time)
  }

  #groups(): AuditStats['groups'] {
    return {
      count: this.#count(COUNT_GROUPS),
      bytes: this.#count(COUNT_BYTES),
      events: summarize(this.#sources.config.groupEvents),
      retries: this.#count(COUNT_RETRIES),
      lastSucceededAtMs: this.#count(LAST_SUCCESS_AT) || null,
    }
  }

  #syncs(): AuditStats['syncs'] {
    const { options, config } = this.#sources
    return {
      method: options.fsync.method,
      count: this.#count(COUNT_SYNCS),
      totalNs: this.#count(COUNT_SYNC_NS),
      durationNs: summarize(config.syncNs),
      buckets: this.#syncBuckets(),
    }
  }

  #syncBuckets(): SyncBucket[] {
    return SYNC_LIMITS_NS.map((limitNs, bucket) => {
      return { limitNs, count: this.#count(SYNC_BUCKETS + bucket) }
    })
  }

  #file(): AuditStats['file'] {
    return {
      path: this.#sources.config.sink.path,
      opens: this.#count(COUNT_OPENS),
      rotations: this.#count(COUNT_ROTATIONS),
      tornTails: this.#count(COUNT_TORN_TAILS),
      endBytes: this.#count(FILE_END),
    }
  }

  /** One of the drainer's counts, by its word in counters.ts. */
  #count(word: number): number {
    return Number(Atomics.load(this.#sources.counters.counts, word))
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
