import type { BigIntStats } from 'node:fs'
import { basename } from 'node:path'
import { type LogFile, uptimeMs } from '../../follow/log-file'
import { isSameListing, type Listed, type LogFollower, WATCH_MS } from '../../follow/log-follower'
import { SealError } from '../seal-error'
import { leafOf } from '../tree/hashes'
import { TILE_WIDTH } from '../tree/tiles'
import { hashedLines } from './hashed-lines'
import { BLANK_LEAF } from './known-files'
import type { SealFolder } from './seal-folder'
import type { Segment } from './segments'

/*
 * Where sealing goes on after a start: the last sealed line is looked for in the files that are there, by its content
 * and not by names and numbers, which change. What stands in the last tile is compared with the files on the way.
 */

const LISTINGS_MAX = 5
/** Rotations before a start whose files may still be written to. */
const LATE_FILES_MAX = 3
const REANCHOR =
  'if a backup was restored, or you know who did it: x0x-exec-audit seal reanchor --reason TEXT'

/** How a range that was sealed compares with a file. */
export type Comparison =
  | { readonly kind: 'same' }
  /** The line with this index, at this position in the file, is another one. */
  | { readonly kind: 'differs'; readonly index: number; readonly position: number }
  /** The file ends before the line with this index. */
  | { readonly kind: 'short'; readonly index: number; readonly position: number }

/** A range with its end: the index behind its last line. */
export interface SealedRange extends Segment {
  readonly end: number
}

export function rangesOf(segments: readonly Segment[], size: number): SealedRange[] {
  return segments.map((segment, i) => ({ ...segment, end: segments[i + 1]?.first ?? size }))
}

/** What a start needs to know. */
export interface ResumeTask {
  readonly follower: LogFollower
  readonly folder: SealFolder
  /** Lines in the tree. */
  readonly size: number
  /** This start of the machine; empty if the system does not tell. */
  readonly boot: string
  readonly ranges: readonly SealedRange[]
  readonly onNote: (message: string) => void
}

/**
 * Opens the files in which sealing goes on, each behind the lines that are sealed, the oldest first.
 * @throws SealError if the last tile's lines differ from those in the files
 */
export async function resume(task: ResumeTask): Promise<LogFile[]> {
  const last = task.ranges.at(-1)
  if (last === undefined) return []
  for (let i = 0; i < LISTINGS_MAX; i++) {
    const listed = await task.follower.list()
    const found = await findRange(task, listed, last)
    if (found !== undefined) {
      await checkLastTile(task, listed)
      const place = listed.findIndex(({ identity }) => found.is(identity))
      const older = await lateFiles(task, listed.slice(0, Math.max(0, place)))
      // The last line may have come late to an older file.
      const newer = await filesBehind(task, place < 0 ? [] : listed.slice(place + 1), () => true)
      return [...older, found, ...newer]
    }
    // A rotation in between may have hidden it.
    if (isSameListing(listed, await task.follower.list())) break
  }
  return await withoutLast(task, last)
}

/**
 * The files that hold sealed lines, each behind them, if that with the last ones is gone.
 * @throws SealError if it is not gone, or the log is older than the seal
 */
async function withoutLast(task: ResumeTask, last: SealedRange): Promise<LogFile[]> {
  const behind = await filesBehind(task, await task.follower.list(), () => true)
  try {
    await checkIsGone(task, last, behind)
  } catch (thrown) {
    await Promise.all(behind.map((file) => file.close()))
    throw thrown
  }
  task.onNote(
    `the file with the indexes ${last.first} to ${last.end - 1} is gone; what stood behind them in it was not sealed`,
  )
  return behind
}

