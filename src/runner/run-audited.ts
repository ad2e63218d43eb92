import { describe } from '../base/describe'
import { invalidOption } from '../base/invalid-option'
import { type DenialReason, EVENT_NAMES, type WarningKind } from '../format/events'
import type { EventRecorder } from '../writer/audit-trail'
import { leaseOf } from '../writer/run-lease'
import { ChildRun, type Spawned, spawnCommand } from './child-run'
import { DiskWait } from './disk-wait'
import { RunCancel } from './run-cancel'
import { PROCESS_NOTES, type RunNotes } from './run-notes'
import { type CheckedRun, checkRunOptions, type RunOptions } from './run-options'
import { type Ending, RunTrail, type TrailEntry } from './run-trail'
import { type StopReason, timeLimitOf } from './supervisor'

/** What every result of a command has. */
interface RunResult {
  /** 32 hexadecimal digits. */
  readonly requestId: string
  /** From the spawn to the end of the process, in milliseconds; 0 if it did not run. */
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
}

/** The command ran, and has ended, by itself or by a signal. */
export interface ExitedRun extends RunResult {
  /** Which of the three results this is. */
  readonly outcome: 'exited'
  /** It was not refused. */
  readonly denialReason: null
  /** The command's process. */
  readonly pid: number
  /** The exit code; null if a signal ended it. */
  readonly code: number | null
  /** The signal that ended it; null if it ended by itself. */
  readonly signal: NodeJS.Signals | null
  /** Why it was ended before it ended by itself; null if it was not. */
  readonly stoppedBy: StopReason | null
  /**
   * Present if the command, or a process that it has started, was to be ended and could not be: it may
   * not be signalled (it is set-user-ID), or not even SIGKILL has ended it.
   */
  readonly unstoppable?: true
  /** What a callback threw first. */
  readonly error?: unknown
}

/** The command was refused, or could not be spawned. */
export interface DeniedRun extends RunResult {
  /** Which of the three results this is. */
  readonly outcome: 'denied'
  /** Why, as in its `denial` event. */
  readonly denialReason: DenialReason
  /** There was no process. */
  readonly pid: null
  /** It did not run. */
  readonly code: null
  /** It did not run. */
  readonly signal: null
  /** It was not ended. */
  readonly stoppedBy: null
  /** Why, with the limit and what was asked for. */
  readonly error: unknown
}

/** The command was cancelled, or its time was out, before it was spawned. */
export interface CancelledRun extends RunResult {
  /** Which of the three results this is. */
  readonly outcome: 'cancelled'
  /** It was not refused. */
  readonly denialReason: null
  /** There was no process. */
  readonly pid: null
  /** It did not run. */
  readonly code: null
  /** It did not run. */
  readonly signal: null
  /** What ended the waiting. */
  readonly stoppedBy: StopReason
  /** There is none. */
  readonly error?: undefined
}

/** The result of a command; `outcome` says which. */
export type AuditedRun = ExitedRun | DeniedRun | CancelledRun

const NO_PROCESS = {
  denialReason: null,
  pid: null,
  code: null,
  signal: null,
  stoppedBy: null,
} as const
const NO_OUTPUT = { durationMs: 0, stdoutBytes: 0, stderrBytes: 0, truncated: false } as const

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
  return runWith(audit, options, {})
}

/** What a caller of the package's own adds to a run. */
export interface RunExtras {
  /** Reports what happens meanwhile in the caller's own way. */
  readonly notes?: RunNotes
  /** Cancels the run, as `cancelled`, beside the signals of its options. */
  readonly cancel?: readonly AbortSignal[]
  /** Why the caller refuses it, if it does. */
  readonly refusal?: Refusal | undefined
}

/** The same, for a caller of the package's own. */
export async function runWith(
  audit: EventRecorder,
  options: RunOptions,
  { notes = PROCESS_NOTES, cancel: others = [], refusal }: RunExtras,
): Promise<AuditedRun> {
  checkTrail(audit)
  const run = checkRunOptions(options)
  const cancels = new Map(run.cancels)
  for (const signal of others) if (!cancels.has(signal)) cancels.set(signal, 'cancelled')
  const cancel = new RunCancel(cancels)
  const lease = leaseOf(audit)
  try {
    const trail = new RunTrail(lease.events, run)
    const wait = new DiskWait(cancel, timeLimitOf(run), notes)
    return await runWithin({ run, trail, cancel, wait, notes }, refusal)
  } finally {
    lease.end()
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

async function runWithin(running: Running, callers: Refusal | undefined): Promise<AuditedRun> {
  const { run, trail, cancel, wait } = running
  const refused = callers ?? refusal(run)
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

/** Why a command is not run. */
export interface Refusal {
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
  const child = new ChildRun(command, running)
  const { errors, isUnstoppable, ...end } = await child.ended()
  trail.exit(endingOf(end))
  child.forget()
  return {
    outcome: 'exited',
    denialReason: null,
    pid: command.pid,
    ...end,
    ...(isUnstoppable ? { unstoppable: true } : {}),
    ...(errors.length === 0 ? {} : { error: errors[0] }),
    ...(await recordOf(running, end.stoppedBy === 'timeout')),
  }
}

async function denied(
  running: Running,
  denialReason: DenialReason,
  error: unknown,
): Promise<DeniedRun> {
  const { trail, wait } = running
  const denial = trail.denial(denialReason)
  if ((await wait.event('denial', denial)) === undefined) {
    const entry = await denial
    if ('error' in entry) throw entry.error
  }
  const record = await recordOf(running)
  return { outcome: 'denied', ...NO_PROCESS, denialReason, ...noOutput(), error, ...record }
}

/** The request was recorded as allowed, so its end is recorded too. */
async function cancelled(running: Running, stoppedBy: StopReason): Promise<CancelledRun> {
  const { trail } = running
  trail.warn(stoppedBy === 'timeout' ? 'duration_approaching_cap' : stoppedBy)
  trail.exit(endingOf({ code: null, signal: null, ...NO_OUTPUT }))
  const record = await recordOf(running, stoppedBy === 'timeout')
  return { outcome: 'cancelled', ...NO_PROCESS, stoppedBy, ...noOutput(), ...record }
}

function noOutput() {
  return { ...NO_OUTPUT, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }
}

function endingOf(end: Ending): Ending {
  const { code, signal, durationMs, stdoutBytes, stderrBytes, truncated } = end
  return { code, signal, durationMs, stdoutBytes, stderrBytes, truncated }
}

/** What was recorded, once that is settled or not waited for any longer. */
async function recordOf(
  { run, trail, cancel, wait }: Running,
  isTimedOut = false,
): Promise<Pick<RunResult, 'requestId' | 'warnings' | 'trail'>> {
  await wait.trail(trail, cancel.request !== undefined || isTimedOut)
  const requestId = run.requestId.toString('hex')
  return { requestId, warnings: [...trail.warnings], trail: trail.entries }
}

function checkTrail(audit: unknown): void {
  const isTrail =
    typeof audit === 'object' &&
    audit !== null &&
    EVENT_NAMES.every((name) => typeof Reflect.get(audit, name) === 'function')
  if (isTrail) return
  throw invalidOption(
    'audit',
    `expected an object with ${EVENT_NAMES.join(', ')} methods, got ${describe(audit)}`,
  )
}
