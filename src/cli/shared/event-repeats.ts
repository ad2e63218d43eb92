import { EVENT_NAMES, WARNING_KINDS } from '../../format/events'
import type { AuditRecord } from '../../format/records'
import { RecentLines } from './recent-lines'

const REQUESTS_MAX = 65_536

/**
 * Knows the events that stand in a log again, byte for byte: a writer whose worker died may write its last
 * group twice. They are no events of their own.
 */
export class EventRepeats {
  readonly #recent = new RecentLines()
  /** The events that each of the last requests has had. */
  readonly #seen = new Map<string, number>()
  #count = 0

  /** Events that were repeated so far. */
  get count(): number {
    return this.#count
  }

  /** Takes the next event and its line; whether it is a repeated one. */
  isRepeated(record: AuditRecord, text: string): boolean {
    const { requestId } = record
    const seen = this.#seen.get(requestId) ?? 0
    const bit = bitOf(record)
    if ((seen & bit) !== 0 && this.#recent.has(text)) {
      this.#count++
      return true
    }
    this.#recent.add(text)
    this.#seen.set(requestId, seen | bit)
    if (this.#seen.size > REQUESTS_MAX) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest)
        break
      }
    }
    return false
  }
}

function bitOf(record: AuditRecord): number {
  const index = EVENT_NAMES.indexOf(record.event)
  if (record.event !== 'warning') return 1 << index
  return 1 << (EVENT_NAMES.length + WARNING_KINDS.indexOf(record.kind))
}
