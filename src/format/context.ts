import { utf8Bytes } from '../base/bytes'

/** Properties of a context at most. */
export const CONTEXT_ENTRIES_MAX = 64
/** UTF-8 of its keys and values at most, before escaping. */
export const CONTEXT_BYTES_MAX = 16 * 1024
/** The keys allowed, in words. */
export const CONTEXT_KEY_RULE =
  "a key of 1 to 64 characters, a letter first, then letters, digits, '_', '.' and '-'"

const KEY = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/

/** Whether a context may have this key. */
export function isContextKey(key: string): boolean {
  return KEY.test(key)
}

/** The bytes of keys and values, which count towards {@link CONTEXT_BYTES_MAX}. */
export function contextBytes(strings: readonly string[]): number {
  return strings.reduce((sum, string) => sum + utf8Bytes(string), 0)
}
