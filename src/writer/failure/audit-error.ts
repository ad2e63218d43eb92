import { constants } from 'node:os'
import { dirname } from 'node:path'
import { getSystemErrorMap } from 'node:util'
import type { CheckedOptions } from '../options'
import {
  type Failure,
  REASON_ACCESS_DENIED,
  REASON_CORRUPT_RECORD,
  REASON_CORRUPT_RING,
  REASON_FILE_OWNER,
  REASON_FILE_WRITABLE,
  REASON_FOLDER_OWNER,
  REASON_FOLDER_WRITABLE,
  REASON_HARD_LINK,
  REASON_LINE_TOO_LONG,
  REASON_NOT_A_FILE,
  REASON_UNKNOWN,
  REASON_UNLINKED,
} from '../ring/failure-word'

type FullOptions = Pick<CheckedOptions, 'onFull' | 'ringBytes' | 'maxBlockMs' | 'maxWaitingBytes'>

/**
 * Stable codes of {@link AuditError}:
 * - `AUDIT_CLOSED`: the call came after `close()`;
 * - `AUDIT_RING_FULL`: no room for the event, and the limit on waiting was reached (`onFull`);
 * - `AUDIT_FOLDER_FAILED`, `AUDIT_OPEN_FAILED`, `AUDIT_WRITE_FAILED`, `AUDIT_SYNC_FAILED`: the I/O
 *   at that stage failed; `cause` carries the kernel's error;
 * - `AUDIT_ENCODE_FAILED`: the line could not be made from the record.
 */
export type AuditErrorCode =
  | 'AUDIT_CLOSED'
  | 'AUDIT_RING_FULL'
  | 'AUDIT_FOLDER_FAILED'
  | 'AUDIT_ENCODE_FAILED'
  | 'AUDIT_OPEN_FAILED'
  | 'AUDIT_WRITE_FAILED'
  | 'AUDIT_SYNC_FAILED'

/**
 * An event that could not be made durable. Event methods reject with it where
 * `failureMode` is `'closed'`, and warnings carry it as `err` in both modes.
 */
export class AuditError extends Error {
  /** Tells it from other errors, where `instanceof` cannot. */
  override readonly name = 'AuditError'
  /** Which of the documented failures this is. Compare this, never the message. */
  readonly code: AuditErrorCode

