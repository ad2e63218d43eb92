import { readFileSync } from 'node:fs'
import { codeOf } from '../../base/describe'
import { ok, type Verdict, warn } from './finding'

/** A file of /proc, or the verdict that `what` it describes is unknown. */
export function readProc(file: string, what: string): { text: string } | { verdict: Verdict } {
  try {
    return { text: readFileSync(file, 'utf8') }
  } catch (thrown) {
    return { verdict: unread(file, what, codeOf(thrown)) }
  }
}

function unread(file: string, what: string, code: string | undefined): Verdict {
  if (process.platform !== 'linux') return ok('not reported by this system')
  // The gateway may not read it either, which is as it should be.
  if (code === 'ERR_ACCESS_DENIED') return ok('not seen under the permission model of Node')
  const remedy =
    code === 'ENOENT'
      ? 'sudo mount -t proc proc /proc # in a container: start it with /proc'
      : `ls -ld /proc ${file} # and let this user read them`
  return warn(`${what} is unknown, since ${file} cannot be read (${code})`, remedy)
}
