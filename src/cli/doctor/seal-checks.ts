import { lstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../../base/describe'
import { CHECKPOINT_FILE } from '../../seal/seal-files'
import { unsafeFolderAbove } from '../../seal/sealer/safe-folder'
import { quoteArgument } from '../shared/escape'
import { fail, ok, type Verdict } from './finding'
import { nameOf } from './owner'
import type { Subject } from './subject'

/* Whether the log's seal is kept from the gateway's user, and whether the sealer runs. */

const OTHERS = 0o077
const WRITABLE_BY_OTHERS = 0o022
const LAG_S_MAX = 60

/** The folder's owner must not be the gateway's user, and nobody else may write to it or rename it. */
export function checkSealFolder({ path, seal }: Subject): Verdict {
  const folder = seal?.folder ?? ''
  const stats = lstatSync(folder, { throwIfNoEntry: false })
  if (stats === undefined) {
    return fail(`${folder} is not there`, 'x0x-exec-audit seal init --help')
  }
  if (!stats.isDirectory()) return fail(`${folder} is no folder`, '# name the folder itself')
  if (stats.uid === gatewayOf(path)) {
    return fail(
      `${nameOf(stats.uid)} writes the log and owns its seal, and so can change both`,
      '# run the sealer as a user of its own: docs/seal/x0x-seal.service',
    )
  }
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
    return fail(`others can write to ${folder}`, `chmod go-w ${quoteArgument(folder)}`)
  }
  const unsafe = unsafeFolderAbove(folder, stats.uid)
  if (unsafe === undefined) return ok(`${nameOf(stats.uid)} alone can change ${folder}`)
  return fail(
    `others can rename what is in ${unsafe}, and so put another seal in the place of ${folder}`,
    "# keep the seal in a folder of the sealer's own, such as /var/lib/x0x-seal",
  )
}

/** Nobody but the sealer may read the key. */
export function checkSealKey({ path, seal }: Subject): Verdict {
  const key = seal?.key ?? ''
  try {
    const { uid, mode } = statSync(key)
    if (uid === gatewayOf(path)) {
      return fail(
        `${nameOf(uid)} writes the log and owns the key, and so can sign what it likes`,
        '# make a key as another user: x0x-exec-audit seal keygen',
      )
    }
    if ((mode & OTHERS) === 0) return ok(`${nameOf(uid)} alone can read the key`)
    return fail(`others than its owner can read ${key}`, `chmod 600 ${quoteArgument(key)}`)
  } catch (thrown) {
    if (codeOf(thrown) === 'EACCES') return ok('this user cannot reach the key')
    if (codeOf(thrown) === 'ENOENT') {
      return fail(`${key} is not there`, 'x0x-exec-audit seal keygen --help')
    }
    throw thrown
  }
}

/** A log that has changed since the last checkpoint, for longer than the sealer takes. */
export function checkSealLag({ path, seal }: Subject): Verdict {
  const checkpoint = statSync(join(seal?.folder ?? '', CHECKPOINT_FILE), { throwIfNoEntry: false })
  if (checkpoint === undefined) return fail('there is no checkpoint', 'x0x-exec-audit seal --help')
  const log = statSync(path, { throwIfNoEntry: false })
  const waitingMs = log === undefined || log.mtimeMs <= checkpoint.mtimeMs ? 0 : log.mtimeMs
  const seconds = waitingMs === 0 ? 0 : Math.round((Date.now() - waitingMs) / 1_000)
  if (seconds <= LAG_S_MAX) return ok('the log is sealed up to its end')
  return fail(
    `the log changed ${seconds} s ago and is not sealed since: the sealer does not run, or will not sign`,
    'systemctl status x0x-seal',
  )
}

/** The user id of who writes the log: its owner, or else this user. */
function gatewayOf(log: string): number | undefined {
  return statSync(log, { throwIfNoEntry: false })?.uid ?? process.geteuid?.()
}
