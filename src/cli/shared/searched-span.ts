import type { AuditRecord } from '../../format/records'
import { formatCount } from '../../toolkit/text/numbers'
import { formatTime } from '../../toolkit/text/time'
import { fileName } from './log-input'
import type { Skimmed } from './skim'

/** What was searched, for an operator who finds nothing: the files, and from when to when their events are. */
export class SearchedSpan {
  readonly #isUtc: boolean
  #events = 0
  #firstMs = Number.POSITIVE_INFINITY
  #lastMs = Number.NEGATIVE_INFINITY

  constructor(isUtc: boolean) {
    this.#isUtc = isUtc
  }

  add({ tsUnixMs }: AuditRecord): void {
    this.#events++
    this.#firstMs = Math.min(this.#firstMs, tsUnixMs)
    this.#lastMs = Math.max(this.#lastMs, tsUnixMs)
  }

  /** Adds events of which only the times were looked at. */
  addSkimmed({ events, firstMs, lastMs }: Skimmed): void {
    this.#events += events
    this.#firstMs = Math.min(this.#firstMs, firstMs)
    this.#lastMs = Math.max(this.#lastMs, lastMs)
  }

  text(files: readonly string[]): string {
    const timeOf = (ms: number) => formatTime(ms, this.#isUtc)
    const span =
      this.#events === 0
        ? 'no events'
        : `${formatCount(this.#events)} events from ${timeOf(this.#firstMs)} to ${timeOf(this.#lastMs)}`
    return `${files.map(fileName).join(', ')}: ${span}`
  }
}
