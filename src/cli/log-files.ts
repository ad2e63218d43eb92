import { statSync } from 'node:fs'
import type { AuditSource } from '../reader/source'
import { messageOf, usageError } from './errors'

/** A file that was named on the command line, or standard input. */
export interface InputFile {
  readonly name: string
  readonly source: AuditSource
  /** Bytes; undefined where it is no plain file. */
  readonly size: number | undefined
}

const STDIN = '-'
const STDIN_NAME = 'standard input'

/** The inputs that were named. Throws a usage error for one that is not there. */
export function inputFiles(names: readonly string[]): InputFile[] {
  if (names.length === 0) {
    throw usageError('expected the files of a log, the oldest first, or - for standard input')
  }
  if (names.filter((name) => name === STDIN).length > 1) {
    throw usageError('standard input can be read only once')
  }
  return names.map((name) => {
    if (name === STDIN) return { name: STDIN_NAME, source: process.stdin, size: undefined }
    return { name, source: name, size: sizeOf(name) }
  })
}

/** The size of all, where it is known of all, and they are not packed. */
export function totalBytes(files: readonly InputFile[]): number {
  const isKnown = files.every(({ name, size }) => size !== undefined && !name.endsWith('.gz'))
  return isKnown ? files.reduce((sum, { size = 0 }) => sum + size, 0) : 0
}

function sizeOf(name: string): number | undefined {
  try {
    const stats = statSync(name)
    if (!stats.isDirectory()) return stats.isFile() ? stats.size : undefined
  } catch (thrown) {
    throw usageError(messageOf(thrown))
  }
  throw usageError(`${name} is a folder; name the files in it`)
}
