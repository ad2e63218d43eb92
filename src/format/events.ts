/** The events by name, in the order in which a command meets them. */
export const EVENT_NAMES = ['request', 'started', 'warning', 'exit', 'denial'] as const

/** The event methods, by name. */
export type EventName = (typeof EVENT_NAMES)[number]

/** Kinds of a `warning` event, in the order of the reference's enum. */
export const WARNING_KINDS = Object.freeze([
  'stdout_cap_hit',
  'stderr_cap_hit',
  'duration_approaching_cap',
  'stdout_approaching_cap',
  'stderr_approaching_cap',
  'lease_expired',
  'peer_disconnected',
  'cancelled',
] as const)

/** One of {@link WARNING_KINDS}. */
export type WarningKind = (typeof WARNING_KINDS)[number]

/** Reasons of a `denial` event, in the order of the reference's enum. */
export const DENIAL_REASONS = Object.freeze([
  'exec_disabled',
  'unverified_sender',
  'trust_rejected',
  'agent_machine_not_in_acl',
  'argv_not_allowed',
  'stdin_too_large',
  'timeout_too_large',
  'cwd_not_allowed',
  'concurrency_limit_reached',
  'shell_metachar_in_argv',
  'spawn_failed',
  'malformed_frame',
] as const)

/** One of {@link DENIAL_REASONS}. */
export type DenialReason = (typeof DENIAL_REASONS)[number]

/**
 * An id: its bytes, or their hexadecimal digits in either case. A request id has 16 bytes, and may be a UUID with
 * its dashes or a W3C trace id; an agent or machine id has 32, see {@link idOf}. Any other length is a RangeError.
 */
export type IdInput = Uint8Array | string

/** An unsigned 64-bit integer: a safe integer from 0, or a bigint up to 2^64 - 1. */
export type U64Input = number | bigint

/**
 * Who asked, from where and on whose behalf: texts by name, written at the end of the line in the order given.
 *
 * At most 64 own enumerable properties; a key has 1 to 64 characters, a letter first, then letters, digits,
 * `_`, `.` and `-`; keys and values have at most 16 KiB of UTF-8 in all. An undefined value is left out, and an
 * empty context is none. It is never cut, and the option `redact` does not see it: leave secrets out.
 *
 * The tools know `principal`, `session`, `tool_call`, `cwd`, `user`, `approved_by` and `traceparent`.
 */
export type EventContext = Readonly<Record<string, string | undefined>>

/** A command was asked for and allowed, and is about to run. */
export interface RequestEvent {
  /** 16 bytes. */
  requestId: IdInput
  /** 32 bytes. */
  agentId: IdInput
  /** 32 bytes. */
  machineId: IdInput
  /** The command and its arguments. Lone surrogates become U+FFFD, as in a spawned child's argv. */
  argv: readonly string[]
  /** The rule that allowed it; absent is written as null. */
  matchedAcl?: string | null | undefined
  /** Size of standard input in bytes, u64. */
  stdinBytes: U64Input
  /** The command's time limit in milliseconds, u32. */
  timeoutMs: number
  /** Who, where and on whose behalf; absent, the line is x0x's own. */
  context?: EventContext | null | undefined
}

/** The command's process exists. */
export interface StartedEvent {
  /** 16 bytes. */
  requestId: IdInput
  /** The process id, u32. */
  pid: number
}

/** Something worth noting happened while the command ran. */
export interface WarningEvent {
  /** 16 bytes. */
  requestId: IdInput
  /** What happened; one of {@link WARNING_KINDS}. */
  kind: WarningKind
  /** The byte count the warning is about, u64; absent is written as null. */
  bytes?: U64Input | null | undefined
}

/** The command ended. */
export interface ExitEvent {
  /** 16 bytes. */
  requestId: IdInput
  /** Exit code, i32; absent is written as null. */
  code?: number | null | undefined
  /** The signal that ended it, as an i32 or by its name on this system; absent is null. */
  signal?: number | NodeJS.Signals | null | undefined
  /** From its start to its end, in milliseconds, u64. */
  durationMs: U64Input
  /** Bytes, u64. */
  stdoutBytes: U64Input
  /** Bytes, u64. */
  stderrBytes: U64Input
  /** Whether output was cut at a cap. */
  truncated: boolean
}

/** A command was asked for and refused. */
export interface DenialEvent {
  /** 16 bytes. */
  requestId: IdInput
  /** 32 bytes. */
  agentId: IdInput
  /** 32 bytes. */
  machineId: IdInput
  /** The command and its arguments. Lone surrogates become U+FFFD, as in a spawned child's argv. */
  argv: readonly string[]
  /** Why; one of {@link DENIAL_REASONS}. */
  reason: DenialReason
  /** Who, where and on whose behalf; absent, the line is x0x's own. */
  context?: EventContext | null | undefined
}

/**
 * What became of an event:
 * - `durable`: its whole line is in the file, and an fdatasync that began after that returned;
 * - `written`: the line was handed to the kernel, and syncing is switched off (`fsync.method: 'none'`);
 * - `failed`: it is not known to be durable (the line may still be in the file);
 * - `disabled`: the policy is disabled, nothing was written.
 */
export type AuditOutcome = 'durable' | 'written' | 'failed' | 'disabled'
