import { homedir } from 'node:os'
import { types } from 'node:util'
import { describe } from '../base/describe'
import { isInvalidEvent, optionalString, putId, strings, u32 } from '../base/field-checks'
import { asInvalidOption, invalidOption } from '../base/invalid-option'
import { functionOf, refuse, type Values, valuesOf } from '../base/option-checks'
import { contextOf } from '../format/context-strings'
import type { EventContext, IdInput } from '../format/events'
import { checkLimits, type RunLimits } from './limits'
import type { Spawner } from './spawner'

/** Takes output as it comes. While its promise is pending, the command's output is not read. */
export type OutputListener = (chunk: Buffer) => void | Promise<void>

/** The command to run, for whom, and within which limits. */
export interface RunOptions {
  /** The program, by its path or its name on `PATH`, and its arguments. No shell is involved. */
  argv: readonly string[]
  /** The agent that asks: 32 bytes. */
  agentId: IdInput
  /** The machine that it asks from: 32 bytes. */
  machineId: IdInput
  /** 16 bytes; default random. */
  requestId?: IdInput | undefined
  /** The rule that allows it. */
  matchedAcl?: string | null | undefined
  /** Standard input; a string as UTF-8. Default none: the command reads the end of input at once. */
  stdin?: string | Uint8Array | undefined
  /**
   * The time limit in milliseconds, u32, after which SIGTERM is sent; default `limits.maxDurationMs`.
   * 0 is one second, as in x0x.
   */
  timeoutMs?: number | undefined
  /** Caps, and when to warn ahead of them; what is absent has x0x's default. */
  limits?: Partial<RunLimits> | undefined
  /** The whole environment; default {@link scrubbedEnvironment}. */
  env?: NodeJS.ProcessEnv | undefined
  /** Working directory; default that of this process. It is recorded as `context.cwd`. */
  cwd?: string | undefined
  /** The user that it runs as, u32; default that of this process. Recorded with `gid` as `context.user`. */
  uid?: number | undefined
  /** The group that it runs as, u32; default that of this process. */
  gid?: number | undefined
  /** Who, where and on whose behalf. `cwd` and `user` are added if the options above give them. */
  context?: EventContext | null | undefined
  /**
   * Ends the command, as `cancelled`. With this and the next two, a reason that is the name of a signal,
   * as in `abort('SIGINT')`, is sent in place of SIGTERM.
   */
  cancel?: AbortSignal | undefined
  /** Ends the command, as `lease_expired`. */
  lease?: AbortSignal | undefined
  /** Ends the command, as `peer_disconnected`. */
  peer?: AbortSignal | undefined
  /** Called with the process as soon as there is one; not waited for. If it fails, that is a warning. */
  onSpawn?: ((pid: number) => void) | undefined
  /** Takes standard output up to its cap; `stdout` of the result then stays empty. */
  onStdout?: OutputListener | undefined
  /** Takes standard error up to its cap; `stderr` of the result then stays empty. */
  onStderr?: OutputListener | undefined
  /** For unit tests: takes the place of spawning, so that no process is made. */
  spawner?: Spawner | undefined
}

/** Why a command is ended before it ends by itself, other than its time limit; also warnings' kinds. */
export type CancelKind = 'cancelled' | 'lease_expired' | 'peer_disconnected'

const CANCEL_KINDS = {
  cancel: 'cancelled',
  lease: 'lease_expired',
  peer: 'peer_disconnected',
} as const satisfies Partial<Record<keyof RunOptions, CancelKind>>

/** Options that were checked, copied and completed. */
export interface CheckedRun {
  readonly argv: readonly string[]
  readonly requestId: Buffer
  readonly agentId: Buffer
  readonly machineId: Buffer
  readonly matchedAcl: string | null
  /** A copy; undefined if it is larger than the limit, since it is refused then. */
  readonly stdin: Buffer | undefined
  readonly stdinBytes: number
  /** As it was asked for. */
  readonly timeoutMs: number
  readonly limits: RunLimits
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string | undefined
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly context: EventContext | undefined
  readonly cancels: ReadonlyMap<AbortSignal, CancelKind>
  readonly onSpawn: ((pid: number) => unknown) | undefined
  readonly onStdout: ((chunk: Buffer) => unknown) | undefined
  readonly onStderr: ((chunk: Buffer) => unknown) | undefined
  readonly spawner: Spawner | undefined
}

const OPTION_NAMES = [
  'argv',
  'agentId',
  'machineId',
  'requestId',
  'matchedAcl',
  'stdin',
  'timeoutMs',
  'limits',
  'env',
  'cwd',
  'uid',
  'gid',
  'context',
  'cancel',
  'lease',
  'peer',
  'onSpawn',
  'onStdout',
  'onStderr',
  'spawner',
] as const satisfies readonly (keyof RunOptions)[]

/** The name of the option in node:child_process, fetch and others. */
const SYNONYMS: ReadonlyMap<string, (typeof OPTION_NAMES)[number]> = new Map([
  ['signal', 'cancel'],
  ['abortSignal', 'cancel'],
  ['input', 'stdin'],
  ['command', 'argv'],
  ['args', 'argv'],
  ['maxBuffer', 'limits'],
  ['user', 'context'],
  ['principal', 'context'],
  ['session', 'context'],
])

const REQUEST_ID_BYTES = 16
const PARTY_ID_BYTES = 32

/**
 * The environment of x0x's commands: a fixed PATH and locale, this user's HOME if it has one, and nothing
 * else.
 */
export function scrubbedEnvironment(): NodeJS.ProcessEnv {
  const home = process.env.HOME ?? homeOf()
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...(home === undefined ? {} : { HOME: home }),
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
  }
}

function homeOf(): string | undefined {
  try {
    return homedir()
  } catch {
    // A container may run as a user that the system does not know.
    return undefined
  }
}

