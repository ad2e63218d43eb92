import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { CappedOutput } from './capped-output'
import { signalNumber, waitForEnd } from './killed-end'
import { ProcessGroup } from './process-group'
import type { RunCancel } from './run-cancel'
import { callbackFailed, callForeign, type RunNotes } from './run-notes'
import type { CheckedRun } from './run-options'
import type { RunTrail } from './run-trail'
import { type CommandGroup, type CommandProcess, PlayedProcess } from './spawner'
import { type StopReason, Supervisor, timeLimitOf } from './supervisor'

/** A command that was spawned. */
export interface Spawned {
  readonly child: CommandProcess
  readonly pid: number
  /** Its process group; `onKilled` is called if the exit of this process has killed it. */
  groupOf(onKilled: () => void): CommandGroup
  /** Of `performance.now()`. */
  readonly startedAt: number
}

/** How a command ended, and its output. */
export interface ChildEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stoppedBy: StopReason | null
  readonly durationMs: number
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly stdoutBytes: number
  readonly stderrBytes: number
  readonly truncated: boolean
  /** Whether something that was to be ended runs on. */
  readonly isUnstoppable: boolean
  /** The errors that the embedder's callbacks have thrown. */
  readonly errors: readonly unknown[]
}

type ExitStatus = Pick<ChildEnd, 'code' | 'signal' | 'durationMs'>

const POLL_MS = 20
/** Looking for processes that SIGKILL has not ended reads all of /proc. */
const KILLED_POLL_MS = 100

