import { type BigIntStats, lstatSync, statSync } from 'node:fs'
import { STDIN } from './log-input'

interface NamedFile {
  readonly name: string
  /** Its device and inode; undefined for what is no plain file, and is read as often as it is named. */
  readonly id: string | undefined
  readonly isLink: boolean
}

/**
 * Leaves out names of a file that another name has, by a link or by another spelling, with notes for an
 * operator: its events would be counted twice, and the log would look broken. Names stand in the notes as they
 * are, and have to be escaped when they are shown.
 */
export function withoutRepeats(names: readonly string[]): {
  readonly names: readonly string[]
  readonly notes: readonly string[]
} {
  const kept = new Map<string, NamedFile>()
  const files = names.map(look)
  for (const file of files) {
    const { id } = file
    if (id === undefined) continue
    const other = kept.get(id)
    // The file itself rather than a link to it: its name says when it was rotated.
    if (other === undefined || (other.isLink && !file.isLink)) kept.set(id, file)
  }
  const keptOf = (file: NamedFile) => (file.id === undefined ? file : (kept.get(file.id) ?? file))
  return {
    names: files.filter((file) => keptOf(file) === file).map(({ name }) => name),
    notes: files
      .filter((file) => keptOf(file) !== file)
      .map((file) => `${file.name} is left out, since it is the same file as ${keptOf(file).name}`),
  }
}

function look(name: string): NamedFile {
  const stats = name === STDIN ? undefined : statsOf(name, statSync)
  const id = stats?.isFile() ? `${stats.dev}:${stats.ino}` : undefined
  return { name, id, isLink: statsOf(name, lstatSync)?.isSymbolicLink() === true }
}

/** Undefined for a file that cannot be seen: the command that reads it reports that. */
function statsOf(name: string, stat: typeof statSync | typeof lstatSync): BigIntStats | undefined {
  try {
    return stat(name, { bigint: true, throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
