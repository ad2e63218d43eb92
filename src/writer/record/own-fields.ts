import { describe } from '../../base/describe'
import { invalidEvent } from '../../base/field-checks'
import { hintFor, shownName } from '../../base/names'
import type { EventName } from '../../format/events'

/*
 * An event has the fields of its type and no others: a misspelt `matchedAcl`, or a `user` that is meant to be
 * recorded, would be lost in silence.
 *
 * An event's fields are read by their names, so an Object.prototype that was polluted would lend an event
 * the fields that it leaves out.
 */

const EMPTY_OBJECT: object = {}

const PARTIES = ['requestId', 'agentId', 'machineId', 'argv'] as const
/** The fields of each event, in the order in which a gateway is likely to give them. */
const FIELDS = {
  request: [...PARTIES, 'matchedAcl', 'stdinBytes', 'timeoutMs', 'context'],
  started: ['requestId', 'pid'],
  warning: ['requestId', 'kind', 'bytes'],
  exit: ['requestId', 'code', 'signal', 'durationMs', 'stdoutBytes', 'stderrBytes', 'truncated'],
  denial: [...PARTIES, 'reason', 'context'],
} as const satisfies Readonly<Record<EventName, readonly string[]>>

/** What is often given under another name, or is the context's. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ...['user', 'principal', 'session', 'cwd', 'tool_call', 'toolCall', 'metadata', 'tags'].map(
    (name) => [name, 'context'] as const,
  ),
  ...['approvedBy', 'traceparent', 'traceId', 'labels'].map((name) => [name, 'context'] as const),
  ['id', 'requestId'],
  ['agent', 'agentId'],
  ['machine', 'machineId'],
  ['host', 'machineId'],
  ['command', 'argv'],
  ['args', 'argv'],
  ['rule', 'matchedAcl'],
  ['acl', 'matchedAcl'],
  ['stdin', 'stdinBytes'],
  ['timeout', 'timeoutMs'],
  ['exitCode', 'code'],
  ['status', 'code'],
  ['stdout', 'stdoutBytes'],
  ['stderr', 'stderrBytes'],
])

/** The names of one event type's fields. */
export class FieldNames {
  readonly #names: readonly string[]
  /** Those of the last event that was unlike the one before, in its order. */
  #given: readonly string[]

  constructor(names: readonly string[]) {
    this.#names = names
    this.#given = names
  }

  /** Throws if the event has an own enumerable property that is no field. */
  check(event: object): void {
    const given = this.#given
    let count = 0
    // A gateway makes its events alike: comparing names costs 2 ns each, looking them up far more.
    for (const name in event) {
      if (name !== given[count++]) {
        this.#checkEach(event)
        break
      }
    }
  }

  #checkEach(event: object): void {
    const given = Object.keys(event)
    const unknown = given.find((name) => !this.#names.includes(name))
    if (unknown !== undefined) throw unknownField(unknown, this.#names)
    this.#given = given
  }
}

export const REQUEST_FIELDS = new FieldNames(FIELDS.request)
export const STARTED_FIELDS = new FieldNames(FIELDS.started)
export const WARNING_FIELDS = new FieldNames(FIELDS.warning)
export const EXIT_FIELDS = new FieldNames(FIELDS.exit)
export const DENIAL_FIELDS = new FieldNames(FIELDS.denial)

function unknownField(name: string, names: readonly string[]): TypeError {
  const known = new Map([...ALIASES].filter(([, meant]) => names.includes(meant)))
  const field = shownName(name)
  const text = `${field}: unknown field; ${hintFor(name, names, known)}`
  return invalidEvent(new TypeError(text), field)
}

/** The event, checked to have no other fields, and without those that a polluted Object.prototype would lend it. */
export function fieldsOf(names: FieldNames, input: unknown): Record<string, unknown> {
  if (!isObject(input)) {
    const text = `event: expected an object with the event's fields, got ${describe(input)}`
    throw invalidEvent(new TypeError(text), 'event')
  }
  names.check(input)
  return isFieldLent(EMPTY_OBJECT) ? ownFields(input) : input
}

/**
 * Whether a plain object has a field of an event by inheritance. Each is asked for by its name: a loop
 * over all properties costs more, and would miss those that are not enumerable.
 */
function isFieldLent(empty: object): boolean {
  return (
    'requestId' in empty ||
    'agentId' in empty ||
    'machineId' in empty ||
    'argv' in empty ||
    'matchedAcl' in empty ||
    'stdinBytes' in empty ||
    'timeoutMs' in empty ||
    'pid' in empty ||
    'kind' in empty ||
    'bytes' in empty ||
    'code' in empty ||
    'signal' in empty ||
    'durationMs' in empty ||
    'stdoutBytes' in empty ||
    'stderrBytes' in empty ||
    'truncated' in empty ||
    'reason' in empty ||
    'context' in empty
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The event's own fields, and those of its class, but none that Object.prototype was given. */
function ownFields(event: Record<string, unknown>): Record<string, unknown> {
  return new Proxy(event, {
    get(target, name) {
      const isPolluted = name in Object.prototype && !Object.hasOwn(target, name)
      return isPolluted ? undefined : Reflect.get(target, name)
    },
  })
}
