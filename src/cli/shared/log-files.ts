import { statSync } from 'node:fs'
import type { AuditSource } from '../../reader/source'
import { usageError } from './errors'
import { bytesOf, DEFAULT_LOG, fileName, readError, STDIN } from './log-input'

/** A file that was named on the command line, or standard input. */
export interface InputFile {
  readonly name: string
  readonly source: AuditSource
  /** Bytes; undefined if it is not a plain file. */
  readonly size: number | undefined
}

/** The inputs that were named, or the default one. Throws a usage error for one that is not there. */
export function inputFiles(named: readonly string[]): InputFile[] {
  const names = named.length === 0 ? [DEFAULT_LOG] : named
  return names.map((name) => {
    if (name === STDIN) return { name: fileName(name), source: bytesOf(name), size: undefined }
    return { name, source: bytesOf(name), size: sizeOf(name) }
  })
}

/** The bytes of all files; 0 if that is unknown of one, or one is compressed. */
export function totalBytes(files: readonly InputFile[]): number {
  const isKnown = files.every(({ name, size }) => size !== undefined && !name.endsWith('.gz'))
  return isKnown ? files.reduce((sum, { size = 0 }) => sum + size, 0) : 0
}

function sizeOf(name: string): number | undefined {
  try {
    const stats = statSync(name)
    if (!stats.isDirectory()) return stats.isFile() ? stats.size : undefined
  } catch (thrown) {
    throw readError(name, thrown)
  }
  throw usageError(`${fileName(name)} is a folder; name the files in it`)
}
