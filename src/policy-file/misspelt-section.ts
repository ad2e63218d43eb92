import { editDistance } from '../base/names'
import { PolicyFileError } from './errors'
import { isTable, lineOf, type Table } from './toml'

/*
 * Without its section a file is a disabled policy, under which everything is denied: right for a file
 * that is about something else, and a riddle to an operator who has misspelt the section's name.
 */

/** Refuses a document without a `section` that must have meant to have it. */
export function checkNotMisspelt(
  path: string,
  text: string,
  document: Table,
  section: string,
): void {
  const meant = Object.keys(document).find((name) => isNear(name, section))
  if (meant === undefined) return
  const problem = `unknown section; did you mean [${section}]? Without it the policy is disabled`
  throw invalid(path, text, problem, meant)
}

/** Refuses keys of `section` that stand outside of it, at the top of the document, and so have no effect. */
export function checkNotMisplaced(
  path: string,
  text: string,
  document: Table,
  section: string,
  keys: readonly string[],
): void {
  const misplaced = keys.find((key) => document[key] !== undefined && !isTable(document[key]))
  if (misplaced === undefined) return
  const problem = `it stands outside its section, and so has no effect; put it under [${section}]`
  throw invalid(path, text, problem, misplaced)
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

function invalid(path: string, text: string, problem: string, key: string): PolicyFileError {
  const line = lineOf(text, key)
  return new PolicyFileError('POLICY_FILE_INVALID', path, problem, { line, key })
}
