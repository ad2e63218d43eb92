import { ignoreRejection } from '../base/foreign'
import { I32_MAX } from '../base/integers'
import {
  filePath,
  flag,
  functionOf,
  integer,
  number,
  oneOf,
  refuse,
  type Values,
  valuesOf,
} from '../base/option-checks'
import type { OnUnsafeFile, SyncMethod } from './ring/messages'

/**
 * A logger for warnings: anything with pino's `warn(obj, msg)`, such as pino, bunyan, log4js and `console`.
 * A winston logger takes the text first; it is recognised, and gets `warn(msg, obj)`. A wrapper of your own
 * around one has to swap the two itself, or the text is lost.
 */
export interface WarnLogger {
  /**
   * Takes one warning: its fields, such as `code` and `err`, and a text for people. If it throws, or
   * returns a promise that rejects, the warning goes to `process.emitWarning`. It runs in the async
   * context (AsyncLocalStorage) in which the audit was made.
   */
  warn(object: Record<string, unknown>, message: string): void
}

/** Options of {@link ExecAudit}; all have defaults, and unknown ones are refused. */
export interface ExecAuditOptions {
  /**
   * Capacity of the ring between the calling thread and the worker, in bytes: 1 KiB to 1 GiB,
   * rounded up to a power of two. Default 1 MiB, about 3,000 events of 350 bytes. Each
   * event in it also has a promise outside, about 600 bytes: a ring full of the smallest events (48 bytes)
   * takes up to 16 times its size in all.
   */
  ringBytes?: number | undefined
  /** How fdatasyncs are shared. */
  fsync?: FsyncOptions | undefined
  /**
   * What a call does when the ring is full. `wait` (default) keeps a copy of the event outside the
   * ring, in order, up to {@link maxWaitingBytes}; `block` blocks the calling thread, up to
   * {@link maxBlockMs}; `fail` fails the event with AUDIT_RING_FULL.
   */
  onFull?: 'wait' | 'block' | 'fail' | undefined
  /**
   * Limit of the memory outside the ring, in bytes: events that wait for room, and events too large
   * for the ring. 0 to 2^40, default 256 MiB. An event that would exceed it fails with
   * AUDIT_RING_FULL, unless it is the only one. Counted are the events' bytes and 640 bytes for each one's
   * promise: the process grows by up to 1.5 times the limit.
   */
  maxWaitingBytes?: number | undefined
  /** How long a call blocks with `onFull: 'block'`, in milliseconds; 0 to 2^31 - 1, default 10,000. */
  maxBlockMs?: number | undefined
  /**
   * `open` (default, as the reference): a failure is warned about and counted, and the promise
   * resolves `'failed'`. `closed`: it rejects with AuditError, TypeError or RangeError.
   */
  failureMode?: 'open' | 'closed' | undefined
  /**
   * How long, in milliseconds, a group stays in the ring after an I/O failure and is tried again on a
   * freshly opened file, before it counts as failed; 0 to 2^31 - 1, default 0.
   */
  retryForMs?: number | undefined
  /** Permission bits of a file that this creates, whatever the umask; 0 to 0o777, default 0o600. */
  fileMode?: number | undefined
  /** Permission bits of folders that this creates, whatever the umask; 0 to 0o777, default 0o700. */
  dirMode?: number | undefined
  /**
   * How to treat a file that others could tamper with: one that has a second name (a hard link), belongs
   * to another user than this process's or root, or gives others a write permission that `fileMode` does
   * not grant. The owner and permissions of its folder count too. `warn` (default, since the reference
   * writes to such files) reports it with AUDIT_UNSAFE_FILE at each opening; `fail` fails the events.
   */
  onUnsafeFile?: OnUnsafeFile | undefined
  /**
   * Largest event in bytes, in UTF-8 and before escaping; 1 KiB to 1 GiB, default 16 MiB. A larger
   * event is written with its argv cut, and the last element says how many arguments and bytes were cut,
   * and their sha256. Above 85 MiB, argv is also cut if the line would be longer than Node's longest string.
   * While one such event is written, the process takes up to 8 times its bytes, and 24 times if all of them
   * are escaped.
   */
  maxEventBytes?: number | undefined
  /**
   * Applied to a copy of argv before anything leaves the caller's stack. If it throws, or returns
   * anything but an array of strings, `failureMode: 'closed'` rejects with a TypeError whose `field` is
   * `redact(argv)`, and open mode writes the event with its argv withheld. AUDIT_REDACT_FAILED reports
   * either, with the stack of the error but without its text, which may quote an argument.
   */
  redact?: ((argv: readonly string[]) => readonly string[]) | undefined
  /** Where warnings go; default `process.emitWarning`. */
  logger?: WarnLogger | undefined
  /** Whether the process's exit waits for accepted events; default true. */
  drainOnExit?: boolean | undefined
  /**
   * How long the process's exit waits for accepted events in all, in milliseconds; 0 to 600,000,
   * default 10,000. AUDIT_EXIT_TIMEOUT reports how many are not known to be in the file by then.
   */
  exitDrainMs?: number | undefined
  /**
   * The time in milliseconds since 1970, for tests; default `Date.now`. It is rounded down to whole ones,
   * and 0 before 1970, as in the reference. If it throws or returns no finite number, the system's time is
   * used.
   */
  clock?: (() => number) | undefined
  /**
   * The worker's file, if a bundler has moved it: a path or a `file:` URL; default beside the package's
   * own. If it cannot be loaded, the calling thread writes, and AUDIT_WORKER_LOST reports it.
   */
  workerFile?: string | URL | undefined
}