/** Checks the options. Throws a TypeError or RangeError that names the option. */
export function checkRunOptions(options: RunOptions): CheckedRun {
  return aboutOptions(() => checked(options))
}

/** Fields of events are checked as such; here they are options. */
function aboutOptions<T>(check: () => T): T {
  try {
    return check()
  } catch (thrown) {
    throw isInvalidEvent(thrown) ? asInvalidOption(thrown, thrown.field) : thrown
  }
}

function checked(options: RunOptions): CheckedRun {
  const values = valuesOf('options', options ?? null, OPTION_NAMES, SYNONYMS)
  const limits = checkLimits('options.limits', values.get('limits'))
  const timeoutMs = values.get('timeoutMs') ?? limits.maxDurationMs
  const requestId = values.get('requestId') ?? randomId()
  return {
    argv: strings('options.argv', values.get('argv')),
    requestId: idOf('requestId', REQUEST_ID_BYTES, requestId),
    agentId: idOf('agentId', PARTY_ID_BYTES, values.get('agentId')),
    machineId: idOf('machineId', PARTY_ID_BYTES, values.get('machineId')),
    matchedAcl: optionalString('options.matchedAcl', values.get('matchedAcl')),
    ...stdinOf(values.get('stdin'), limits.maxStdinBytes),
    timeoutMs: u32('options.timeoutMs', timeoutMs),
    limits,
    env: environmentOf(values.get('env')),
    ...placeOf(values),
    cancels: cancelsOf(values),
    onSpawn: listenerOf('onSpawn', values),
    onStdout: listenerOf('onStdout', values),
    onStderr: listenerOf('onStderr', values),
    spawner: spawnerOf(options),
  }
}

/** Where it runs and as whom, and the context that says so. */
function placeOf(values: Values): Pick<CheckedRun, 'cwd' | 'uid' | 'gid' | 'context'> {
  const cwd = optionalString('options.cwd', values.get('cwd')) ?? undefined
  const uid = userOf('options.uid', values.get('uid'))
  const gid = userOf('options.gid', values.get('gid'))
  const given = contextOf('options.context', values.get('context')) ?? {}
  const hasUser = uid !== undefined || gid !== undefined
  const user = hasUser ? `${uid ?? process.getuid?.()}:${gid ?? process.getgid?.()}` : undefined
  const known = Object.entries({ cwd, user }).filter(([, value]) => value !== undefined)
  for (const [name, value] of known) {
    if (given[name] === undefined || given[name] === value) continue
    const problem = `expected ${JSON.stringify(value)}, as the options say, or none`
    throw invalidOption(`options.context.${name}`, problem, RangeError)
  }
  const context = { ...given, ...Object.fromEntries(known) }
  return { cwd, uid, gid, context: Object.keys(context).length === 0 ? undefined : context }
}

function userOf(name: string, value: unknown): number | undefined {
  return value === undefined ? undefined : u32(name, value)
}

function randomId(): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(REQUEST_ID_BYTES))
}

/** The agent of a run's options, as hexadecimal digits. Throws as {@link checkRunOptions} does. */
export function agentOf(options: Pick<RunOptions, 'agentId'>): string {
  const values = valuesOf('options', options ?? null, OPTION_NAMES, SYNONYMS)
  const id = aboutOptions(() => idOf('agentId', PARTY_ID_BYTES, values.get('agentId')))
  return id.toString('hex')
}

function idOf(name: string, byteLength: number, value: unknown): Buffer {
  const id = Buffer.alloc(byteLength)
  putId(id, 0, byteLength, `options.${name}`, value)
  return id
}

function stdinOf(value: unknown, maxBytes: number): Pick<CheckedRun, 'stdin' | 'stdinBytes'> {
  if (value === undefined) return { stdin: undefined, stdinBytes: 0 }
  if (typeof value === 'string' || types.isUint8Array(value)) {
    const stdinBytes = Buffer.byteLength(value)
    // The command may be slow to read it.
    return { stdin: stdinBytes > maxBytes ? undefined : Buffer.from(value), stdinBytes }
  }
  throw invalidOption('options.stdin', `expected a string or a Uint8Array, got ${describe(value)}`)
}

function environmentOf(value: unknown): NodeJS.ProcessEnv {
  if (value === undefined) return scrubbedEnvironment()
  if (typeof value !== 'object' || value === null) {
    throw invalidOption('options.env', `expected an object, got ${describe(value)}`)
  }
  const env: NodeJS.ProcessEnv = {}
  for (const [name, text] of Object.entries(value)) {
    if (text !== undefined) env[name] = String(text)
  }
  return env
}

function cancelsOf(values: Values): ReadonlyMap<AbortSignal, CancelKind> {
  const cancels = new Map<AbortSignal, CancelKind>()
  for (const [name, kind] of Object.entries(CANCEL_KINDS)) {
    const signal = values.get(name)
    if (signal === undefined) continue
    if (!isAbortSignal(signal)) {
      throw invalidOption(`options.${name}`, `expected an AbortSignal, got ${describe(signal)}`)
    }
    cancels.set(signal, kind)
  }
  return cancels
}

/** Judged by its shape: one of a polyfill or of another realm will do. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function'
  )
}

function listenerOf(name: string, values: Values): ((input: unknown) => unknown) | undefined {
  const listener = values.get(name)
  return listener === undefined ? undefined : functionOf(`options.${name}`, listener)
}

/** The spawner among the options. */
export function spawnerOf({ spawner }: Pick<RunOptions, 'spawner'>): Spawner | undefined {
  const given: unknown = spawner
  if (given !== undefined && typeof given !== 'function') {
    return refuse('options.spawner', given, 'a function')
  }
  return spawner
}