/** The file that holds a range, behind it; undefined if none does. Throws a SealError if it holds only a part. */
async function findRange(
  task: ResumeTask,
  listed: readonly Listed[],
  range: SealedRange,
): Promise<LogFile | undefined> {
  const leafAt = task.folder.leavesOf(task.size)
  let partly: { each: Listed; comparison: Exclude<Comparison, { kind: 'same' }> } | undefined
  for (const each of likelyFirst(listed, range)) {
    const file = await task.follower.openListed(each)
    if (file === undefined) continue
    const comparison = await compareRange(file, range, leafAt)
    const isFound = isFileOf(file, comparison, range, leafAt)
    if (isFound && comparison.kind === 'same') return file
    await file.close()
    if (!isFound || comparison.kind === 'same') continue
    if (comparison.index > (partly?.comparison.index ?? range.first)) partly = { each, comparison }
  }
  return partly && (await partOf(task, listed, range, partly))
}

/**
 * Whether the lines that a file shares with a range say that it is the range's. Blank ones do so only beside its
 * numbers, and not before a line that differs. gzip gives a file new numbers: then that it begins with the same blank
 * lines has to do.
 */
export function isFileOf(
  file: LogFile,
  comparison: Comparison,
  range: SealedRange,
  leafAt: (index: number) => Buffer,
): boolean {
  const end = comparison.kind === 'same' ? range.end : comparison.index
  for (let index = range.first; index < end; index++) {
    if (!leafAt(index).equals(BLANK_LEAF)) return true
  }
  if (file.isPacked && range.offset === 0 && comparison.kind === 'same') return true
  return end > range.first && comparison.kind !== 'differs' && isOf({ identity: file }, range)
}

/** The file that holds the beginning of a range, if it is known why the rest is lost. Throws a SealError else. */
async function partOf(
  task: ResumeTask,
  listed: readonly Listed[],
  range: SealedRange,
  { each, comparison }: { each: Listed; comparison: Exclude<Comparison, { kind: 'same' }> },
): Promise<LogFile | undefined> {
  const file = await task.follower.openListed(each)
  if (file === undefined) return undefined
  if (comparison.kind === 'short' && isTruncatedCopy(each, listed, range)) {
    await file.seek(comparison.position)
    task.onNote(
      `${file.path} is the copy of a log that was truncated, and lacks the indexes ${comparison.index} to ${range.end - 1}: they were sealed, and are lost`,
    )
    return file
  }
  await file.close()
  throw differenceError(file, comparison, range)
}

/** The files, the most likely first: that with the range's numbers, then the newest. */
export function likelyFirst(listed: readonly Listed[], range: Segment): readonly Listed[] {
  const newestFirst = listed.toReversed()
  const [likely, other] = [true, false].map((is) =>
    newestFirst.filter((each) => isOf(each, range) === is),
  )
  return [...(likely ?? []), ...(other ?? [])]
}

/** Whether the file has the numbers that the range's file had. */
function isOf({ identity: { device, inode } }: Pick<Listed, 'identity'>, range: Segment): boolean {
  return device === BigInt(range.device) && inode === BigInt(range.inode)
}

/** logrotate's copytruncate: the file that was sealed is there, with other lines in it, and this is another one. */
function isTruncatedCopy(each: Listed, listed: readonly Listed[], range: Segment): boolean {
  return !isOf(each, range) && listed.some((other) => isOf(other, range))
}

function differenceError(
  { path }: LogFile,
  { kind, index, position }: Exclude<Comparison, { kind: 'same' }>,
  { end }: SealedRange,
): SealError {
  return new SealError(
    kind === 'differs'
      ? `${path}: the line of index ${index}, at byte ${position}, is not the one that was sealed; ${REANCHOR}`
      : `${path} ends at byte ${position}, and the indexes ${index} to ${end - 1} that were sealed are missing; ${REANCHOR}`,
  )
}

/** Compares a range's lines with a file's. If they are the same, the file stands behind them. */
export async function compareRange(
  file: LogFile,
  range: SealedRange,
  leafAt: (index: number) => Buffer,
): Promise<Comparison> {
  let [index, position] = [range.first, range.offset]
  if (!(await file.seek(position))) return { kind: 'short', index, position }
  for await (const { entry, end } of hashedLines(file)) {
    if (!leafOf(entry).equals(leafAt(index))) return { kind: 'differs', index, position }
    position = end
    if (++index < range.end) continue
    await file.seek(position)
    return { kind: 'same' }
  }
  return { kind: 'short', index, position }
}

