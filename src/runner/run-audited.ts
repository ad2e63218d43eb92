import { describe } from '../base/describe'
import { type DenialReason, EVENT_NAMES, type WarningKind } from '../format/events'
import type { EventRecorder } from '../writer/audit-trail'
import { type ChildEnd, ChildRun, type Spawned, spawnCommand } from './child-run'
import { DiskWait } from './disk-wait'
import { RunCancel } from './run-cancel'
import { PROCESS_NOTES, type RunNotes } from './run-notes'
import { type CheckedRun, checkRunOptions, type RunOptions } from './run-options'
import { type Ending, RunTrail, type TrailEntry } from './run-trail'
import { type StopReason, timeLimitOf } from './supervisor'

/** The result of a command. */
export interface AuditedRun {
  /**
   * - `exited`: it ran, and has ended, by itself or by a signal;
   * - `denied`: it was refused or could not be spawned, see `denialReason`;
   * - `cancelled`: it was cancelled, or its time was out, before it was spawned, see `stoppedBy`.
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
  /**
   * Present if the command, or a process that it has started, was to be ended and could not be: it may
   * not be signalled (it is set-user-ID), or not even SIGKILL has ended it.
   */
  readonly unstoppable?: true
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
 * fails is reported in `trail`. While the disk does not answer, a cancel and the time limit end the
 * waiting: a command whose `request` is pending then does not run.
 *
 * @param audit an {@link ExecAudit}, or anything with its five event methods
 * @example
 * const { code, stdout } = await runAudited(audit, { argv: ['uptime'], agentId, machineId })
 */
export function runAudited(audit: EventRecorder, options: RunOptions): Promise<AuditedRun> {
  return runWith(audit, options, PROCESS_NOTES)
}

/** The same, for a caller that reports what happens meanwhile in its own way. */
export async function runWith(
  audit: EventRecorder,
  options: RunOptions,
  notes: RunNotes,
): Promise<AuditedRun> {
  checkTrail(audit)
  const run = checkRunOptions(options)
  const trail = new RunTrail(audit, run)
  const cancel = new RunCancel(run.cancels)
  try {
    const wait = new DiskWait(cancel, timeLimitOf(run), notes)
    return await runWithin({ run, trail, cancel, wait, notes })
  } finally {
    cancel.end()
  }
}

interface Running {
  readonly run: CheckedRun
  readonly trail: RunTrail
  readonly cancel: RunCancel
  readonly wait: DiskWait
  readonly notes: RunNotes
}

async function runWithin(running: Running): Promise<AuditedRun> {
  const { run, trail, cancel, wait } = running
  const refused = refusal(run)
  if (refused !== undefined) return denied(running, refused.reason, refused.error)
  const request = trail.request()
  const stopped = await wait.event('request', request)
  if (stopped !== undefined) return cancelled(running, stopped)
  const { outcome, ...rest } = await request
  if ('error' in rest) throw rest.error
  // Under a disabled policy x0x runs nothing and records nothing.
  if (outcome === 'disabled') {
    return denied(running, 'exec_disabled', new Error('the policy is disabled'))
  }
  if (cancel.request !== undefined) return cancelled(running, cancel.request.kind)
  return spawned(running)
}

/** Why a command is refused before it is recorded as allowed. */
function refusal({ argv, stdinBytes, timeoutMs, limits }: CheckedRun): Refusal | undefined {
  if (argv.length === 0) return refused('argv_not_allowed', 'argv has no program')
  // No program can be given one.
  const nul = argv.findIndex((argument) => argument.includes('\0'))
  if (nul >= 0) return refused('shell_metachar_in_argv', `argv[${nul}] has a NUL character`)
  // It would be given another one, with U+FFFD in its place.
  const odd = argv.findIndex((argument) => !argument.isWellFormed())
  if (odd >= 0) return refused('argv_not_allowed', `argv[${odd}] has a lone surrogate`)
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

async function spawned(running: Running): Promise<AuditedRun> {
  const { run, trail } = running
  let command: Spawned
  try {
    command = await spawnCommand(run)
  } catch (error) {
    return denied(running, 'spawn_failed', error)
  }
  trail.started(command.pid)
  const { errors, isUnstoppable, ...end } = await new ChildRun(command, running).ended()
  trail.exit(endingOf(end))
  return resultOf(running, {
    outcome: 'exited',
    pid: command.pid,
    ...end,
    ...(isUnstoppable ? { unstoppable: true } : {}),
    ...(errors.length === 0 ? {} : { error: errors[0] }),
  })
}

async function denied(
  running: Running,
  denialReason: DenialReason,
  error: unknown,
): Promise<AuditedRun> {
  const { trail, wait } = running
  const denial = trail.denial(denialReason)
  if ((await wait.event('denial', denial)) === undefined) {
    const entry = await denial
    if ('error' in entry) throw entry.error
  }
  return resultOf(running, { outcome: 'denied', denialReason, error })
}

/** The request was recorded as allowed, so its end is recorded too. */
async function cancelled(running: Running, stoppedBy: StopReason): Promise<AuditedRun> {
  const { trail } = running
  trail.warn(stoppedBy === 'timeout' ? 'duration_approaching_cap' : stoppedBy)
  trail.exit(endingOf(NOTHING))
  return resultOf(running, { outcome: 'cancelled', stoppedBy })
}

function endingOf(end: Omit<ChildEnd, 'stdout' | 'stderr' | 'errors' | 'isUnstoppable'>): Ending {
  const { code, signal, durationMs, stdoutBytes, stderrBytes, truncated } = end
  return { code, signal, durationMs, stdoutBytes, stderrBytes, truncated }
}

async function resultOf(
  { run, trail, cancel, wait }: Running,
  known: Partial<AuditedRun> & Pick<AuditedRun, 'outcome'>,
): Promise<AuditedRun> {
  await wait.trail(trail, cancel.request !== undefined || known.stoppedBy === 'timeout')
  return {
    ...NOTHING,
    stdout: Buffer.alloc(0),
    stderr: Buffer.alloc(0),
    ...known,
    requestId: run.requestId.toString('hex'),
    warnings: [...trail.warnings],
    trail: trail.entries,
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
