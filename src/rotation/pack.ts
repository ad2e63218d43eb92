import { constants } from 'node:fs'
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'

const CHUNK_BYTES = 256 * 1024
const READ = constants.O_RDONLY | constants.O_NOFOLLOW
const WRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * Compresses a file to FILE.gz, with its owner and mode, and removes it once the other is on disk. The file
 * stays if somebody has written to it meanwhile: then it returns false.
 */
export async function pack(file: string): Promise<boolean> {
  const half = `${file}.gz.tmp`
  // Of a process that was killed.
  await rm(half, { force: true })
  const source = await open(file, READ)
  try {
    const before = await source.stat()
    const target = await open(half, WRITE, 0o600)
    try {
      await pipeline(chunksOf(source), createGzip(), async (packed: AsyncIterable<Buffer>) => {
        for await (const chunk of packed) await target.appendFile(chunk)
      })
      await target.chown(before.uid, before.gid)
      await target.chmod(before.mode & 0o777)
      await target.sync()
    } finally {
      await target.close()
    }
    const after = await lstat(file)
    if (
      after.ino !== before.ino ||
      after.size !== before.size ||
      after.mtimeMs !== before.mtimeMs
    ) {
      await rm(half)
      return false
    }
    await rename(half, `${file}.gz`)
    await syncFolderOf(file)
    await rm(file)
    return true
  } finally {
    await source.close()
  }
}

async function* chunksOf(handle: FileHandle): AsyncGenerator<Buffer> {
  for (;;) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

/** Makes the names in a file's folder durable. */
export async function syncFolderOf(file: string): Promise<void> {
  const folder = await open(dirname(file), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
