import { readFile } from 'node:fs/promises'
import { codeOf, textOf } from '../../base/describe'
import type { LogFile } from '../../follow/log-file'
import { replaceUnsynced } from '../../seal/sealer/durable-file'
import { sha256Of } from './line-cutter'

/*
 * Where a shipper stands in its log, and the file that keeps it. It is a hint: what it says is compared with the
 * stream and with the log, and without it the place is found by reading.
 */

/** The place in one file. */
export interface FilePlace {
  readonly name: string
  readonly device: string
  readonly inode: string
  /** Where the next line begins in the file's text: bytes. */
  readonly offset: number
  /** The SHA-256 of up to 4,096 bytes before the offset, in hex: by them the file is known again. */
  readonly seam: string
}

/** The place behind a line. */
export interface Place {
  /** The index of the next line. */
  readonly index: number
  /** The files that may get more lines, in the order in which they are read. */
  readonly files: readonly FilePlace[]
  /** The SHA-256 of the first lines of files that were read, in hex, the newest last. */
  readonly known: readonly string[]
}

/** A place, with the stream's end at that time. */
export interface ShipState extends Place {
  /** The stream's name. */
  readonly stream: string
  readonly origin: string
  /** The SHA-256 of the message before `index`, in hex; empty for none. */
  readonly sha256: string
  /** The stream's end, in its own word. */
  readonly position: string
  /** The index behind the last line that is stored: below `index` as long as a gap's record is on its way. */
  readonly stored: number
}

const MODE = 0o600
const VERSION = 1

/** Where a file stands. */
export function filePlace(file: LogFile): FilePlace {
  return {
    name: file.name,
    device: String(file.device),
    inode: String(file.inode),
    offset: file.position,
    seam: sha256Of(file.seam).toString('hex'),
  }
}

/** Replaces the state's file. A power cut may leave the old one. */
export function writeState(file: string, state: ShipState): Promise<void> {
  return replaceUnsynced(file, `${JSON.stringify({ version: VERSION, ...state })}\n`, MODE)
}

/**
 * The state that a file keeps; undefined if there is none, or it is none of this version.
 * @throws what the file system throws
 */
export async function readState(file: string): Promise<ShipState | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw new Error(`cannot read the state ${file}: ${textOf(thrown)}`)
  }
  try {
    const value: unknown = JSON.parse(text)
    return isState(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isState(value: unknown): value is ShipState {
  if (typeof value !== 'object' || value === null) return false
  const state: Partial<ShipState & { version: unknown }> = value
  const { version, index, files, known, stream, origin, sha256, position, stored } = state
  const texts = [stream, origin, sha256, position]
  return (
    version === VERSION &&
    isCount(index) &&
    isCount(stored) &&
    texts.every((text) => typeof text === 'string') &&
    Array.isArray(files) &&
    files.every(isFilePlace) &&
    Array.isArray(known) &&
    known.every((text) => typeof text === 'string')
  )
}

function isFilePlace(value: unknown): value is FilePlace {
  if (typeof value !== 'object' || value === null) return false
  const { name, device, inode, offset, seam }: Partial<FilePlace> = value
  return isCount(offset) && [name, device, inode, seam].every((text) => typeof text === 'string')
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
