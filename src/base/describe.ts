/*
 * For thrown values, which may be anything. Not by class: an error that passes through a test
 * runner or a worker is another realm's.
 */

/** The thrown value as text. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown)
  } catch {
    return 'something that has no text'
  }
}

/** Its `code`, such as ENOSPC, if it has one. */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return thrown.code === undefined ? undefined : textOf(thrown.code)
}

const SHOWN_CHARACTERS = 40

/** A value's type, and as much of the value as is safe to show. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return `a string of ${value.length} characters`
  if (typeof value === 'number') return `the number ${value}`
  if (typeof value === 'boolean') return `the boolean ${value}`
  if (typeof value === 'bigint') return `the bigint ${shorten(value.toString())}`
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object'
  return typeof value
}

/** A text, short, quoted and in printable ASCII. */
export function printable(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text
  return JSON.stringify(cut).replace(/[^ -~]/g, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** The start of a text that may be long. */
export function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
