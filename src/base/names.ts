import { printable } from './describe'

/*
 * For a name that is not known: the nearest one that is.
 */

/** As much of a name as is compared: a stranger's may be of any length. */
const COMPARED_CHARACTERS = 64

/**
 * What to do about an unknown name, such as `did you mean argv? Known are argv, kind`.
 * @param aliases other names by which one may be meant, each with its known name
 */
export function hintFor(
  name: string,
  names: readonly string[],
  aliases: ReadonlyMap<string, string> = new Map(),
): string {
  const near = nearest(name.slice(0, COMPARED_CHARACTERS), [...names, ...aliases.keys()])
  return `did you mean ${aliases.get(near) ?? near}? Known are ${names.join(', ')}`
}

/** A name as it is if it looks like one, else quoted, short and in printable ASCII. */
export function shownName(name: string): string {
  return /^[\w$]{1,40}$/.test(name) ? name : printable(name)
}

/** The known name that takes the fewest edits to reach. */
export function nearest(name: string, names: readonly string[]): string {
  const distances = names.map((known) => editDistance(name.toLowerCase(), known.toLowerCase()))
  return names[distances.indexOf(Math.min(...distances))] ?? ''
}

/** Levenshtein's distance, one row at a time. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      const replaced = (row[j - 1] ?? 0) + (isSame ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