/** How fdatasyncs are shared by events that arrive together (group commit). */
export interface FsyncOptions {
  /** Events per sync at most, 1 to 2^31 - 1; 1 syncs each event by itself. Default: all that wait. */
  maxEvents?: number | undefined
  /** Bytes of lines per sync at most, 1 to 1 GiB; default 1 MiB. One longer line goes alone. */
  maxBytes?: number | undefined
  /**
   * How long a group waits for more events, in milliseconds from its first one, 0 to 60,000. Default 0:
   * events that arrive during one sync share the next. If a sync takes 0.4 ms or more, the group still
   * waits for callers that were just acknowledged and have come back before: a fifth of a sync for the
   * first of them, three quarters at most for all.
   */
  maxDelayMs?: number | undefined
  /** Default `fdatasync`. `none` leaves durability to the kernel: outcomes are `'written'`. */
  method?: SyncMethod | undefined
}

/** Options with every default filled in. */
export interface CheckedOptions {
  readonly ringBytes: number
  readonly fsync: {
    readonly maxEvents: number
    readonly maxBytes: number
    readonly maxDelayMs: number
    readonly method: SyncMethod
  }
  readonly onFull: 'wait' | 'block' | 'fail'
  readonly maxWaitingBytes: number
  readonly maxBlockMs: number
  readonly failureMode: 'open' | 'closed'
  readonly retryForMs: number
  readonly fileMode: number
  readonly dirMode: number
  readonly onUnsafeFile: OnUnsafeFile
  readonly maxEventBytes: number
  /** Its caller checks what it returns. */
  readonly redact: ((argv: readonly string[]) => unknown) | undefined
  readonly logger: WarnLogger | undefined
  readonly drainOnExit: boolean
  readonly exitDrainMs: number
  readonly clock: () => number
  readonly workerFile: string | undefined
}

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const MODE_MAX = 0o777

/**
 * Fills in the defaults. Throws a TypeError or RangeError naming the option, its value and the rule.
 * @param others names that the caller checks itself
 */
