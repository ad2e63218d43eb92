import { types } from 'node:util'

/*
 * For what foreign functions return: TypeScript lets an async function pass as one that returns nothing.
 */

/** Whether it is a promise, of whatever realm or library. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (types.isPromise(value)) return true
  if (typeof value !== 'object' || value === null) return false
  return 'then' in value && typeof value.then === 'function'
}

/** Sees to it that nobody has to handle its rejection, if it is a promise. Never throws. */
export function ignoreRejection(value: unknown): void {
  try {
    if (isThenable(value)) Promise.resolve(value).then(undefined, () => undefined)
  } catch {
    // Something whose `then` cannot even be read will not reject.
  }
}
