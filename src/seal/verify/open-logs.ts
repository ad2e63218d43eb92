import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { codeOf, textOf } from '../../base/describe'
import { SealError } from '../seal-error'

/** A file of the log that is open. */
export interface OpenLog {
  readonly name: string
  readonly handle: FileHandle
  readonly inode: bigint
  readonly device: bigint
  /** No line of it was written later. The file's own time, which copies keep, unless that is later than the system's. */
  readonly changedMs: number
}

/** Opens all files of a log at once, before any of them is read. A FIFO is refused and is no hang. */
export async function openLogs(names: readonly string[]): Promise<OpenLog[]> {
  const opened: OpenLog[] = []
  try {
    for (const name of names) opened.push(await openLog(name))
    return opened
  } catch (thrown) {
    await closeLogs(opened)
    throw thrown
  }
}

async function openLog(name: string): Promise<OpenLog> {
  let handle: FileHandle
  try {
    handle = await open(name, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (thrown) {
    throw new SealError(`cannot open ${name}: ${textOf(thrown)}`)
  }
  const stats = await handle.stat({ bigint: true })
  if (stats.isFile()) {
    const changedMs = Math.min(Number(stats.mtimeMs), Number(stats.ctimeMs))
    return { name, handle, inode: stats.ino, device: stats.dev, changedMs }
  }
  await handle.close()
  throw new SealError(`${name} is no regular file; name the log's files`)
}

export async function closeLogs(logs: readonly OpenLog[]): Promise<void> {
  await Promise.all(logs.map(({ handle }) => handle.close()))
}

/** Whether each name still leads to the file that was opened: none was rotated meanwhile. */
export async function areInPlace(logs: readonly OpenLog[]): Promise<boolean> {
  for (const { name, inode, device } of logs) {
    const now = await statAt(name)
    if (now?.ino !== inode || now.dev !== device) return false
  }
  return true
}

async function statAt(name: string) {
  try {
    return await stat(name, { bigint: true })
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw new SealError(`cannot look at ${name}: ${textOf(thrown)}`)
  }
}