/** Spawns the command, as the leader of a process group. Rejects with the reason it cannot be. */
export async function spawnCommand(run: CheckedRun): Promise<Spawned> {
  const { argv, env, cwd, uid, gid, stdin, spawner } = run
  const startedAt = performance.now()
  if (spawner !== undefined) {
    const played = new PlayedProcess(await spawner({ argv, env, cwd, stdin }))
    return { child: played, pid: played.leader, groupOf: () => played, startedAt }
  }
  const [file = '', ...args] = argv
  const input = stdin === undefined || stdin.length === 0 ? 'ignore' : 'pipe'
  const child = spawn(file, args, {
    ...{ detached: true, env, cwd, stdio: [input, 'pipe', 'pipe'] },
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  if (child.pid === undefined) {
    const [cause]: unknown[] = await once(child, 'error')
    // The kernel has one ENOENT for both.
    const isCwdWrong = cwd !== undefined && !isFolder(cwd)
    throw isCwdWrong ? new Error(`the working directory ${cwd} is no folder`, { cause }) : cause
  }
  child.on('error', () => undefined)
  const { pid } = child
  return { child, pid, groupOf: (onKilled) => new ProcessGroup(pid, onKilled), startedAt }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** What a command's run is reported to, and stopped by. */
interface Surroundings {
  readonly run: CheckedRun
  readonly trail: RunTrail
  readonly cancel: RunCancel
  readonly notes: RunNotes
}

/** Sees a command through to its end. Never rejects. */
export class ChildRun {
  readonly #run: CheckedRun
  readonly #around: Surroundings
  readonly #child: CommandProcess
  readonly #group: CommandGroup
  readonly #startedAt: number
  readonly #exited: Promise<ExitStatus>
  readonly #closed: Promise<void>
  readonly #outputs: CappedOutput[] = []
  readonly #errors: unknown[] = []

  constructor({ child, groupOf, startedAt }: Spawned, around: Surroundings) {
    this.#run = around.run
    this.#around = around
    this.#child = child
    this.#group = groupOf(() => this.#recordKilled())
    this.#startedAt = startedAt
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve({ code, signal, durationMs: Math.floor(performance.now() - startedAt) })
      })
    })
    this.#closed = new Promise((resolve) => child.once('close', () => resolve()))
  }

  async ended(): Promise<ChildEnd> {
    const stdout = this.#listen('stdout', this.#child.stdout)
    const stderr = this.#listen('stderr', this.#child.stderr)
    const supervisor = new Supervisor(this.#run, this.#group, this.#around)
    this.#child.once('exit', () => supervisor.leaderEnded())
    this.#around.notes.spawned(this.#group)
    this.#reportSpawn()
    this.#feed()
    const status = await this.#exited
    await this.#drained(supervisor)
    await this.#groupGone(supervisor)
    this.#missDeliveries()
    supervisor.end()
    for (const output of this.#outputs) output.letGo()
    return {
      ...status,
      ...this.#timesOf(status, supervisor.stoppedBy),
      stdout: stdout?.kept() ?? Buffer.alloc(0),
      stderr: stderr?.kept() ?? Buffer.alloc(0),
      stdoutBytes: stdout?.total ?? 0,
      stderrBytes: stderr?.total ?? 0,
      truncated: this.#outputs.some(({ isTruncated }) => isTruncated),
      isUnstoppable: supervisor.isUnstoppable,
      errors: this.#errors,
    }
  }

  /** Its end is recorded: the exit of this process has nothing left to do about it. */
  forget(): void {
    this.#group.forget()
  }

  /** A time-out shows in the log by a duration that is not below the limit; timers may be early by a millisecond. */
  #timesOf({ durationMs }: ExitStatus, stoppedBy: StopReason | null) {
    const isTimedOut = stoppedBy === 'timeout'
    const leastMs = isTimedOut ? timeLimitOf(this.#run) : 0
    return { stoppedBy, durationMs: Math.max(durationMs, leastMs) }
  }

  /** This process exits, and has killed the command: its last chance to say so. */
  #recordKilled(): void {
    const { trail } = this.#around
    const { exitCode, signalCode } = this.#child
    const hasEnded = exitCode !== null || signalCode !== null
    if (!hasEnded) trail.warn('cancelled')
    const end = hasEnded
      ? { code: exitCode, signal: signalNumber(signalCode) }
      : waitForEnd(this.#group.leader)
    const [stdout, stderr] = [this.#outputs[0], this.#outputs[1]]
    trail.exit({
      ...end,
      durationMs: Math.floor(performance.now() - this.#startedAt),
      stdoutBytes: stdout?.total ?? 0,
      stderrBytes: stderr?.total ?? 0,
      truncated: this.#outputs.some(({ isTruncated }) => isTruncated),
    })
  }

  #listen(name: 'stdout' | 'stderr', stream: Readable | null): CappedOutput | undefined {
    if (stream === null) return undefined
    const { limits, onStdout, onStderr } = this.#run
    const isStdout = name === 'stdout'
    const output = new CappedOutput(stream, {
      cap: isStdout ? limits.maxStdoutBytes : limits.maxStderrBytes,
      warnAt: isStdout ? limits.warnStdoutBytes : limits.warnStderrBytes,
      onApproach: (total) => this.#around.trail.warn(`${name}_approaching_cap`, total),
      onCap: (total) => this.#around.trail.warn(`${name}_cap_hit`, total),
      listener: isStdout ? onStdout : onStderr,
      onListenerError: (error) => this.#errors.push(error),
    })
    this.#outputs.push(output)
    return output
  }

  #reportSpawn(): void {
    const { onSpawn } = this.#run
    if (onSpawn === undefined) return
    callForeign(
      () => onSpawn(this.#group.leader),
      (error) => {
        this.#errors.push(error)
        this.#around.notes.warn(callbackFailed('onSpawn', error))
      },
    )
  }

  #feed(): void {
    // A command need not read its input: EPIPE is no failure of it.
    this.#child.stdin?.on('error', () => undefined).end(this.#run.stdin)
  }

  /**
   * Waits for the rest of the output, for `lingerMs` in all: processes that the command has left behind may
   * hold it open forever, silent or not. The time is counted in turns of the event loop, since a loop that
   * was blocked has not yet read the bytes that came. Time in which a listener holds the output up does not
   * count before the time limit, since what waits is the command's own output.
   */
  async #drained(supervisor: Supervisor): Promise<void> {
    let isDone = false
    const done = this.#closed.then(async () => {
      await Promise.all(this.#outputs.map(({ delivered }) => delivered))
      isDone = true
    })
    const limitAt = this.#startedAt + timeLimitOf(this.#run)
    let heard = this.#heard
    let lingeredMs = 0
    while (!isDone && lingeredMs < this.#run.limits.lingerMs) {
      await Promise.race([done, sleep(POLL_MS)])
      // Asked each time, so that it is soon known when its number is no longer its own.
      this.#group.probe()
      const isHeldUp = heard === this.#heard && this.#outputs.some((output) => output.isDelivering)
      heard = this.#heard
      const mayWait = isHeldUp && !supervisor.isKilled && performance.now() < limitAt
      if (!mayWait) lingeredMs += POLL_MS
    }
  }

  /** A command that was ended is over only with all that it has started, or killed with it. */
  async #groupGone(supervisor: Supervisor): Promise<void> {
    if (supervisor.stoppedBy === null) return
    while (!supervisor.isKilled && this.#group.probe()) await sleep(POLL_MS)
    let killedMs = 0
    while (this.#group.hasRunning()) {
      if (killedMs >= this.#run.limits.lingerMs) {
        supervisor.noteUnstoppable('a process of its group runs on after SIGKILL')
        return
      }
      await sleep(KILLED_POLL_MS)
      killedMs += KILLED_POLL_MS
    }
  }

  /** The result does not wait for ever for a listener, and does not hide that it has missed output. */
  #missDeliveries(): void {
    if (!this.#outputs.some(({ isDelivering }) => isDelivering)) return
    this.#errors.push(new Error('a listener had not taken the output when the run ended'))
  }

  get #heard(): number {
    return this.#outputs.reduce((sum, { total }) => sum + total, 0)
  }
}
