import { printable } from './describe'

/*
 * For a name that is not known: the nearest one that is.
 */

/** As much of a name as is compared: a stranger's may be of any length. */
const COMPARED_CHARACTERS = 64
/** Shorter names are an end of others by chance. */
const END_CHARACTERS_MIN = 3
/** Edits beyond this share of the longer name make another name. */
const EDITS_SHARE = 0.4

/**
 * What to do about an unknown name, such as `did you mean argv? Known are argv, kind`; if none is near, `known are …`.
 * @param aliases other names by which one may be meant, each with its known name
 */
export function hintFor(
  name: string,
  names: readonly string[],
  aliases: ReadonlyMap<string, string> = new Map(),
): string {
  const near = nearest(name, [...names, ...aliases.keys()])
  const known = `nown are ${names.join(', ')}`
  return near === undefined ? `k${known}` : `did you mean ${aliases.get(near) ?? near}? K${known}`
}

/** A name as it is if it looks like one, else quoted, short and in printable ASCII. */
export function shownName(name: string): string {
  return /^[\w$]{1,40}$/.test(name) ? name : printable(name)
}

/** The known name that is meant: one that begins or ends with it or it with one, or the one that takes the fewest edits to reach. Undefined if none is near. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const given = name.slice(0, COMPARED_CHARACTERS).toLowerCase()
  const distances = names.map((known) => distanceOf(given, known.toLowerCase()))
  const least = Math.min(...distances)
  return least <= 1 ? names[distances.indexOf(least)] : undefined
}

/** 0 for the same name, below 1 for one of which the other is an end, and else 1 for as many edits as are a slip. */
function distanceOf(given: string, known: string): number {
  const [short, long] = given.length < known.length ? [given, known] : [known, given]
  const isEnd = long.startsWith(short) || long.endsWith(short)
  if (isEnd && short.length >= END_CHARACTERS_MIN) return 1 - short.length / long.length
  return editDistance(given, known) / Math.max(1, Math.ceil(long.length * EDITS_SHARE))
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
