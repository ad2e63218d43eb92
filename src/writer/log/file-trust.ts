import { type BigIntStats, statSync } from 'node:fs'
import {
  REASON_FILE_OWNER,
  REASON_FILE_WRITABLE,
  REASON_FOLDER_OWNER,
  REASON_FOLDER_WRITABLE,
  REASON_HARD_LINK,
} from '../ring/failure-word'

/*
 * Who else could change the log: what sshd calls strict modes, for the file and its folder. Root is
 * trusted, since it can do anything; so are the permission bits that the options grant to others.
 */

const ROOT = 0n
/** Write permission of the group and of all others. */
const WRITABLE_BITS = 0o022
/** In a sticky folder, such as /tmp, nobody can remove or rename another user's file. */
const STICKY_BIT = 0o1000

/** Why the file is unsafe, as REASON constants of failure-word.ts; empty if it is safe. */
export function distrustFile(stats: BigIntStats, fileMode: number): number[] {
  const reasons: number[] = []
  if (stats.nlink > 1n) reasons.push(REASON_HARD_LINK)
  if (isForeign(stats.uid)) reasons.push(REASON_FILE_OWNER)
  if ((Number(stats.mode) & WRITABLE_BITS & ~fileMode) !== 0) reasons.push(REASON_FILE_WRITABLE)
  return reasons
}

/** Why a file's folder is unsafe. */
export function distrustFolder(folder: string, dirMode: number): number[] {
  const stats = statSync(folder, { bigint: true, throwIfNoEntry: false })
  if (stats === undefined) return []
  const { uid, mode } = stats
  const reasons: number[] = []
  if (isForeign(uid)) reasons.push(REASON_FOLDER_OWNER)
  const isWritable = (Number(mode) & WRITABLE_BITS & ~dirMode) !== 0
  if (isWritable && (Number(mode) & STICKY_BIT) === 0) reasons.push(REASON_FOLDER_WRITABLE)
  return reasons
}

function isForeign(uid: bigint): boolean {
  // Without user ids (Windows) there is nothing to compare.
  const own = process.geteuid?.()
  return own !== undefined && uid !== ROOT && uid !== BigInt(own)
}
