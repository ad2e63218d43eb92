import type { WarningKind } from '../../../format/events'
import type { AuditRecord } from '../../../format/records'
import {
  DENIED,
  ENDED,
  EXITED,
  REQUESTED,
  type RequestTable,
  STARTED,
  UNSEEN,
} from './request-table'

/*
 * The order that a request's events have:
 *
 *   request, started, warning*, exit        it was allowed, and ran
 *   request, denial                         it was allowed, and could not be started
 *   request, warning, exit                  it was cancelled before it was started
 *   denial                                  it was refused
 *
 * Each but a warning comes once, and nothing after an exit or a denial. Between the events of one
 * request stand those of others, in any order. A log may begin in the middle of requests, whose
 * beginning stands in an older file that is not at hand.
 */

/** The fault of an event in the order; undefined if it is as it should be. */
export type Misplaced =
  | { readonly kind: 'impossible'; readonly message: string; readonly isRepeated: boolean }
  | { readonly kind: 'unseen'; readonly message: string }
  | undefined

const BITS = {
  request: REQUESTED,
  started: STARTED,
  warning: 0,
  exit: EXITED,
  denial: DENIED,
} as const
const CANCEL_KINDS: ReadonlySet<WarningKind> = new Set([
  'cancelled',
  'lease_expired',
  'peer_disconnected',
])
/** So long after the log's first event may a `started` stand whose `request` is in an older file. */
const START_MS_MAX = 60_000

/** Checks the events of a log, in their order. */
export class OrderCheck {
  readonly #table: RequestTable
  readonly #isWhole: boolean
  readonly #files: readonly string[]
  #firstMs: number | undefined

  /**
   * @param isWhole whether nothing precedes the first event
   * @param files the log's files, for messages
   */
  constructor(table: RequestTable, isWhole: boolean, files: readonly string[]) {
    this.#table = table
    this.#isWhole = isWhole
    this.#files = files
  }

  /** Takes the next event, and says what is wrong about its place. */
  take(record: AuditRecord, file: number): Misplaced {
    this.#firstMs ??= record.tsUnixMs
    const table = this.#table
    const slot = table.slotOf(record.requestId)
    const flags = table.flags[slot] ?? 0
    const broken = brokenRule(record, flags)
    if (broken !== undefined) {
      const { message, isRepeated } = broken
      return {
        kind: 'impossible',
        message: `${message}; its last event is at ${this.#placeOf(slot, file)}`,
        isRepeated,
      }
    }
    const isUnseen = flags === 0 || flags === UNSEEN
    const misplaced = isUnseen ? this.#unseen(record, flags) : undefined
    table.flags[slot] = flags | BITS[record.event] | (misplaced === undefined ? 0 : UNSEEN)
    table.lines[slot] = record.line
    table.files[slot] = file
    return misplaced
  }

  /** The place of a request's last event. */
  #placeOf(slot: number, file: number): string {
    const { lines, files } = this.#table
    const line = `line ${lines[slot]}`
    return files[slot] === file ? line : `${line} of ${this.#files[files[slot] ?? 0]}`
  }

  /** An event of a request with no earlier event, or none that could stand first. */
  #unseen(record: AuditRecord, flags: number): Misplaced {
    const { event } = record
    if (event === 'request' || event === 'denial') return undefined
    const isInside = this.#isWhole || this.#hasBegunInside(record)
    if (isInside) {
      const message = `${article(event)} without a request`
      return { kind: 'impossible', message, isRepeated: false }
    }
    // One request is reported once.
    if (flags === UNSEEN) return undefined
    const message = `${article(event)} without a request, which may stand in an older file`
    return { kind: 'unseen', message }
  }

  /** Whether the request itself must stand in the log, by the times. */
  #hasBegunInside(record: AuditRecord): boolean {
    const lastMs = (this.#firstMs ?? 0) + START_MS_MAX
    if (record.event === 'started') return record.tsUnixMs > lastMs
    return record.event === 'exit' && record.tsUnixMs - Number(record.durationMs) > lastMs
  }
}

interface BrokenRule {
  readonly message: string
  /** Whether the event stands there twice, as it may if a group was written again. */
  readonly isRepeated: boolean
}

/** The rule that an event breaks, given the earlier events of its request. */
function brokenRule(record: AuditRecord, flags: number): BrokenRule | undefined {
  if (flags === 0) return undefined
  const { event } = record
  const rule = (message: string) => ({ message, isRepeated: (flags & BITS[event]) !== 0 })
  if ((flags & BITS[event]) !== 0) return rule(`a second ${event} of its request`)
  if ((flags & ENDED) !== 0) {
    const end = (flags & EXITED) !== 0 ? 'exit' : 'denial'
    return rule(`${article(event)} after the ${end} of its request`)
  }
  switch (event) {
    case 'request':
      return rule('a request after other events of its own')
    case 'started':
      return (flags & UNSEEN) !== 0 ? rule('a started after a warning of its request') : undefined
    case 'denial':
      return (flags & (STARTED | UNSEEN)) === 0 ? undefined : rule('a denial after its started')
    case 'warning':
    case 'exit':
      return (flags & (STARTED | UNSEEN)) === 0 && !isOfCancelled(record)
        ? rule(`${article(event)} of a request without a started`)
        : undefined
  }
}

/** Whether the event may be one of a command that was cancelled before it was started. */
function isOfCancelled(record: AuditRecord): boolean {
  if (record.event === 'warning') return CANCEL_KINDS.has(record.kind)
  return record.event === 'exit' && record.code === null && record.signal === null
}

function article(event: AuditRecord['event']): string {
  return event === 'exit' ? 'an exit' : `a ${event}`
}
