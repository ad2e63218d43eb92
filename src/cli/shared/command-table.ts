import type { WarningKind } from '../../format/events'
import type { AuditRecord, DenialRecord, ExitRecord } from '../../format/records'
import { EventRepeats } from './event-repeats'
import {
  asksForEnd,
  type CommandFilter,
  isFound,
  isTimeout,
  matchesAsked,
  matchesEnd,
} from './filter'
import { type Names, NO_NAMES } from './names'
import { type AskedCommand, sizeOfAsked, withEvent } from './request-memory'

/** One command: its events, put together. */
export interface CommandLife {
  readonly requestId: string
  /** Of its first event: of its request, if the logs have that. */
  readonly tsUnixMs: number
  readonly file: string
  /** The line of its first event. */
  readonly line: number
  asked: AskedCommand | undefined
  startedMs: number | null
  warnings: readonly WarningKind[]
  end: ExitRecord | Omit<DenialRecord, 'argv'> | undefined
  /** Whether one of its lines has what is sought. */
  isFound: boolean
  /** Why no end is waited for any more: its id was used again, or too many others were open. */
  isGivenUp: boolean
  /** If events are kept: the first ones, their argv cut as in `asked`. */
  readonly events: AuditRecord[] | undefined
}

/** Where an event stands. */
type Place = Pick<CommandLife, 'file' | 'line'>

const NO_WARNINGS: readonly WarningKind[] = []
const COMMANDS_MAX = 65_536
/** Characters of the arguments of one command, and of all that are remembered. */
const ARGV_CHARACTERS_MAX = 4_096
const CHARACTERS_MAX = 16 * 2 ** 20
/** More than a command that keeps the rules has. */
const EVENTS_MAX = 64

/**
 * Puts the events of each command together, and gives the commands in the order of their first events, as far
 * as there is room to wait: one that is still open after {@link COMMANDS_MAX} others comes when it ends.
 */
export class CommandTable {
  /** Those that are still to be given in order, the oldest first. */
  readonly #queue = new Set<CommandLife>()
  /** Those without an end, the oldest first. */
  readonly #open = new Map<string, CommandLife>()
  readonly #repeats = new EventRepeats()
  readonly #grep: RegExp | undefined
  readonly #names: Names
  readonly #keepsEvents: boolean
  readonly #isOrdered: boolean
  readonly #max: number
  #characters = 0
  #givenUp = 0

  /** @param isOrdered false to give each command as soon as it ends */
  constructor({
    grep,
    names = NO_NAMES,
    keepsEvents = false,
    isOrdered = true,
    max = COMMANDS_MAX,
  }: {
    readonly grep?: RegExp | undefined
    readonly names?: Names
    readonly keepsEvents?: boolean
    readonly isOrdered?: boolean
    readonly max?: number
  }) {
    this.#grep = grep
    this.#names = names
    this.#keepsEvents = keepsEvents
    this.#isOrdered = isOrdered
    this.#max = max
  }

  /** Commands whose ends were not waited for, since too many were open at once. */
  get givenUp(): number {
    return this.#givenUp
  }

  /** Events that stood there again, byte for byte, and were left out. */
  get repeated(): number {
    return this.#repeats.count
  }