  constructor(code: AuditErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const STAGE_CODES = {
  folder: 'AUDIT_FOLDER_FAILED',
  encode: 'AUDIT_ENCODE_FAILED',
  open: 'AUDIT_OPEN_FAILED',
  write: 'AUDIT_WRITE_FAILED',
  sync: 'AUDIT_SYNC_FAILED',
} as const

const OWN_REASONS = new Map<number, string>([
  [REASON_NOT_A_FILE, 'not a regular file; point auditLogPath at one, or at a name that is free'],
  [
    REASON_UNLINKED,
    'it was gone again each time it was made; see what removes it, or whether its folder is a link that leads nowhere',
  ],
  [REASON_CORRUPT_RECORD, 'the record in the ring is damaged; something else wrote to its memory'],
  [
    REASON_CORRUPT_RING,
    'the ring was given up, so which of its events were written is not known; see the warnings before',
  ],
  [
    REASON_ACCESS_DENIED,
    "Node's permission model forbids it; run with --allow-fs-read and --allow-fs-write for the folder, and with --allow-worker, since a thread under the model may not sync",
  ],
  [REASON_UNKNOWN, 'an error without a number; please report it with the stage'],
  [
    REASON_HARD_LINK,
    'the file has another name (a hard link), so its lines may also land where no log should be; remove the other name',
  ],
  [REASON_FILE_OWNER, 'the file belongs to another user, who can rewrite it; chown it'],
  [
    REASON_FILE_WRITABLE,
    'others may write to the file; take that from them (chmod go-w), or grant it by fileMode',
  ],
  [REASON_LINE_TOO_LONG, 'the line is longer than a string can be; lower maxEventBytes'],
])

/** Those that are the folder's, which is named. */
const FOLDER_REASONS = new Map<number, (folder: string) => string>([
  [
    REASON_FOLDER_OWNER,
    (folder) =>
      `its folder ${folder} belongs to another user, who can replace the file; chown the folder`,
  ],
  [
    REASON_FOLDER_WRITABLE,
    (folder) =>
      `others may write to its folder ${folder}, and so replace the file; take that from them (chmod go-w), or grant it by dirMode`,
  ],
])

/** What an operator can do about the errors that are met most. */
const REMEDIES = new Map<string, string>([
  [
    'EACCES',
    'give this user read and write permission on the file, and read, write and search on its folder',
  ],
  ['EPERM', 'give this user permission on the file and its folder'],
  ['ENOSPC', 'free space or inodes on the file system'],
  ['EDQUOT', "raise this user's disk quota"],
  ['EROFS', 'the file system is read-only; see the kernel log for the reason'],
  ['EIO', 'the disk reports errors; see the kernel log'],
  ['ELOOP', 'the path is a symbolic link, which is not followed; name the file itself'],
  ['ENOTDIR', 'a part of the path is not a folder'],
  ['EISDIR', 'the path is a folder; name a file in it'],
  ['EMFILE', 'raise the limit on open files (ulimit -n)'],
  ['EFBIG', 'raise the limit on file sizes (ulimit -f), or rotate the log'],
  ['ENAMETOOLONG', 'shorten the path'],
])

/** Where it is the folder that fails. */
const FOLDER_REMEDIES = new Map<string, string>([
  ['EACCES', 'make the folder, and give this user read, write and search permission on it'],
  ['EPERM', 'give this user permission on the folder'],
])

/** The name of an error that libuv has none for, such as EDQUOT. */
function errnoName(errno: number): string {
  const named = Object.entries(constants.errno).find(([, number]) => number === errno)
  return named?.[0] ?? `errno ${errno}`
}

/** What the kernel said, without the system call: a stage has several. */
function systemError(errno: number, path: string) {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [errnoName(errno), 'system error']
  return Object.assign(new Error(`${code}: ${text}`), { code, errno: -errno, path })
}

/** What could not be done at a stage, with the log at `path`. */
const FAILED: Readonly<Record<Failure['stage'], (path: string) => string>> = {
  folder: (path) => `cannot make or sync the log's folder ${dirname(path)}`,
  encode: (path) => `cannot make the event's line for the log ${path}`,
  open: (path) => `cannot open the log ${path}`,
  write: (path) => `cannot write to the log ${path}`,
  sync: (path) => `cannot sync the log ${path}`,
}

/** Makes the error for a failure of the log at `path` that the drainer has reported. */
export function ioError({ stage, reason }: Failure, path: string): AuditError {
  const code = STAGE_CODES[stage]
  const what = FAILED[stage](path)
  const own = knownReason(reason, path)
  if (own !== undefined) return new AuditError(code, `${what}: ${own}`)
  const isFolder = stage === 'folder'
  const cause = systemError(reason, isFolder ? dirname(path) : path)
  const remedy = remedyOf(cause.code, isFolder)
  const advice = remedy === undefined ? '' : `; ${remedy}`
  return new AuditError(code, `${what}: ${cause.message}${advice}`, { cause })
}

/** A REASON constant in words, with what to do about it, for the log at `path`. */
export function ownReason(reason: number, path: string): string {
  return knownReason(reason, path) ?? 'an unknown reason'
}

function knownReason(reason: number, path: string): string | undefined {
  return FOLDER_REASONS.get(reason)?.(dirname(path)) ?? OWN_REASONS.get(reason)
}

/** What an operator can do about a system error of this code, where that is known. */
export function remedyOf(code: string | undefined, isFolder = false): string | undefined {
  if (code === undefined) return undefined
  return (isFolder ? FOLDER_REMEDIES.get(code) : undefined) ?? REMEDIES.get(code)
}

/** Makes the error for a call after `close()`. */
export function closedError(): AuditError {
  return new AuditError('AUDIT_CLOSED', 'this ExecAudit is closed; make a new one')
}

/** Makes the error for an event that neither the ring nor the waiting queue could take. */
export function ringFullError(options: FullOptions): AuditError {
  return new AuditError(
    'AUDIT_RING_FULL',
    `no room for the event: ${limitOf(options)}; the disk is slower than the events, raise ringBytes or that limit`,
  )
}

/** Which limit was in the way. */
function limitOf({ onFull, ringBytes, maxBlockMs, maxWaitingBytes }: FullOptions): string {
  switch (onFull) {
    case 'fail':
      return `the ring is full (ringBytes=${ringBytes})`
    case 'block':
      return `waited maxBlockMs=${maxBlockMs}`
    case 'wait':
      return `maxWaitingBytes=${maxWaitingBytes} are waiting`
  }
}
