import { lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import { codeOf } from '../../base/describe'

const WRITABLE_BY_OTHERS = 0o022
/** In a sticky folder, such as /tmp, nobody can rename another user's file. */
const STICKY = 0o1000
const ROOT = 0

/**
 * The folder on the way to a path in which somebody other than root and this user can rename what is below it, and
 * so put another one in its place; undefined if there is none.
 * @param path absolute; it need not be there
 * @param own the user id of the sealer
 */
export function unsafeFolderAbove(
  path: string,
  own: number = process.geteuid?.() ?? ROOT,
): string | undefined {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (!isSafe(folder, own)) return folder
    if (folder === dirname(folder)) return undefined
  }
}

function isSafe(folder: string, own: number): boolean {
  try {
    const { uid, mode } = lstatSync(folder)
    if (uid !== ROOT && uid !== own) return false
    return (mode & WRITABLE_BY_OTHERS) === 0 || (mode & STICKY) !== 0
  } catch (thrown) {
    // What is not there is made by the sealer.
    if (codeOf(thrown) === 'ENOENT') return true
    throw thrown
  }
}