  /** Takes the next event; returns the commands that need not wait any longer. */
  take(record: AuditRecord, text: string, place: Place): CommandLife[] {
    if (this.#repeats.isRepeated(record, text)) return []
    const ready: CommandLife[] = []
    const { requestId } = record
    const before = this.#open.get(requestId)
    if (record.event === 'request' && before !== undefined) this.#giveUp(before, ready)
    const life = this.#open.get(requestId) ?? this.#begin(record, place)
    this.#update(life, record)
    if (this.#grep !== undefined && isFound(this.#grep, record, text)) life.isFound = true
    if (life.end !== undefined) this.#close(life, ready)
    this.#makeRoom(ready)
    return ready
  }

  /** The commands that are left, those without an end among them. */
  end(): CommandLife[] {
    const late = [...this.#open.values()].filter((life) => !this.#queue.has(life))
    return [...late, ...this.#queue]
  }

  #begin({ requestId, tsUnixMs }: AuditRecord, { file, line }: Place): CommandLife {
    const life: CommandLife = {
      requestId,
      tsUnixMs,
      file,
      line,
      asked: undefined,
      startedMs: null,
      warnings: NO_WARNINGS,
      end: undefined,
      isFound: false,
      isGivenUp: false,
      events: this.#keepsEvents ? [] : undefined,
    }
    this.#open.set(requestId, life)
    if (this.#isOrdered) this.#queue.add(life)
    return life
  }

  #update(life: CommandLife, record: AuditRecord): void {
    const before = life.asked
    life.asked = withEvent(before, record, this.#names, ARGV_CHARACTERS_MAX)
    if (life.asked !== before) this.#characters += sizeOf(life.asked) - sizeOf(before)
    if (record.event === 'started') life.startedMs = record.tsUnixMs
    else if (record.event === 'warning') {
      if (!life.warnings.includes(record.kind)) life.warnings = [...life.warnings, record.kind]
    } else if (record.event === 'exit' || record.event === 'denial') life.end = withoutText(record)
    if (life.events !== undefined && life.events.length < EVENTS_MAX) {
      life.events.push(withBoundedArgv(record, life.asked))
    }
  }

  /** It has ended: it is given once those before it are. */
  #close(life: CommandLife, ready: CommandLife[]): void {
    this.#open.delete(life.requestId)
    if (!this.#queue.has(life)) this.#give(life, ready)
    else this.#giveFirst(ready)
  }

  #giveFirst(ready: CommandLife[]): void {
    for (const life of this.#queue) {
      if (life.end === undefined && !life.isGivenUp) return
      this.#queue.delete(life)
      this.#give(life, ready)
    }
  }

  #give(life: CommandLife, ready: CommandLife[]): void {
    this.#characters -= sizeOf(life.asked)
    ready.push(life)
  }

  #giveUp(life: CommandLife, ready: CommandLife[]): void {
    life.isGivenUp = true
    this.#close(life, ready)
  }

  #makeRoom(ready: CommandLife[]): void {
    while (this.#queue.size > this.#max || this.#characters > CHARACTERS_MAX) {
      const [first] = this.#queue
      if (first === undefined) break
      // It is open, since otherwise it had been given.
      this.#queue.delete(first)
      this.#giveFirst(ready)
    }
    while (this.#open.size > this.#max || this.#characters > CHARACTERS_MAX) {
      const [oldest] = this.#open.values()
      if (oldest === undefined) return
      this.#givenUp++
      this.#giveUp(oldest, ready)
    }
  }
}

/** Whether a command matches the filters; `isFound` stands for `grep`. */
export function matchesCommand(life: CommandLife, filter: CommandFilter): boolean {
  if (!matchesAsked(life.requestId, life.asked, filter)) return false
  if (asksForEnd(filter) && (life.end === undefined || !matchesEnd(life.end, filter))) return false
  return filter.grep === undefined || life.isFound
}

/** Whether its time was up, as its exit says. */
export function isTimedOut({ end, asked }: CommandLife): boolean {
  return end?.event === 'exit' && isTimeout(end, asked?.timeoutMs)
}

function sizeOf(asked: AskedCommand | undefined): number {
  return asked === undefined ? 0 : sizeOfAsked(asked)
}

/** The event without its argv, which may be long and is kept elsewhere. */
function withoutText(record: ExitRecord | DenialRecord): NonNullable<CommandLife['end']> {
  if (record.event === 'exit') return record
  const { argv: _, ...rest } = record
  return rest
}

function withBoundedArgv(record: AuditRecord, asked: AskedCommand | undefined): AuditRecord {
  return 'argv' in record && asked !== undefined ? { ...record, argv: asked.argv } : record
}
