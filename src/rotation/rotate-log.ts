import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { codeOf, describe } from '../base/describe'
import { invalidOption } from '../base/invalid-option'
import { valuesOf } from '../base/option-checks'
import { pack, syncFolderOf } from './pack'
import { withLock } from './rotation-lock'

/** Options of {@link rotateLog}, all optional. */
export interface RotateOptions {
  /** Rotate only a log that has at least this size: bytes, 1 or more. */
  maxBytes?: number | undefined
  /** Rotate only a log whose first event is at least this old: milliseconds, 1 or more. With both, either is enough. */
  maxAgeMs?: number | undefined
  /** How many rotated files to keep, 1 to 9,999; default: all. */
  keep?: number | undefined
  /** Compress the rotated files, from LOG.2 on: LOG.1 may still be written to; default false. */
  gzip?: boolean | undefined
}

/** What {@link rotateLog} has done. */
export interface RotateResult {
  /** False if nothing was due, or another process is rotating this log. */
  readonly rotated: boolean
  /** Whether another process is rotating this log. */
  readonly isLocked: boolean
  /** Of the log as it was; 0 if there is none. */
  readonly bytes: number
  /** Names of files that were compressed, before. */
  readonly packed: readonly string[]
  /** Names of files that were deleted, since there are `keep` newer ones. */
  readonly removed: readonly string[]
}

const ROTATE_OPTIONS = [
  'maxBytes',
  'maxAgeMs',
  'keep',
  'gzip',
] as const satisfies readonly (keyof RotateOptions)[]
const KEEP_MAX = 9_999
const HEAD_BYTES = 256
const TIMESTAMP = /"ts_unix_ms":(\d{1,16})/
/** Write permission of the group and of all others. */
const WRITABLE_BITS = 0o022

/**
 * Renames a log to LOG.1, after LOG.1 to LOG.2 and so on, if that is due: always without `maxBytes` and
 * `maxAgeMs`, unless the log is empty. The writer follows: its next group goes to a fresh file at the path.
 *
 * Rotated files are deleted only with `keep`. A lock file, LOG.lock, keeps two from rotating one log at a time.
 * It may be killed at any point: no line is lost, and the next call goes on.
 *
 * @throws TypeError or RangeError for a mistake in the options; Error if others may write the folder, or the
 * log is no plain file of one name; what the file system throws
 */
export async function rotateLog(path: string, options: RotateOptions = {}): Promise<RotateResult> {
  const { maxBytes, maxAgeMs, keep, gzip } = checked(options)
  const log = resolve(path)
  await checkFolder(dirname(log))
  const done = await withLock(`${log}.lock`, async () => {
    const stats = await statsOf(log)
    const isDue = stats !== undefined && (await isRotationDue(log, stats, { maxBytes, maxAgeMs }))
    if (isDue) await shift(log)
    const removed = keep === undefined ? [] : await prune(log, keep)
    const packed = gzip ? await packAll(log) : []
    return { rotated: isDue, isLocked: false, bytes: stats?.size ?? 0, packed, removed }
  })
  return done ?? { rotated: false, isLocked: true, bytes: 0, packed: [], removed: [] }
}

function checked(options: RotateOptions): RotateOptions {
  const values = valuesOf('options', options, ROTATE_OPTIONS)
  const { gzip } = options
  if (gzip !== undefined && typeof gzip !== 'boolean') {
    throw invalidOption('gzip', `expected a boolean, got ${describe(gzip)}`)
  }
  return {
    maxBytes: whole('maxBytes', values.get('maxBytes'), Number.MAX_SAFE_INTEGER),
    maxAgeMs: whole('maxAgeMs', values.get('maxAgeMs'), Number.MAX_SAFE_INTEGER),
    keep: whole('keep', values.get('keep'), KEEP_MAX),
    gzip,
  }
}

function whole(name: string, value: unknown, max: number): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) {
    return value
  }
  throw invalidOption(
    name,
    `expected an integer from 1 to ${max}, got ${describe(value)}`,
    RangeError,
  )
}

/** Who may write the folder can put files in the place of those that are renamed here. */
async function checkFolder(folder: string): Promise<void> {
  const { uid, mode } = await stat(folder)
  const own = process.geteuid?.() ?? uid
  if (uid !== own && uid !== 0) {
    throw new Error(`the folder ${folder} is another user's (uid ${uid}); rotate as that user`)
  }
  if ((mode & WRITABLE_BITS) !== 0) {
    const octal = (mode & 0o7777).toString(8).padStart(4, '0')
    throw new Error(`others may write the folder ${folder} (mode ${octal}); chmod go-w ${folder}`)
  }
}

async function statsOf(log: string): Promise<Stats | undefined> {
  let stats: Stats
  try {
    stats = await lstat(log)
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
  if (!stats.isFile()) throw new Error(`${log} is no plain file; name the log itself`)
  if (stats.nlink > 1) throw new Error(`${log} has another name, too (a hard link); remove that`)
  return stats
}

async function isRotationDue(
  log: string,
  { size, birthtimeMs }: Stats,
  { maxBytes, maxAgeMs }: Pick<RotateOptions, 'maxBytes' | 'maxAgeMs'>,
): Promise<boolean> {
  if (size === 0) return false
  if (maxBytes === undefined && maxAgeMs === undefined) return true
  if (maxBytes !== undefined && size >= maxBytes) return true
  if (maxAgeMs === undefined) return false
  const firstMs = (await firstTime(log)) ?? birthtimeMs
  return Date.now() - firstMs >= maxAgeMs
}

/** The time of the log's first event; undefined if its first line is none. */
async function firstTime(log: string): Promise<number | undefined> {
  const handle = await open(log, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), { position: 0 })
    const [, digits] = TIMESTAMP.exec(buffer.toString('latin1', 0, bytesRead)) ?? []
    return digits === undefined ? undefined : Number(digits)
  } finally {
    await handle.close()
  }
}

interface RotatedFile {
  readonly number: number
  readonly name: string
  /** `.gz`, or nothing. */
  readonly end: string
}

/** The rotated files, the oldest first. */
async function rotatedFiles(log: string): Promise<RotatedFile[]> {
  const names = await readdir(dirname(log))
  const files = names.flatMap((name): RotatedFile[] => {
    if (!name.startsWith(`${basename(log)}.`)) return []
    const [, number, end = ''] =
      /^([1-9]\d{0,3})(\.gz)?$/.exec(name.slice(basename(log).length + 1)) ?? []
    return number === undefined ? [] : [{ number: Number(number), name, end }]
  })
  return files.sort((a, b) => b.number - a.number)
}

/** Makes room for LOG.1 and renames the log; what stands behind a free number stays where it is. */
async function shift(log: string): Promise<void> {
  const files = await rotatedFiles(log)
  const taken = new Set(files.map(({ number }) => number))
  let free = 1
  while (taken.has(free)) free++
  const folder = dirname(log)
  for (const { number, name, end } of files) {
    if (number < free) await rename(join(folder, name), `${log}.${number + 1}${end}`)
  }
  await rename(log, `${log}.1`)
  await syncFolderOf(log)
}

async function prune(log: string, keep: number): Promise<string[]> {
  const old = (await rotatedFiles(log)).filter(({ number }) => number > keep)
  for (const { name } of old) await rm(join(dirname(log), name))
  return old.map(({ name }) => name)
}

async function packAll(log: string): Promise<string[]> {
  const packed: string[] = []
  const files = await rotatedFiles(log)
  for (const { name, number, end } of files) {
    if (end !== '' || number < 2) continue
    if (await pack(join(dirname(log), name))) packed.push(name)
  }
  return packed
}