export function checkOptions(
  options: ExecAuditOptions | undefined,
  others: readonly string[] = [],
): CheckedOptions {
  const values = valuesOf('options', options, [...OPTION_NAMES, ...others], ALIASES)
  const fsync = valuesOf('options.fsync', values.get('fsync'), FSYNC_NAMES)
  return {
    ringBytes: powerOfTwoFrom(integer('options.ringBytes', values, MIB, KIB, GIB)),
    fsync: {
      maxEvents: integer('options.fsync.maxEvents', fsync, I32_MAX, 1, I32_MAX),
      maxBytes: integer('options.fsync.maxBytes', fsync, MIB, 1, GIB),
      maxDelayMs: number('options.fsync.maxDelayMs', fsync, 0, 0, 60_000),
      method: oneOf('options.fsync.method', fsync, ['fdatasync', 'fsync', 'none']),
    },
    onFull: oneOf('options.onFull', values, ['wait', 'block', 'fail']),
    maxWaitingBytes: integer('options.maxWaitingBytes', values, 256 * MIB, 0, 2 ** 40),
    maxBlockMs: number('options.maxBlockMs', values, 10_000, 0, I32_MAX),
    failureMode: oneOf('options.failureMode', values, ['open', 'closed']),
    retryForMs: number('options.retryForMs', values, 0, 0, I32_MAX),
    fileMode: integer('options.fileMode', values, 0o600, 0, MODE_MAX),
    dirMode: integer('options.dirMode', values, 0o700, 0, MODE_MAX),
    onUnsafeFile: oneOf('options.onUnsafeFile', values, ['warn', 'fail']),
    maxEventBytes: integer('options.maxEventBytes', values, 16 * MIB, KIB, GIB),
    redact: redactOf(values),
    logger: loggerOf(values),
    drainOnExit: flag('options.drainOnExit', values, true),
    exitDrainMs: number('options.exitDrainMs', values, 10_000, 0, 600_000),
    clock: clockOf(values),
    workerFile: filePath('options.workerFile', values),
  }
}

const OPTION_NAMES = [
  'ringBytes',
  'fsync',
  'onFull',
  'maxWaitingBytes',
  'maxBlockMs',
  'failureMode',
  'retryForMs',
  'fileMode',
  'dirMode',
  'onUnsafeFile',
  'maxEventBytes',
  'redact',
  'logger',
  'drainOnExit',
  'exitDrainMs',
  'clock',
  'workerFile',
] as const satisfies readonly (keyof ExecAuditOptions)[]

const FSYNC_NAMES = [
  'maxEvents',
  'maxBytes',
  'maxDelayMs',
  'method',
] as const satisfies readonly (keyof FsyncOptions)[]

/** Other names by which an option is meant; those of `fsync` for a caller who puts one a level too high. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ...FSYNC_NAMES.map((name) => [name, `fsync.${name}`] as const),
  ['failMode', 'failureMode'],
  ['failOpen', 'failureMode'],
  ['failClosed', 'failureMode'],
  ['onError', 'failureMode'],
  ['log', 'logger'],
  ['mode', 'fileMode'],
])

function redactOf(values: Values): CheckedOptions['redact'] {
  const value = values.get('redact')
  if (value === undefined) return undefined
  return functionOf('options.redact', value)
}

function loggerOf(values: Values): WarnLogger | undefined {
  const logger = values.get('logger')
  if (logger === undefined) return undefined
  const isLogger =
    typeof logger === 'object' &&
    logger !== null &&
    'warn' in logger &&
    typeof logger.warn === 'function'
  if (!isLogger) return refuse('options.logger', logger, 'an object with a warn(obj, msg) method')
  return { warn: (object, message) => warnThrough(logger, object, message) }
}

/** The method is looked up at each call, since a spy may replace it later, and called on the logger. */
function warnThrough(logger: { warn: unknown }, object: object, message: string): unknown {
  const { warn } = logger
  if (typeof warn !== 'function') return refuse('options.logger.warn', warn, 'a function')
  return Reflect.apply(warn, logger, isWinston(logger) ? [message, object] : [object, message])
}

/** Whether it is a logger of winston, which would take the object for the message and drop the text. */
function isWinston(logger: object): boolean {
  return ['log', 'startTimer', 'profile'].every((name) => {
    return typeof Reflect.get(logger, name) === 'function'
  })
}

/**
 * The clock as the line format wants it: whole milliseconds, 0 before 1970. One that throws or gives
 * no number must not cost an event: the system's time is used instead. That is normalised as well,
 * since `Date.now` may have been replaced too.
 */
function clockOf(values: Values): () => number {
  const value = values.get('clock')
  const clock = value === undefined ? () => Date.now() : functionOf('options.clock', value)
  return () => {
    let time: unknown
    try {
      time = clock()
    } catch {
      // The system's time, below.
    }
    if (typeof time === 'object') ignoreRejection(time)
    const now = typeof time === 'number' && Number.isFinite(time) ? time : Date.now()
    return Math.min(Math.max(Math.floor(now) || 0, 0), Number.MAX_SAFE_INTEGER)
  }
}

function powerOfTwoFrom(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(bytes))
}
