import type { RequestRecord } from '../../format/records'
import { EventRepeats } from '../shared/event-repeats'
import { type EventFilter, matches } from '../shared/filter'
import type { Names } from '../shared/names'
import { type AskedCommand, RequestMemory } from '../shared/request-memory'
import {
  denialOf,
  type LaunchRecord,
  launchOf,
  type OcsfInput,
  terminationOf,
  warningOf,
} from './ocsf'
import type { RowKind } from './output'
import type { PlacedEvent, RowSource } from './row-source'

/** Requests, and characters of their lines, that wait for what comes of them. */
const WAITING_MAX = 65_536
const WAITING_CHARACTERS_MAX = 32 * 2 ** 20

/** A row of `-o ocsf`. */
export interface OcsfRow {
  readonly tsUnixMs: number
  readonly event: object
}

const hasOneForm = (): never => {
  throw new Error('OCSF has one form')
}

const OCSF_ROWS: RowKind<OcsfRow> = {
  list: 'ocsf',
  csvHead: '',
  msOf: ({ tsUnixMs }) => tsUnixMs,
  whoOf: hasOneForm,
  pretty: hasOneForm,
  csv: hasOneForm,
  json: ({ event }) => event,
  raw: hasOneForm,
  hasDate: hasOneForm,
}

interface Waiting {
  readonly request: OcsfInput<RequestRecord>
  readonly asked: AskedCommand | undefined
  /** Whether the request itself was asked for. */
  readonly isWanted: boolean
}

/** Makes events of OCSF: a request and what came of it are one, and a line that is repeated is none. */
export class OcsfSource implements RowSource<OcsfRow> {
  readonly kind = OCSF_ROWS
  /** What a line is depends on the lines before it. */
  readonly needsAll = true
  readonly #filter: EventFilter
  readonly #memory: RequestMemory
  readonly #repeats = new EventRepeats()
  /** Requests by their id, the oldest first. */
  readonly #waiting = new Map<string, Waiting>()
  #characters = 0

  constructor(filter: EventFilter, names: Names) {
    this.#filter = filter
    this.#memory = new RequestMemory({ names })
  }

  take(event: PlacedEvent): readonly OcsfRow[] {
    const { record, text } = event
    if (this.#repeats.isRepeated(record, text)) return []
    const asked = this.#memory.of(record)
    const isWanted = matches(record, text, asked, this.#filter)
    switch (record.event) {
      case 'request': {
        const before = this.#settle(record.requestId)
        this.#wait({ request: { ...event, record }, asked, isWanted })
        return [...before, ...this.#settleOldest()]
      }
      case 'started':
        return this.#launch({ ...event, record }, asked, isWanted)
      case 'denial':
        if (record.reason === 'spawn_failed') {
          return this.#launch({ ...event, record }, asked, isWanted)
        }
        return [
          ...this.#settle(record.requestId),
          ...rowsOf(isWanted, record.tsUnixMs, denialOf({ ...event, record }, asked)),
        ]
      case 'warning':
        return [
          ...this.#settle(record.requestId),
          ...rowsOf(isWanted, record.tsUnixMs, warningOf({ ...event, record }, asked)),
        ]
      case 'exit':
        return [
          ...this.#settle(record.requestId),
          ...rowsOf(isWanted, record.tsUnixMs, terminationOf({ ...event, record }, asked)),
        ]
    }
  }

  learn({ record }: PlacedEvent): void {
    this.#memory.of(record)
  }

  end(): readonly OcsfRow[] {
    return [...this.#waiting.keys()].flatMap((requestId) => this.#settle(requestId))
  }

  notes(): readonly string[] {
    const { count } = this.#repeats
    return count === 0 ? [] : [`${count} repeated lines are left out`]
  }

  /** A process exists, or could not be spawned. */
  #launch(
    outcome: OcsfInput<LaunchRecord>,
    asked: AskedCommand | undefined,
    isWanted: boolean,
  ): readonly OcsfRow[] {
    const { requestId, tsUnixMs } = outcome.record
    const waiting = this.#forget(requestId)
    const event = launchOf(waiting?.request, outcome, asked)
    return rowsOf(isWanted || waiting?.isWanted === true, tsUnixMs, event)
  }

  /** Gives a request away of which no more is known. */
  #settle(requestId: string): readonly OcsfRow[] {
    const waiting = this.#forget(requestId)
    if (waiting === undefined) return []
    const { request, asked, isWanted } = waiting
    return rowsOf(isWanted, request.record.tsUnixMs, launchOf(request, undefined, asked))
  }

  #wait(waiting: Waiting): void {
    this.#waiting.set(waiting.request.record.requestId, waiting)
    this.#characters += waiting.request.text.length
  }

  #forget(requestId: string): Waiting | undefined {
    const waiting = this.#waiting.get(requestId)
    if (waiting === undefined) return undefined
    this.#waiting.delete(requestId)
    this.#characters -= waiting.request.text.length
    return waiting
  }

  #settleOldest(): readonly OcsfRow[] {
    const rows: OcsfRow[] = []
    for (const requestId of this.#waiting.keys()) {
      const isRoomy =
        this.#waiting.size <= WAITING_MAX && this.#characters <= WAITING_CHARACTERS_MAX
      if (isRoomy) break
      rows.push(...this.#settle(requestId))
    }
    return rows
  }
}

function rowsOf(isWanted: boolean, tsUnixMs: number, event: object): readonly OcsfRow[] {
  return isWanted ? [{ tsUnixMs, event }] : []
}
