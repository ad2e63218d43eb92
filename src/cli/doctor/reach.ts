import { spawnSync } from 'node:child_process'
import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { quoteArgument } from '../shared/escape'
import { merged, ok, type Verdict, warn } from './finding'
import { nameOf } from './owner'
import type { Commands, Subject } from './subject'

/* What the commands themselves could do to the log: a trail that its subjects can change proves nothing. */

interface User {
  readonly name: string
  readonly uid: number
  readonly gids: readonly number[]
}

const [READ, WRITE, SEARCH] = [4, 2, 1]
const STICKY = 0o1000

/** Whether anything is known of the commands, so that there is something to check. */
export function areKnown({ user, folder }: Commands): boolean {
  return user !== undefined || folder !== undefined
}

export function checkCommands(subject: Subject): Verdict {
  const { user, folder } = subject.commands
  if (user === undefined) return folderVerdict(folder ?? '', subject)
  const reach = reachOf(user, subject)
  return folder === undefined ? reach : merged([reach, folderVerdict(folder, subject)])
}

/** Whether a user could read, change, remove or replace the log. */
function reachOf(name: string, { path, nearestFolder, folder }: Subject): Verdict {
  const user = userNamed(name)
  if (user === undefined)
    return warn(`there is no user ${name}`, 'getent passwd # and name one of these')
  if (user.uid === 0) {
    return warn(
      'commands that run as root can change the log, whatever its mode',
      '# run them as another user',
    )
  }
  const ways = [
    ...waysThrough(user, realOf(nearestFolder)),
    ...(nearestFolder === folder ? waysInto(user, path) : []),
  ]
  const [first] = ways
  if (first === undefined) return ok(`commands that run as ${user.name} cannot reach the log`)
  const remedy =
    user.uid === statOf(path)?.uid || user.uid === statOf(folder)?.uid
      ? `# run the commands as another user than ${nameOf(user.uid)}, whom the log belongs to`
      : `chmod 700 ${quoteArgument(folder)} && chmod 600 ${quoteArgument(path)}`
  return warn(`commands that run as ${user.name} ${ways.join(', and ')}`, remedy)
}

/** The folders on the way to the log that a user may change, and so put another log there. */
function waysThrough(user: User, folder: string): string[] {
  const ways: string[] = []
  for (let at = folder; ; at = dirname(at)) {
    const stats = statOf(at)
    if (stats !== undefined && mayReplace(user, stats)) ways.push(`can replace what is in ${at}`)
    if (dirname(at) === at) return ways
  }
}

function mayReplace(user: User, stats: Stats): boolean {
  if (stats.uid === user.uid) return true
  // In a sticky folder each may move only what is its own.
  return may(user, stats, WRITE | SEARCH) && (stats.mode & STICKY) === 0
}

/** What a user may do with the log itself, if it gets there. */
function waysInto(user: User, path: string): string[] {
  const stats = statOf(path)
  if (stats === undefined || !canEnter(user, dirname(realOf(path)))) return []
  if (stats.uid === user.uid) return ['own the log and can change it']
  if (may(user, stats, WRITE)) return ['can write to the log']
  return may(user, stats, READ) ? ['can read the log'] : []
}

function canEnter(user: User, folder: string): boolean {
  const stats = statOf(folder)
  if (stats !== undefined && !may(user, stats, SEARCH)) return false
  return dirname(folder) === folder || canEnter(user, dirname(folder))
}

/** The permission by the mode; access lists may grant more. */
function may(user: User, { uid, gid, mode }: Stats, wanted: number): boolean {
  const bits = uid === user.uid ? mode >> 6 : user.gids.includes(gid) ? mode >> 3 : mode
  return (bits & wanted) === wanted
}

function folderVerdict(folder: string, { path }: Subject): Verdict {
  const way = relative(realOf(resolve(folder)), realOf(path))
  if (way.startsWith('..')) return ok(`the commands' folder ${folder} does not hold the log`)
  return warn(
    `the log is in the commands' working folder, as ${way}: a command may hit it by mistake`,
    "# put the log outside of the commands' folder",
  )
}

/** Links resolved as far as there is something. */
function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return dirname(path) === path
      ? path
      : resolve(realOf(dirname(path)), relative(dirname(path), path))
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? statSync(path) : lstatSync(path)
  } catch {
    return undefined
  }
}

/** A user by name or number, with its groups, from wherever the machine knows them. */
function userNamed(name: string): User | undefined {
  const [uid, gids] = [idOf('-u', name), idOf('-G', name)]
  if (uid !== undefined && gids !== undefined) {
    return { name, uid: Number(uid), gids: gids.split(' ').map(Number) }
  }
  // A number that no name has is a user as well, for instance in a container.
  return /^\d+$/.test(name) ? { name, uid: Number(name), gids: [] } : undefined
}

function idOf(option: string, name: string): string | undefined {
  const { status, stdout } = spawnSync('id', [option, '--', name], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}
