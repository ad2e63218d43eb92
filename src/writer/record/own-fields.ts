import { describe } from '../../base/describe'
import { invalidEvent } from '../../base/field-checks'

/*
 * An event's fields are read by their names, so an Object.prototype that was polluted would lend an event
 * the fields that it leaves out.
 */

const EMPTY_OBJECT: object = {}

/** The event, without the fields that a polluted Object.prototype would lend it. */
export function fieldsOf(input: unknown): Record<string, unknown> {
  if (!isObject(input)) {
    const text = `event: expected an object with the event's fields, got ${describe(input)}`
    throw invalidEvent(new TypeError(text), 'event')
  }
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
