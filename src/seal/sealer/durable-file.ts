import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf } from '../../base/describe'

const FILE_MODE = 0o640
export const FOLDER_MODE = 0o750
const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = constants

/**
 * Replaces a file whole: after a power cut it is the old one or this one. Written beside it, synced, renamed, and
 * the folder synced.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  mode: number = FILE_MODE,
): Promise<void> {
  await replaceUnsynced(path, content, mode)
  await syncFolder(dirname(path))
}

/** As {@link replaceFile}; the caller syncs the folder. */
export async function replaceUnsynced(
  path: string,
  content: string | Uint8Array,
  mode: number = FILE_MODE,
): Promise<void> {
  await replaceAllUnsynced([{ path, content }], mode)
}

/**
 * As {@link replaceUnsynced} for many files, in phases: all are written, then all are synced, so that the file system
 * commits many of them at once. Each is open meanwhile: the caller bounds their number. It settles once nothing is
 * under way any more.
 */
export async function replaceAllUnsynced(
  files: readonly { readonly path: string; readonly content: string | Uint8Array }[],
  mode: number = FILE_MODE,
): Promise<void> {
  const handles: FileHandle[] = []
  try {
    await allOf(
      files.map(async ({ path, content }) => {
        const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
        const handle = await open(besideOf(path), flags, mode)
        handles.push(handle)
        await handle.writeFile(content)
      }),
    )
    await allOf(handles.map((handle) => handle.datasync()))
  } finally {
    await allOf(handles.map((handle) => handle.close()))
  }
  await allOf(files.map(({ path }) => rename(besideOf(path), path)))
}

function besideOf(path: string): string {
  return `${path}.new`
}

/** Waits for all of them, and then throws what the first one that failed has thrown. */
async function allOf(actions: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(actions)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** Appends, and syncs; if that fails the file is as long as before. */
export async function appendDurably(path: string, content: string): Promise<void> {
  const handle = await open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, FILE_MODE)
  try {
    const { size } = await handle.stat()
    await appendWhole(handle, content, size)
    if (size === 0) await syncFolder(dirname(path))
  } finally {
    await handle.close()
  }
}

async function appendWhole(handle: FileHandle, content: string, size: number): Promise<void> {
  try {
    await handle.writeFile(content)
    await handle.datasync()
  } catch (thrown) {
    await handle.truncate(size).catch(() => undefined)
    throw thrown
  }
}

/** Makes a folder's entries durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, O_RDONLY | O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes a folder, and those above it up to one that is there, each durably. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, FOLDER_MODE)
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return
    if (codeOf(thrown) !== 'ENOENT') throw thrown
    await makeFolder(dirname(folder))
    return await makeFolder(folder)
  }
  await syncFolder(dirname(folder))
}
