import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { types } from 'node:util'
import { createGunzip } from 'node:zlib'
import { isUrl } from '../base/option-checks'

/**
 * The source of a log: a path, a file: URL, or bytes as they come (a Readable without an encoding,
 * or any other async iterable of Uint8Arrays).
 */
export type AuditSource = string | URL | AsyncIterable<Uint8Array>

export const CHUNK_BYTES = 256 * 1024
/** The first two bytes of gzip; no line begins with them. */
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b])

/**
 * The source's bytes, chunk by chunk; a chunk is overwritten by the next one. A file that gzip has
 * compressed is decompressed. Closes what it has opened, however it ends.
 */
export async function* chunksOf(
  source: AuditSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void> {
  signal?.throwIfAborted()
  if (typeof source === 'string' || isUrl(source)) yield* chunksOfFile(source, signal)
  else yield* chunksOfStream(source, signal)
}

async function* chunksOfFile(
  path: string | URL,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void> {
  const opening = open(path)
  // A FIFO opens only once somebody writes into it.
  const handle = await beforeAbort(opening, signal).catch((thrown: unknown) => {
    void opening.then(
      (late) => late.close(),
      () => undefined,
    )
    throw thrown
  })
  try {
    yield* chunksOfOpen(handle, signal)
  } finally {
    // It closes once a read that waits for the writer of a pipe has come back.
    const closed = handle.close()
    if (signal?.aborted) void closed.catch(() => undefined)
    else await closed
  }
}

/** As {@link chunksOf} for a file that is open, from its start; it stays open. */
export async function* chunksOfOpen(
  handle: FileHandle,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void> {
  if (!(await isGzip(handle))) {
    yield* chunksOfHandle(handle, signal)
    return
  }
  const compressed = createReadStream('', { fd: handle, start: 0, autoClose: false })
  const decompressed = createGunzip({ chunkSize: CHUNK_BYTES })
  compressed.on('error', (error) => decompressed.destroy(error))
  try {
    yield* chunksOfStream(compressed.pipe(decompressed), signal)
  } finally {
    compressed.destroy()
    decompressed.destroy()
  }
}

async function isGzip(handle: FileHandle): Promise<boolean> {
  const stats = await handle.stat()
  if (!stats.isFile()) return false
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(GZIP_MAGIC.length), { position: 0 })
  return bytesRead === GZIP_MAGIC.length && buffer.equals(GZIP_MAGIC)
}

async function* chunksOfHandle(
  handle: FileHandle,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  for (;;) {
    signal?.throwIfAborted()
    // The writer of a pipe may be silent.
    const { bytesRead } = await beforeAbort(handle.read(buffer, 0, CHUNK_BYTES, null), signal)
    signal?.throwIfAborted()
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

async function* chunksOfStream(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void> {
  const iterator = source[Symbol.asyncIterator]()
  let isDone = false
  try {
    for (;;) {
      const result = await beforeAbort(iterator.next(), signal)
      if (result.done) {
        isDone = true
        return
      }
      yield bytesOf(result.value)
    }
  } finally {
    // If the source is silent, its own return() would wait forever.
    const returned = isDone ? undefined : iterator.return?.()
    if (signal?.aborted) void returned?.catch(() => undefined)
    else await returned
  }
}

function bytesOf(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk
  if (types.isUint8Array(chunk)) {
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  }
  throw new TypeError(
    `source: expected chunks of bytes (Uint8Array), got ${typeof chunk}; take its encoding from the stream`,
  )
}

/** The promise's value, or the signal's reason as soon as it is aborted. */
async function beforeAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
    promise.catch(() => undefined)
  }
}
