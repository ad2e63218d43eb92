import { constants } from 'node:os'
import { dirname } from 'node:path'
import { getSystemErrorMap } from 'node:util'
import type { Failure } from '../ring/failure-word'
import { knownReason, remedyOf } from './remedies'

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
 * An event that could not be made durable. Event methods reject with it if `failureMode` is
 * `'closed'`, and warnings carry it as `err` in both modes.
 */
export class AuditError extends Error {
  /** Distinguishes it from other errors if `instanceof` cannot. */
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

/** The name of an error that libuv has none for, such as EDQUOT. */
function errnoName(errno: number): string {
  const named = Object.entries(constants.errno).find(([, number]) => number === errno)
  return named?.[0] ?? `errno ${errno}`
}

/** The kernel's error without the system call, since a stage makes several. */
function systemError(errno: number, path: string) {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [errnoName(errno), 'system error']
  return Object.assign(new Error(`${code}: ${text}`), { code, errno: -errno, path })
}

/** What failed at a stage, for the log at `path`. */
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

/** Makes the error for a call after `close()`. */
export function closedError(what = 'this ExecAudit'): AuditError {
  return new AuditError('AUDIT_CLOSED', `${what} is closed; make a new one`)
}

/** The options that bound the room for events. */
export interface RoomLimits {
  readonly onFull: 'wait' | 'block' | 'fail'
  readonly ringBytes: number
  readonly maxBlockMs: number
  readonly maxWaitingBytes: number
}

/** Makes the error for an event that neither the ring nor the waiting queue could take. */
export function ringFullError(limits: RoomLimits): AuditError {
  return new AuditError(
    'AUDIT_RING_FULL',
    `no room for the event: ${limitOf(limits)}; the disk is slower than the events, raise ringBytes or that limit`,
  )
}

/** Which limit was in the way. */
function limitOf({ onFull, ringBytes, maxBlockMs, maxWaitingBytes }: RoomLimits): string {
  switch (onFull) {
    case 'fail':
      return `the ring is full (ringBytes=${ringBytes})`
    case 'block':
      return `waited maxBlockMs=${maxBlockMs}`
    case 'wait':
      return `maxWaitingBytes=${maxWaitingBytes} are waiting`
  }
}