/** Compares the other lines of the last tile, as far as their files are there. */
async function checkLastTile(task: ResumeTask, listed: readonly Listed[]): Promise<void> {
  const tileStart = Math.floor((task.size - 1) / TILE_WIDTH) * TILE_WIDTH
  const leafAt = task.folder.leavesOf(task.size)
  for (const range of task.ranges.slice(0, -1).filter(({ end }) => end > tileStart)) {
    const each = listed.find((other) => isOf(other, range))
    if (each === undefined) continue
    const file = await task.follower.openListed(each)
    if (file === undefined) continue
    const comparison = await compareRange(file, range, leafAt)
    await file.close()
    if (comparison.kind === 'differs' && isFileOf(file, comparison, range, leafAt)) {
      throw differenceError(file, comparison, range)
    }
  }
}

/** Throws a SealError if the range's newest lines are there, although it is not, or an older file is the log. */
async function checkIsGone(
  task: ResumeTask,
  last: SealedRange,
  behind: readonly LogFile[],
): Promise<void> {
  const { follower, folder, size } = task
  const leafAt = folder.leavesOf(size)
  const tileStart = Math.floor((size - 1) / TILE_WIDTH) * TILE_WIDTH
  const indexes = new Map<string, number>()
  for (let index = Math.max(tileStart, last.first); index < size; index++) {
    indexes.set(leafAt(index).toString('hex'), index)
  }
  indexes.delete(BLANK_LEAF.toString('hex'))
  const listed = await follower.list()
  for (const each of listed) {
    const file = await follower.openListed(each)
    if (file === undefined) continue
    try {
      for await (const { entry, end } of hashedLines(file)) {
        const index = indexes.get(leafOf(entry).toString('hex'))
        if (index === undefined) continue
        throw new SealError(
          `${file.path} has the line of index ${index} before byte ${end}, and not all lines before it as they were sealed; ${REANCHOR}`,
        )
      }
      if (await isOldLog(task, file, behind)) {
        throw new SealError(
          `${file.path} is older than the seal, whose last lines are gone; ${REANCHOR}`,
        )
      }
    } finally {
      await file.close()
    }
  }
}

/** Whether the log is not the newest file that was sealed, or lacks sealed lines, as after a backup was restored. */
async function isOldLog(
  { follower, folder, size, ranges }: ResumeTask,
  file: LogFile,
  behind: readonly LogFile[],
): Promise<boolean> {
  if (file.path !== follower.path || !(await follower.isKnown(file))) return false
  const newest = newestLog(ranges, follower.path)
  if (newest === undefined || !behind.some((other) => other.is(file))) return true
  const leafAt = folder.leavesOf(size)
  const comparison = await compareRange(file, newest, leafAt)
  return comparison.kind !== 'same' || !isFileOf(file, comparison, newest, leafAt)
}

/** The beginning of the file that was opened last as the log: lines of an older one may have been sealed after its own. */
function newestLog(ranges: readonly SealedRange[], path: string): SealedRange | undefined {
  const name = basename(path)
  return ranges
    .filter(({ offset, file }) => offset === 0 && file === name)
    .reduce<SealedRange | undefined>((newest, range) => {
      return newest === undefined || !wasOpenedBefore(range, newest) ? range : newest
    }, undefined)
}

/** By the clock that nobody sets, as far as it goes. */
function wasOpenedBefore(one: Segment, other: Segment): boolean {
  if (one.uptime === undefined || other.uptime === undefined || one.boot !== other.boot) {
    return one.opened < other.opened
  }
  return one.uptime < other.uptime
}

