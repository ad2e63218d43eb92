import { types } from 'node:util'
import { describe, printable } from '../base/describe'
import { invalidEvent } from '../base/field-checks'
import {
  CONTEXT_BYTES_MAX,
  CONTEXT_ENTRIES_MAX,
  CONTEXT_KEY_RULE,
  contextBytes,
  isContextKey,
} from './context'
import type { EventContext } from './events'

const NONE: readonly string[] = []

/** A copy of a context, checked; undefined without one. */
export function contextOf(where: string, value: unknown): EventContext | undefined {
  const strings = contextStrings(value, () => undefined, where)
  if (strings.length === 0) return undefined
  const context: Record<string, string> = {}
  for (let i = 0; i < strings.length; i += 2) context[strings[i] ?? ''] = strings[i + 1] ?? ''
  return context
}

/**
 * The keys and values of an event's context, in turn; undefined values are left out. Throws for whatever the
 * contract does not allow, and names the key.
 * @param at notes the field that is read next, for the case that its getter throws
 * @param where the name of the context itself
 */
export function contextStrings(
  value: unknown,
  at: (field: string) => void,
  where = 'context',
): readonly string[] {
  if (value === undefined || value === null) return NONE
  if (!isTexts(value)) {
    const text = `${where}: expected an object of strings, got ${types.isMap(value) ? 'a Map' : describe(value)}`
    throw invalidEvent(new TypeError(text), where)
  }
  const keys = Object.keys(value)
  if (keys.length > CONTEXT_ENTRIES_MAX) {
    const text = `${where}: expected at most ${CONTEXT_ENTRIES_MAX} properties, got ${keys.length}`
    throw invalidEvent(new RangeError(text), where)
  }
  const strings: string[] = []
  for (const key of keys) {
    if (!isContextKey(key)) throw wrongKey(where, key)
    const field = `${where}.${key}`
    at(field)
    const text = value[key]
    if (text === undefined) continue
    if (typeof text !== 'string') {
      const message = `${field}: expected a string, got ${describe(text)}`
      throw invalidEvent(new TypeError(message), field)
    }
    strings.push(key, text)
  }
  checkSize(where, strings)
  return strings
}

/** An array or a Map holds its texts elsewhere than in its properties: it would be taken for an empty one. */
function isTexts(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && !Array.isArray(value) && !types.isMap(value)
}

function wrongKey(where: string, key: string) {
  const field = `${where}[${printable(key)}]`
  const text = `${field}: expected ${CONTEXT_KEY_RULE}`
  return invalidEvent(new RangeError(text), field)
}

function checkSize(where: string, strings: readonly string[]): void {
  const bytes = contextBytes(strings)
  if (bytes <= CONTEXT_BYTES_MAX) return
  const text = `${where}: expected at most ${CONTEXT_BYTES_MAX} bytes of UTF-8 in keys and values, got ${bytes}`
  throw invalidEvent(new RangeError(text), where)
}
