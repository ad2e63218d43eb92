import { type FileHandle, open } from 'node:fs/promises'
import { codeOf } from '../../base/describe'
import { DEFAULT_LOG_PATH } from '../../policy-file/defaults'
import { lastLinesStart } from '../../reader/last-lines'
import { type LineEntry, LineSplitter } from '../../reader/line-splitter'
import { MAX_LINE_BYTES, readBatches } from '../../reader/read-audit'
import { CHUNK_BYTES, chunksOf, chunksOfOpen } from '../../reader/source'
import { type Compressor, compressorOf, compressorOfOpen, GZIP } from '../../rotation/compressed'
import { CliError, EXIT_USAGE, messageOf, usageError } from './errors'
import { quoteArgument, visible } from './escape'

/** The log that is read when none is named: that of a policy which names none. */
export const DEFAULT_LOG = DEFAULT_LOG_PATH
export const STDIN = '-'

/** A file's name for people. */
export function fileName(file: string): string {
  return file === STDIN ? '(stdin)' : visible(file)
}

/** The batches of a file or of standard input. Reports what cannot be read as the user's mistake. */
export async function* readLog(file: string): AsyncGenerator<readonly LineEntry[]> {
  for await (const { entries } of readBatches(bytesOf(file))) yield entries
}

/** As {@link readLog}, from a file that was opened; it stays open. */
export async function* readOpen(
  file: string,
  handle: FileHandle,
): AsyncGenerator<readonly LineEntry[]> {
  for await (const { entries } of readBatches(bytesOfOpen(file, handle))) yield entries
}

/** As {@link bytesOf}, from a file that was opened; it stays open. */
export function bytesOfOpen(file: string, handle: FileHandle): AsyncGenerator<Buffer> {
  return checkedBytes(file, chunksOfOpen(handle, undefined))
}

/** The lines of bytes that stand in their file at an offset, at which that line begins. */
export async function* readOn(
  bytes: AsyncIterable<Buffer>,
  { next, offset, line }: { readonly next: Buffer; readonly offset: number; readonly line: number },
): AsyncGenerator<readonly LineEntry[]> {
  const splitter = new LineSplitter(MAX_LINE_BYTES, offset, line)
  yield splitter.push(next)
  for await (const chunk of bytes) yield splitter.push(chunk)
  const last = splitter.end()
  if (last !== undefined) yield [last]
}

/** The bytes of a file, decompressed, or of standard input. Reports what cannot be read as the user's mistake. */
export function bytesOf(file: string): AsyncGenerator<Buffer> {
  return checkedBytes(file, chunksOf(file === STDIN ? process.stdin : file, undefined))
}

async function* checkedBytes(file: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isFirst = true
  try {
    for await (const chunk of chunks) {
      const compressor = isFirst ? compressorOf(chunk) : undefined
      if (compressor !== undefined) throw compressedError(file, compressor)
      isFirst = false
      yield chunk
    }
  } catch (thrown) {
    throw thrown instanceof CliError ? thrown : readError(file, thrown)
  }
}

/** Without it the lines would be reported as garbage, and a good log as broken. */
function compressedError(file: string, { name, cat }: Compressor): CliError {
  if (file !== STDIN) {
    // What is to be pasted into a shell is quoted for it.
    const command = `${cat} ${quoteArgument(file)}`
    return usageError(
      `${visible(file)} is compressed by ${name}; decompress it: ${command} | ..., and name -`,
    )
  }
  const orName = name === GZIP.name ? ', or name the file' : ''
  return usageError(`standard input is compressed by ${name}; decompress it (${cat})${orName}`)
}

/** Why a log cannot be read, and what to do. */
export function readError(file: string, thrown: unknown): CliError {
  // Node's words for a failed call end with the call and the path, which is named already.
  const words = messageOf(thrown).replace(/^([A-Z]+: [^,]+), \w+ '.*'$/s, '$1')
  const hint = hintFor(codeOf(thrown))
  return new CliError(`${fileName(file)}: ${visible(words)}${hint}`, EXIT_USAGE)
}

function hintFor(code: string | undefined): string {
  if (code === 'EISDIR') return '; it is a folder: name the files in it'
  if (code === 'ENXIO') return '; it is a socket, or a device that is not there'
  if (code === 'EACCES') return "; read it as the gateway's user, or by sudo"
  if (code === 'ENOENT') {
    return '; the log is the auditLogPath of the policy, and - is standard input'
  }
  if (code === 'Z_BUF_ERROR' || code === 'Z_DATA_ERROR') {
    return '; gzip has not compressed it to its end, or it is damaged; zcat gives what can be decompressed'
  }
  return ''
}

/**
 * Finds where the last `count` events that `isWanted` begin in a file: from its end, by ever longer
 * pieces of it. With `fromStart` the file is read whole, for a filter that has to know what was before.
 */
export async function startOfLast(
  handle: FileHandle,
  size: number,
  count: number,
  isWanted: (entry: LineEntry) => boolean,
  fromStart: boolean,
): Promise<number> {
  if (count === 0 && !fromStart) return lastLinesStart(handle, size, 0)
  for (let lines = count; ; lines *= 4) {
    const start = fromStart ? 0 : await lastLinesStart(handle, size, lines)
    const offsets = await wantedOffsets(handle, start, size, count, isWanted)
    if (count === 0) return lastLinesStart(handle, size, 0)
    if (offsets.length >= count) return offsets[0] ?? 0
    if (start === 0) return 0
  }
}

/** Where the last `count` wanted events between two offsets stand. */
async function wantedOffsets(
  handle: FileHandle,
  start: number,
  end: number,
  count: number,
  isWanted: (entry: LineEntry) => boolean,
): Promise<number[]> {
  let offsets: number[] = []
  for await (const entries of readBetween(handle, start, end)) {
    for (const entry of entries) {
      if (entry.record !== undefined && isWanted(entry)) offsets.push(entry.record.offset)
    }
    if (offsets.length > 2 * count) offsets = offsets.slice(offsets.length - count)
  }
  return offsets.slice(Math.max(0, offsets.length - count))
}

/** The whole lines between two offsets of a plain file. */
export async function* readBetween(
  handle: FileHandle,
  start: number,
  end: number,
): AsyncGenerator<readonly LineEntry[]> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  const splitter = new LineSplitter(MAX_LINE_BYTES, start)
  for (let at = start; at < end; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(CHUNK_BYTES, end - at), at)
    if (bytesRead === 0) return
    at += bytesRead
    yield splitter.push(buffer.subarray(0, bytesRead))
  }
}

/** The lines of a plain file from an offset on, at which that line stands. */
export async function* readFrom(
  handle: FileHandle,
  offset: number,
  line = 1,
): AsyncGenerator<readonly LineEntry[]> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  const splitter = new LineSplitter(MAX_LINE_BYTES, offset, line)
  for (let at = offset; ; ) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, at)
    if (bytesRead === 0) break
    at += bytesRead
    yield splitter.push(buffer.subarray(0, bytesRead))
  }
  const last = splitter.end()
  if (last !== undefined) yield [last]
}

/** Opens a file. Once only: what stands in a pipe goes to the one that opens it first. */
export async function openLog(file: string): Promise<FileHandle> {
  try {
    return await open(file)
  } catch (thrown) {
    throw readError(file, thrown)
  }
}

/** Whether a file's end can be looked at; a pipe and a compressed file are read whole. */
export async function hasEnd(handle: FileHandle): Promise<boolean> {
  return (await handle.stat()).isFile() && (await compressorOfOpen(handle)) === undefined
}