/** Older files that a writer may still append to, as after a rotation just before a kill. */
async function lateFiles(task: ResumeTask, older: readonly Listed[]): Promise<LogFile[]> {
  const isLate = ({ ctimeMs }: BigIntStats, range: SealedRange | undefined) =>
    isWatched(Number(ctimeMs), task, range)
  const files = await filesBehind(task, older.slice(-LATE_FILES_MAX), isLate)
  for (const each of older.slice(-LATE_FILES_MAX)) {
    if (files.some((file) => file.is(each.identity))) continue
    const file = await task.follower.openListed(each)
    if (file === undefined) continue
    const stats = await file.handle.stat({ bigint: true })
    const isNew = isLate(stats, undefined) && !(await task.follower.isKnown(file))
    if (isNew && (await file.seek(0))) files.push(file)
    else await file.close()
  }
  return files
}

/** Those of the files that hold sealed lines, each behind the last of them. */
async function filesBehind(
  task: ResumeTask,
  listed: readonly Listed[],
  isWanted: (stats: BigIntStats, range: SealedRange) => boolean,
): Promise<LogFile[]> {
  const files: LogFile[] = []
  const leafAt = task.folder.leavesOf(task.size)
  for (const each of listed) {
    const file = await task.follower.openListed(each)
    if (file === undefined) continue
    const stats = await file.handle.stat({ bigint: true })
    let isBehind = false
    for (const range of await lastRangesIn(task, each, file)) {
      if (isBehind || !isWanted(stats, range)) continue
      const comparison = await compareRange(file, range, leafAt)
      isBehind = comparison.kind === 'same' && isFileOf(file, comparison, range, leafAt)
      if (isBehind) await passLater(task, file, range)
    }
    if (isBehind) files.push(file)
    else await file.close()
  }
  return files
}

/** Moves a file behind the ranges that continue one in it: in a copy, they have the copy's numbers, or older ones. */
async function passLater(task: ResumeTask, file: LogFile, range: SealedRange): Promise<void> {
  const leafAt = task.folder.leavesOf(task.size)
  for (const later of task.ranges) {
    if (later.first <= range.first || later.offset !== file.position) continue
    const position = file.position
    if ((await compareRange(file, later, leafAt)).kind !== 'same') await file.seek(position)
  }
}

/** What may be the newest range of a file: by its numbers, and by its first line if these have changed. */
async function lastRangesIn(
  { ranges }: ResumeTask,
  listed: Listed,
  file: LogFile,
): Promise<ReadonlySet<SealedRange>> {
  const first = (await firstEntryOf(file))?.toString('hex')
  const begun = ranges.filter(({ offset, sha256 }) => offset === 0 && sha256 === first)
  const last = new Set(ranges.filter((range) => isOf(listed, range)).slice(-1))
  for (const { device, inode } of begun.toReversed()) {
    const byLine = ranges.findLast((range) => range.device === device && range.inode === inode)
    if (byLine !== undefined) last.add(byLine)
  }
  return last
}

/** The entry of a file's first line; undefined if it has none yet. */
async function firstEntryOf(file: LogFile): Promise<Buffer | undefined> {
  await file.seek(0)
  for await (const { entry } of hashedLines(file)) return entry
  return undefined
}

/**
 * Whether it changed last within the time that a rotated file is watched: until so long after the next file was
 * opened, and for one without sealed lines, that with the last ones. The time of the change cannot be set back, other
 * than the file's own time. If the clock was set meanwhile, the file is watched for longer, and no line is lost.
 */
function isWatched(
  changedMs: number,
  { ranges, boot }: ResumeTask,
  range: SealedRange | undefined,
): boolean {
  const next =
    range === undefined
      ? ranges.at(-1)
      : ranges.find(
          ({ device, inode, first }) =>
            first > range.first && (device !== range.device || inode !== range.inode),
        )
  if (next === undefined) return false
  // The clock was set back after the change, and nobody knows when that was.
  if (changedMs > Date.now()) return true
  return changedMs - setForwardMs(next, boot) < next.opened + WATCH_MS
}

/** How far the clock was set forward since a file was opened; 0 if the machine was started again since then. */
function setForwardMs({ opened, uptime, boot }: Segment, here: string): number {
  if (uptime === undefined || boot !== here) return 0
  return Math.max(0, Date.now() - uptimeMs() - (opened - uptime))
}
