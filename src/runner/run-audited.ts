import { describe } from '../base/describe'
import { type DenialReason, EVENT_NAMES, type WarningKind } from '../format/events'
import type { EventRecorder } from '../writer/audit-trail'
import { type ChildEnd, ChildRun, type Spawned, spawnCommand } from './child-run'
import { type CheckedRun, checkRunOptions, type RunOptions } from './run-options'
import { type Ending, RunTrail, type TrailEntry } from './run-trail'
import type { StopReason } from './supervisor'

/** The result of a command. */
export interface AuditedRun {
  /**
   * - `exited`: it ran, and has ended, by itself or by a signal;
   * - `denied`: it was refused or could not be spawned, see `denialReason`;
   * - `cancelled`: it was cancelled before it was spawned, see `stoppedBy`.
   */
  readonly outcome: 'exited' | 'denied' | 'cancelled'
  /** 32 hexadecimal digits. */
  readonly requestId: string
  /** Why it was refused, as in its `denial` event; null if it was not. */
  readonly denialReason: DenialReason | null
  /** Null if there was no process. */
  readonly pid: number | null
  /** The exit code; null if a signal ended it, or it did not run. */
  readonly code: number | null
  /** The signal that ended it; null if it ended by itself, or did not run. */
  readonly signal: NodeJS.Signals | null
  /** Why it was ended before it ended by itself; null if it was not. */
  readonly stoppedBy: StopReason | null
  /** From the spawn to the end of the process, in milliseconds. */
  readonly durationMs: number
  /** Standard output up to its cap; empty with `onStdout`. */
  readonly stdout: Buffer
  /** Standard error up to its cap; empty with `onStderr`. */
  readonly stderr: Buffer
  /** All bytes that were written to standard output, even beyond the cap. */
  readonly stdoutBytes: number
  /** All bytes that were written to standard error, even beyond the cap. */
  readonly stderrBytes: number
  /** Whether output was cut at a cap. */
  readonly truncated: boolean
  /** Each kind once, in order. */
  readonly warnings: readonly WarningKind[]
  /** Every event that was recorded, in order, with its outcome. */
  readonly trail: readonly TrailEntry[]
  /** Why it was denied, with the limit and what was asked for; or what a callback threw first. */
  readonly error?: unknown
}

const NOTHING = {
  denialReason: null,
  pid: null,
  code: null,
  signal: null,
  stoppedBy: null,
  durationMs: 0,
  stdoutBytes: 0,
  stderrBytes: 0,
  truncated: false,
} as const

/**
 * Runs one command as the x0x gateway does, and leaves its whole trail in the right order: `request`,
 * durable before there is a process; `started`; `warning`s; `exit`. A command that is refused or cannot
 * be spawned leaves a `denial`.
 *
 * Rejects only if nothing has run: with a TypeError or RangeError for a mistake in the options, or
 * as the audit does when `request` or `denial` fails (`failureMode: 'closed'`). With
 * `failureMode: 'open'` a failed `request` does not stop the command. Once the command runs, whatever
 * fails is reported in `trail`.
 *
 * @param audit an {@link ExecAudit}, or anything with its five event methods
 * @example
 * const { code, stdout } = await runAudited(audit, { argv: ['uptime'], agentId, machineId })
 */
export async function runAudited(audit: EventRecorder, options: RunOptions): Promise<AuditedRun> {
  checkTrail(audit)
  const run = checkRunOptions(options)
  const trail = new RunTrail(audit, run)
  const refused = refusal(run)
  if (refused !== undefined) return denied(run, trail, refused.reason, refused.error)
  // Under a disabled policy x0x runs nothing and records nothing.
  if ((await trail.request()) === 'disabled') {
    return denied(run, trail, 'exec_disabled', new Error('the policy is disabled'))
  }
  for (const [signal, kind] of run.cancels) {
    if (signal.aborted) return cancelled(run, trail, kind)
  }
  return spawned(run, trail)
}

/** Why a command is refused before it is recorded as allowed. */
function refusal({ argv, stdin, timeoutMs, limits }: CheckedRun): Refusal | undefined {
  if (argv.length === 0) return refused('argv_not_allowed', 'argv has no program')
  // No program can be given one.
  const nul = argv.findIndex((argument) => argument.includes('\0'))
  if (nul >= 0) return refused('shell_metachar_in_argv', `argv[${nul}] has a NUL character`)
  const stdinBytes = stdin?.length ?? 0
  const { maxStdinBytes, maxDurationMs } = limits
  if (stdinBytes > maxStdinBytes) {
    const problem = `stdin has ${stdinBytes} bytes; limits.maxStdinBytes allows ${maxStdinBytes}`
    return refused('stdin_too_large', problem)
  }
  if (timeoutMs <= maxDurationMs) return undefined
  const problem = `timeoutMs is ${timeoutMs}; limits.maxDurationMs allows ${maxDurationMs}`
  return refused('timeout_too_large', problem)
}

interface Refusal {
  readonly reason: DenialReason
  readonly error: Error
}

function refused(reason: DenialReason, problem: string): Refusal {
  return { reason, error: new RangeError(problem) }
}

async function spawned(run: CheckedRun, trail: RunTrail): Promise<AuditedRun> {
  let command: Spawned
  try {
    command = await spawnCommand(run)
  } catch (error) {
    return denied(run, trail, 'spawn_failed', error)
  }
  trail.started(command.pid)
  const { errors, ...end } = await new ChildRun(command, run, trail).ended()
  trail.exit(endingOf(end))
  const result = await resultOf(run, trail, { outcome: 'exited', pid: command.pid, ...end })
  return errors.length === 0 ? result : { ...result, error: errors[0] }
}

async function denied(
  run: CheckedRun,
  trail: RunTrail,
  denialReason: DenialReason,
  error: unknown,
): Promise<AuditedRun> {
  await trail.denial(denialReason)
  return resultOf(run, trail, { outcome: 'denied', denialReason, error })
}

/** The request was recorded as allowed, so its end is recorded too. */
async function cancelled(
  run: CheckedRun,
  trail: RunTrail,
  kind: StopReason & WarningKind,
): Promise<AuditedRun> {
  trail.warn(kind)
  trail.exit(endingOf(NOTHING))
  return resultOf(run, trail, { outcome: 'cancelled', stoppedBy: kind })
}

function endingOf(end: Omit<ChildEnd, 'stdout' | 'stderr' | 'errors'>): Ending {
  const { code, signal, durationMs, stdoutBytes, stderrBytes, truncated } = end
  return { code, signal, durationMs, stdoutBytes, stderrBytes, truncated }
}

async function resultOf(
  run: CheckedRun,
  trail: RunTrail,
  known: Partial<AuditedRun> & Pick<AuditedRun, 'outcome'>,
): Promise<AuditedRun> {
  const entries = await trail.settled()
  return {
    ...NOTHING,
    stdout: Buffer.alloc(0),
    stderr: Buffer.alloc(0),
    ...known,
    requestId: run.requestId.toString('hex'),
    warnings: [...trail.warnings],
    trail: entries,
  }
}

function checkTrail(audit: unknown): void {
  const isTrail =
    typeof audit === 'object' &&
    audit !== null &&
    EVENT_NAMES.every((name) => typeof Reflect.get(audit, name) === 'function')
  if (isTrail) return
  throw new TypeError(
    `audit: expected an object with ${EVENT_NAMES.join(', ')} methods, got ${describe(audit)}`,
  )
}
