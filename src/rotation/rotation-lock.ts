import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { codeOf } from '../base/describe'

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const TAKE_OVERS_MAX = 3

/**
 * Runs `use` while a lock file is this process's; undefined if another process has it. A lock whose process
 * has ended on this host is taken over; one of another host has to be removed by hand.
 */
export async function withLock<T>(path: string, use: () => Promise<T>): Promise<T | undefined> {
  const handle = await take(path)
  if (handle === undefined) return undefined
  try {
    return await use()
  } finally {
    await handle.close()
    await rm(path, { force: true })
  }
}

async function take(path: string): Promise<FileHandle | undefined> {
  for (let tries = 0; tries < TAKE_OVERS_MAX; tries++) {
    try {
      const handle = await open(path, FLAGS, 0o600)
      await handle.writeFile(`${process.pid} ${hostname()}\n`)
      return handle
    } catch (thrown) {
      if (codeOf(thrown) !== 'EEXIST') throw thrown
    }
    if (!(await removeDead(path))) return undefined
  }
  return undefined
}

/** Removes a lock whose process has ended; false if it has not, or if that cannot be known. */
async function removeDead(path: string): Promise<boolean> {
  const dead = await deadLock(path)
  if (dead === undefined) return false
  // Another process may have done so in the meantime, and then this is its lock.
  const aside = `${path}.${process.pid}`
  await rename(path, aside)
  const isSame = (await lstat(aside)).ino === dead.ino
  if (isSame) await rm(aside)
  else await rename(aside, path)
  return isSame
}

async function deadLock(path: string): Promise<Stats | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const [pid = '', host] = String(await handle.readFile())
      .trim()
      .split(' ')
    if (!/^\d+$/.test(pid) || host !== hostname() || isAlive(Number(pid))) return undefined
    return await handle.stat()
  } finally {
    await handle.close()
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return codeOf(thrown) !== 'ESRCH'
  }
}
