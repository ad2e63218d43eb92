import type { CommandLife } from '../shared/command-table'
import { PAGE_COMMANDS_MAX, type PageInput } from './page'
import { PERIOD_MS, PERIODS, type Period, Timeline } from './timeline'

/** As many bars as a page has room for. */
const BARS_MAX = 400

/** Collects what a page shows besides the figures: events over time, and the last commands. */
export class PageCollector {
  readonly #sinceMs: number
  readonly #untilMs: number
  readonly #timelines: readonly (readonly [Period, Timeline])[]
  #last: CommandLife[] = []
  #count = 0

  constructor({
    since = 0,
    until = Number.POSITIVE_INFINITY,
    isUtc,
  }: {
    readonly since?: number | undefined
    readonly until?: number | undefined
    readonly isUtc: boolean
  }) {
    this.#sinceMs = since
    this.#untilMs = until
    this.#timelines = PERIODS.map((period) => [period, new Timeline(period, isUtc)])
  }

  /** Takes a command that matches. */
  take(life: CommandLife): void {
    for (const event of life.events ?? []) {
      if (!this.#isAsked(event.tsUnixMs)) continue
      for (const [, timeline] of this.#timelines) timeline.add(event)
    }
    if (!this.#isAsked(life.tsUnixMs)) return
    this.#count++
    this.#last.push({ ...life, events: undefined })
    if (this.#last.length >= 2 * PAGE_COMMANDS_MAX) this.#last = this.#lastOnes()
  }

  page(): Pick<PageInput, 'period' | 'buckets' | 'commands' | 'commandCount'> {
    const all = this.#timelines.map(([period, timeline]) => {
      return { period, buckets: timeline.buckets() }
    })
    const { period = 'day', buckets = [] } = all.find(isFitting) ?? all.at(-1) ?? {}
    return { period, buckets, commands: this.#lastOnes(), commandCount: this.#count }
  }

  #lastOnes(): CommandLife[] {
    return this.#last.slice(Math.max(0, this.#last.length - PAGE_COMMANDS_MAX))
  }

  #isAsked(ms: number): boolean {
    return ms >= this.#sinceMs && ms <= this.#untilMs
  }
}

/** Whether a page has room for a bar per period. */
function isFitting({ period, buckets }: Pick<PageInput, 'period' | 'buckets'>): boolean {
  const [first, last] = [buckets[0], buckets.at(-1)]
  if (first === undefined || last === undefined) return true
  return (last.startMs - first.startMs) / PERIOD_MS[period] < BARS_MAX
}
