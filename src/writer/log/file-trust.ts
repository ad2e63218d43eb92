import { type BigIntStats, statSync } from 'node:fs'
import {
  REASON_FILE_OWNER,
  REASON_FILE_WRITABLE,
  REASON_FOLDER_OWNER,
  REASON_FOLDER_WRITABLE,
  REASON_HARD_LINK,
} from '../ring/failure-word'

/*
 * Who else could change the log: what sshd calls strict modes, for the file and the folder it is in.
 * Root is trusted, since it can do anything; and so are the bits that the options give to others.
 */

const ROOT = 0n
/** Write permission of the group and of all others. */
const WRITABLE_BITS = 0o022
/** In a sticky folder, such as /tmp, nobody can remove or rename what is another's. */
const STICKY_BIT = 0o1000

/** Why the file is unsafe, as REASON constants of failure.ts; empty when it is not. */
export function distrustFile(stats: BigIntStats, fileMode: number): number[] {
  const reasons: number[] = []
  if (stats.nlink > 1n) reasons.push(REASON_HARD_LINK)
  if (isForeign(stats.uid)) reasons.push(REASON_FILE_OWNER)
  if ((Number(stats.mode) & WRITABLE_BITS & ~fileMode) !== 0) reasons.push(REASON_FILE_WRITABLE)
  return reasons
}

/** The same for a file's folder. */
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
