import { join } from 'node:path'
import type { FileIdentity, LogFile } from '../../follow/log-file'
import type { LogFollower } from '../../follow/log-follower'
import { parseCheckpoint } from '../note/checkpoint'
import { parseNote } from '../note/note'
import { SealError } from '../seal-error'
import { CHECKPOINT_FILE, REANCHOR_FILE } from '../seal-files'
import {
  type Comparison,
  compareRange,
  isFileOf,
  likelyFirst,
  rangesOf,
  type SealedRange,
} from './resume'
import { SealFolder } from './seal-folder'

/*
 * A seal that was begun anew goes on where the old one ends: with the first line that the old tree lacks. The whole
 * old tree is compared with the files that are there, since it may have been begun anew because they differ.
 */

/** What the file `reanchor` says. */
export interface Reanchoring {
  readonly reason: string
  /** Milliseconds since 1970. */
  readonly time: number
  /** The old folder, beside the new one: its name. */
  readonly folder: string
  /** The old checkpoint, as it stood there. */
  readonly checkpoint: string
}

/** The folder of the seal before this one; undefined if there is none, or it is gone. */
export async function oldFolderOf(folder: SealFolder): Promise<SealFolder | undefined> {
  const text = (await folder.read(REANCHOR_FILE))?.toString()
  if (text === undefined) return undefined
  const { folder: name }: Partial<Reanchoring> = JSON.parse(text)
  if (name === undefined) return undefined
  const old = new SealFolder(join(folder.path, '..', name))
  return (await old.read(CHECKPOINT_FILE)) === undefined ? undefined : old
}

/** Opens the log's files that hold lines of an old seal, each behind them, the oldest first. */
export async function behindOldSeal(follower: LogFollower, old: SealFolder): Promise<LogFile[]> {
  const size = await sizeOf(old)
  const segments = await old.segments(size)
  const older = segments.length === 0 ? await oldFolderOf(old) : undefined
  if (older !== undefined) return await behindOldSeal(follower, older)
  const ends = new Map<string, LogFile>()
  try {
    for (const range of rangesOf(segments, size)) {
      if (!(await isPassed(follower, old, range, size, ends))) break
    }
  } catch (thrown) {
    await Promise.all([...ends.values()].map((file) => file.close()))
    throw thrown
  }
  const listed = await follower.list()
  const order = listed.map(({ identity }) => keyOf(identity))
  return [...ends.entries()]
    .toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b))
    .map(([, file]) => file)
}

/** Moves the range's file behind it; false at the first line that differs: there the file stands then. */
async function isPassed(
  follower: LogFollower,
  old: SealFolder,
  range: SealedRange,
  size: number,
  ends: Map<string, LogFile>,
): Promise<boolean> {
  const leafAt = old.leavesOf(size)
  for (const listed of likelyFirst(await follower.list(), range)) {
    const key = keyOf(listed.identity)
    const before = ends.get(key)
    const file = before ?? (await follower.openListed(listed))
    if (file === undefined) continue
    const position = file.position
    const comparison = await compared(file, range, leafAt)
    const isFound = isFileOf(file, comparison, range, leafAt)
    const isChangedThere = !isFound && before !== undefined && position === range.offset
    if (isFound || isChangedThere) {
      ends.set(key, file)
      if (comparison.kind === 'same') return true
      await file.seek(comparison.position)
      return false
    }
    if (before === undefined) await file.close()
    else await file.seek(position)
  }
  return true
}

/** A tile that cannot be read says nothing of its lines: they count as missing. */
async function compared(
  file: LogFile,
  range: SealedRange,
  leafAt: (index: number) => Buffer,
): Promise<Comparison> {
  try {
    return await compareRange(file, range, leafAt)
  } catch (thrown) {
    if (!(thrown instanceof SealError)) throw thrown
    return { kind: 'differs', index: range.first, position: range.offset }
  }
}

async function sizeOf(old: SealFolder): Promise<number> {
  const path = old.file(CHECKPOINT_FILE)
  const bytes = await old.read(CHECKPOINT_FILE)
  if (bytes === undefined) throw new SealError(`${path} is missing`)
  return parseCheckpoint(parseNote(bytes, path).text, path).size
}

function keyOf({ device, inode }: FileIdentity): string {
  return `${device}:${inode}`
}
