/*
 * What was thrown, which may be anything. Not asked by class: an error that passes through a test
 * runner or a worker is another realm's.
 */

/** As text. */
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
