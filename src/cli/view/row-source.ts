import type { AuditRecord } from '../../format/records'
import { type CommandLife, CommandTable, matchesCommand } from '../shared/command-table'
import { asksForRequest, type EventFilter, matches } from '../shared/filter'
import type { Names } from '../shared/names'
import { RequestMemory } from '../shared/request-memory'
import { COMMAND_ROWS } from './command-rows'
import { EVENT_ROWS, type EventRow } from './event-rows'
import type { RowKind } from './output'

/** An event where it stands. */
export interface PlacedEvent {
  readonly record: AuditRecord
  /** Its line. */
  readonly text: string
  readonly file: string
  readonly isLineKnown: boolean
}

/** Makes the rows that are asked for out of a log's events. */
export interface RowSource<Row> {
  readonly kind: RowKind<Row>
  /** Whether a row depends on events that stand far before it. */
  readonly needsAll: boolean
  /** Takes the next event; returns the rows that are complete with it. */
  take(event: PlacedEvent): readonly Row[]
  /** Takes an event that is not to be shown, but that later ones refer to. */
  learn(event: PlacedEvent): void
  /** The rows that were waiting for more. */
  end(): readonly Row[]
  /** What the rows are not, for an operator. */
  notes(): readonly string[]
}

/** A row per event. */
export class EventSource implements RowSource<EventRow> {
  readonly kind = EVENT_ROWS
  readonly #filter: EventFilter
  readonly #memory: RequestMemory

  constructor(filter: EventFilter, names: Names) {
    this.#filter = filter
    this.#memory = new RequestMemory({ names })
  }

  get needsAll(): boolean {
    return asksForRequest(this.#filter)
  }

  take(event: PlacedEvent): readonly EventRow[] {
    const asked = this.#memory.of(event.record)
    if (!matches(event.record, event.text, asked, this.#filter)) return []
    return [{ ...event, asked }]
  }

  learn({ record }: PlacedEvent): void {
    this.#memory.of(record)
  }

  end(): readonly EventRow[] {
    return []
  }

  notes(): readonly string[] {
    return []
  }
}

/** A row per command. */
export class CommandSource implements RowSource<CommandLife> {
  readonly kind = COMMAND_ROWS
  readonly needsAll = true
  readonly #filter: EventFilter
  readonly #isOpen: boolean
  readonly #table: CommandTable

  /**
   * @param isOpen whether only commands without an end are asked for
   * @param isOrdered false to give each command as soon as it ends
   */
  constructor(
    filter: EventFilter,
    {
      isOpen,
      isOrdered,
      names,
    }: { readonly isOpen: boolean; readonly isOrdered: boolean; readonly names: Names },
  ) {
    this.#filter = filter
    this.#isOpen = isOpen
    this.#table = new CommandTable({ grep: filter.grep, isOrdered, names })
  }

  take({ record, text, file }: PlacedEvent): readonly CommandLife[] {
    return this.#wanted(this.#table.take(record, text, { file, line: record.line }))
  }

  learn({ record, text, file }: PlacedEvent): void {
    this.#table.take(record, text, { file, line: record.line })
  }

  end(): readonly CommandLife[] {
    return this.#wanted(this.#table.end())
  }

  notes(): readonly string[] {
    const { repeated, givenUp } = this.#table
    return [
      ...(repeated === 0 ? [] : [`${repeated} repeated lines are left out`]),
      ...(givenUp === 0 ? [] : [`the ends of ${givenUp} commands were not looked for`]),
    ]
  }

  #wanted(commands: readonly CommandLife[]): readonly CommandLife[] {
    const { since = 0, until = Number.POSITIVE_INFINITY } = this.#filter
    return commands.filter((life) => {
      if (life.tsUnixMs < since || life.tsUnixMs > until) return false
      if (this.#isOpen && life.end !== undefined) return false
      return matchesCommand(life, this.#filter)
    })
  }
}
