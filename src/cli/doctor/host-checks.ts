import { readdirSync, statSync } from 'node:fs'
import { quoteArgument } from '../shared/escape'
import { fail, merged, ok, type Verdict, warn } from './finding'
import { userName } from './owner'
import { readProc } from './proc'
import type { Subject } from './subject'

/* The machine, the process and its user: the checks that do not touch the log's disk. */

const NODE_OLDEST = [20, 19] as const
/** No machine that runs this has a clock before it. */
const OLDEST_TIME = Date.UTC(2025, 0, 1)
const FILES_MIN = 1_024
/** The bytes that a log must be able to grow by before the limit on file sizes. */
const FILE_ROOM_BYTES = 2 ** 30

export function checkNode(): Verdict {
  const found = `${process.version} on ${process.platform} ${process.arch}`
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldestMajor, oldestMinor] = NODE_OLDEST
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    const oldest = NODE_OLDEST.join('.')
    return fail(`${found}; ${oldest} or newer is needed`, `nvm install ${oldestMajor}`)
  }
  if (process.platform === 'linux') return ok(found)
  return warn(`${found}; the promises about crashes and power cuts are tested on Linux alone`)
}

export function checkUser(): Verdict {
  return ok(
    `${userName()} (uid ${process.geteuid?.() ?? 'unknown'}), and the gateway must run as this user too`,
  )
}

export function checkClock(now = Date.now()): Verdict {
  const found = new Date(now).toISOString()
  if (now >= OLDEST_TIME) return ok(found)
  return fail(
    `${found}, which is long past, and so will be the events' times`,
    'timedatectl set-ntp true',
  )
}

/** Node's permission model: the writer needs its folder and a thread, which alone may sync. */
export function checkPermissions({ path, folder }: Subject): Verdict {
  const { permission } = process
  // It is there only if the model is on.
  if (permission === undefined) return ok('the permission model of Node is off')
  const needed: readonly [allowed: boolean, flag: string, why: string][] = [
    [
      permission.has('fs.read', folder),
      `--allow-fs-read=${quoteArgument(folder)}`,
      'reading the folder',
    ],
    [
      permission.has('fs.write', path),
      `--allow-fs-write=${quoteArgument(folder)}`,
      'writing the log',
    ],
    [permission.has('worker'), '--allow-worker', 'a thread, without which nothing is synced'],
  ]
  const missing = needed.filter(([allowed]) => !allowed)
  if (missing.length === 0)
    return ok('the permission model of Node is on, and allows what is needed')
  return fail(
    `the permission model of Node forbids ${missing.map(([, , why]) => why).join(', and ')}`,
    `node ${missing.map(([, flag]) => flag).join(' ')}`,
  )
}

/** The limits of this process; the gateway has them too if it is started in the same way. */
export function checkLimits({ path }: Subject): Verdict {
  const limits = readProc('/proc/self/limits', 'the limits')
  if ('verdict' in limits) return limits.verdict
  return merged([
    filesLimit(softLimit(limits.text, 'Max open files')),
    sizeLimit(softLimit(limits.text, 'Max file size'), sizeOf(path)),
  ])
}

function filesLimit(limit: number): Verdict {
  const open = readdirOr('/proc/self/fd').length
  const found = limit === Number.POSITIVE_INFINITY ? 'open files unlimited' : `${limit} open files`
  // The writer takes five at most; the rest is what the gateway itself needs.
  if (limit - open < 5) return fail(`${found}, which are used up`, `ulimit -n ${FILES_MIN}`)
  if (limit >= FILES_MIN) return ok(found)
  return warn(`${found} at most, of which a gateway may need more`, `ulimit -n ${FILES_MIN}`)
}

function sizeLimit(limit: number, size: number): Verdict {
  if (limit === Number.POSITIVE_INFINITY) return ok('file size unlimited')
  const found = `a file may have ${limit} bytes, and the log has ${size}`
  const remedy = 'ulimit -f unlimited'
  if (limit <= size) return fail(`${found}: nothing can be written`, remedy)
  return limit - size < FILE_ROOM_BYTES ? warn(found, remedy) : ok(found)
}

/** The soft limit in a line of /proc/self/limits. */
export function softLimit(limits: string, name: string): number {
  const [, soft] = new RegExp(`^${name} +(\\S+)`, 'm').exec(limits) ?? []
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

function sizeOf(path: string): number {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0
  } catch {
    return 0
  }
}

function readdirOr(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
