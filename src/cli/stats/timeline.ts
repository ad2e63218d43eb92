import type { AuditRecord } from '../../format/records'
import { isFailure } from '../shared/filter'

export const PERIODS = ['minute', 'hour', 'day'] as const
export type Period = (typeof PERIODS)[number]

/** The events of one minute, hour or day. */
export interface Bucket {
  /** Its beginning, in milliseconds since 1970. */
  readonly startMs: number
  events: number
  requests: number
  denials: number
  /** As {@link isFailure} says; a spawn that failed is a denial too. */
  failures: number
}

/** Seven years of hours, or two weeks of minutes. */
const BUCKETS_MAX = 20_160
/** A day has an hour more or less if the clocks change. */
export const PERIOD_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

/** Counts the events of each period, for as many periods as there is room for. */
export class Timeline {
  readonly #period: Period
  readonly #isUtc: boolean
  readonly #buckets = new Map<number, Bucket>()
  #untracked = 0
  #startMs = 0
  #endMs = 0

  /** @param isUtc whether periods begin as in UTC, and not as in local time */
  constructor(period: Period, isUtc: boolean) {
    this.#period = period
    this.#isUtc = isUtc
  }

  /** Events for whose period there was no room. */
  get untracked(): number {
    return this.#untracked
  }

  add(record: AuditRecord): void {
    const { tsUnixMs, event } = record
    // Most events are of the period of the one before.
    if (tsUnixMs < this.#startMs || tsUnixMs >= this.#endMs) this.#move(tsUnixMs)
    const bucket = this.#bucketAt(this.#startMs)
    if (bucket === undefined) {
      this.#untracked++
      return
    }
    bucket.events++
    if (event === 'request') bucket.requests++
    else if (event === 'denial') bucket.denials++
    if (isFailure(record)) bucket.failures++
  }

  /** In the order of time; periods without events are left out. */
  buckets(): Bucket[] {
    return [...this.#buckets.values()].sort((a, b) => a.startMs - b.startMs)
  }

  #move(tsUnixMs: number): void {
    const start = new Date(tsUnixMs)
    if (this.#isUtc) start.setUTCMinutes(start.getUTCMinutes(), 0, 0)
    else start.setMinutes(start.getMinutes(), 0, 0)
    if (this.#period === 'minute') {
      this.#setRange(start.getTime(), PERIOD_MS.minute)
      return
    }
    if (this.#isUtc) start.setUTCMinutes(0)
    else start.setMinutes(0)
    if (this.#period === 'hour') {
      this.#setRange(start.getTime(), PERIOD_MS.hour)
      return
    }
    if (this.#isUtc) start.setUTCHours(0)
    else start.setHours(0)
    const end = new Date(start)
    // Not 24 hours if the clocks change.
    if (this.#isUtc) end.setUTCDate(end.getUTCDate() + 1)
    else end.setDate(end.getDate() + 1)
    this.#setRange(start.getTime(), end.getTime() - start.getTime())
  }

  #setRange(startMs: number, lengthMs: number): void {
    this.#startMs = startMs
    this.#endMs = startMs + lengthMs
  }

  #bucketAt(startMs: number): Bucket | undefined {
    const known = this.#buckets.get(startMs)
    if (known !== undefined || this.#buckets.size >= BUCKETS_MAX) return known
    const fresh = { startMs, events: 0, requests: 0, denials: 0, failures: 0 }
    this.#buckets.set(startMs, fresh)
    return fresh
  }
}
