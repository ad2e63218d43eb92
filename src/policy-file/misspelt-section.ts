import { editDistance } from '../base/names'
import type { Mistakes } from './mistakes'
import { isTable, type Table } from './toml'

/*
 * Without its section a file is a disabled policy, under which everything is denied: right for a file
 * that is about something else, and a riddle to an operator who has misspelt the section's name.
 */

/** Refuses a document without a `section` that must have meant to have it. */
export function checkNotMisspelt(mistakes: Mistakes, document: Table, section: string): void {
  const meant = Object.keys(document).find((name) => isNear(name, section))
  if (meant === undefined) return
  const problem = `unknown section; did you mean [${section}]? Without it the policy is disabled`
  mistakes.add([meant], problem)
}

/** Refuses keys of `section` that stand outside of it, at the top of the document, and so have no effect. */
export function checkNotMisplaced(
  mistakes: Mistakes,
  document: Table,
  section: string,
  keys: readonly string[],
): void {
  const problem = `it stands outside its section, and so has no effect; put it under [${section}]`
  for (const key of keys) {
    if (document[key] !== undefined && !isTable(document[key])) mistakes.add([key], problem)
  }
}

/** One edit away, in another order, in another case, or with something behind it: `exec_policy`. */
function isNear(name: string, section: string): boolean {
  const lower = name.toLowerCase()
  return (
    lower.startsWith(section) ||
    editDistance(lower, section) === 1 ||
    sorted(lower) === sorted(section)
  )
}

function sorted(name: string): string {
  return [...name].sort().join('')
}
