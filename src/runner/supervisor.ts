import { clearTimeout, setImmediate, setTimeout } from '../base/timers'
import type { CancelRequest, RunCancel } from './run-cancel'
import type { RunNotes } from './run-notes'
import type { CancelKind, CheckedRun } from './run-options'
import type { RunTrail } from './run-trail'
import type { CommandGroup } from './spawner'

/** Why a command was ended before it ended by itself. */
export type StopReason = CancelKind | 'timeout'

/** x0x rounds a time limit up to whole seconds, at least one. */
const ZERO_TIMEOUT_MS = 1_000

/** The time limit that holds. */
export function timeLimitOf({ timeoutMs, limits }: CheckedRun): number {
  return timeoutMs === 0 ? Math.min(ZERO_TIMEOUT_MS, limits.maxDurationMs) : timeoutMs
}

/** Ends a command that is cancelled or out of time: one signal, and SIGKILL after the grace. */
export class Supervisor {
  readonly #run: CheckedRun
  readonly #group: CommandGroup
  readonly #trail: RunTrail
  readonly #notes: RunNotes
  readonly #timers = new Set<NodeJS.Timeout>()
  #stoppedBy: StopReason | null = null
  #isKilled = false
  #hasLeaderEnded = false
  #isUnstoppable = false
  #isOver = false

  constructor(
    run: CheckedRun,
    group: CommandGroup,
    { trail, cancel, notes }: { trail: RunTrail; cancel: RunCancel; notes: RunNotes },
  ) {
    this.#run = run
    this.#group = group
    this.#trail = trail
    this.#notes = notes
    const { warnDurationMs } = run.limits
    const limitMs = timeLimitOf(run)
    if (warnDurationMs > 0 && warnDurationMs < limitMs) {
      this.#afterTurn(warnDurationMs, () => this.#warn())
    }
    this.#afterTurn(limitMs, () => this.#timeOut())
    cancel.listen((request) => this.#cancel(request))
  }

  /** The first reason there was. */
  get stoppedBy(): StopReason | null {
    return this.#stoppedBy
  }

  /** Whether SIGKILL was sent. */
  get isKilled(): boolean {
    return this.#isKilled
  }

  /** Whether the command, or a process that it has started, was to be ended and could not be. */
  get isUnstoppable(): boolean {
    return this.#isUnstoppable
  }

  /** The command has ended: its time limit and the warning ahead of that are about nothing any more. */
  leaderEnded(): void {
    this.#hasLeaderEnded = true
  }

  /** Reports, once, that something runs on that should not. */
  noteUnstoppable(why: string): void {
    if (this.#isUnstoppable) return
    this.#isUnstoppable = true
    this.#notes.warn(`process ${this.#group.leader} could not be stopped: ${why}`)
  }

  /** The run is over: a cancel that comes while its events are awaited ends nothing, and is no event. */
  end(): void {
    this.#isOver = true
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #warn(): void {
    if (this.#stoppedBy === null) this.#trail.warn('duration_approaching_cap')
  }

  #timeOut(): void {
    if (this.#stoppedBy !== null) return
    this.#trail.warn('duration_approaching_cap')
    this.#stop('timeout', 'SIGTERM')
  }

  #cancel({ kind, signal }: CancelRequest): void {
    if (this.#stoppedBy !== null || this.#isOver) return
    this.#trail.warn(kind)
    this.#stop(kind, signal)
  }

  #stop(reason: StopReason, signal: NodeJS.Signals): void {
    this.#stoppedBy = reason
    this.#send(signal)
    this.#after(this.#run.limits.graceMs, () => {
      this.#isKilled = true
      this.#send('SIGKILL')
      this.#after(this.#run.limits.lingerMs, () => {
        if (!this.#hasLeaderEnded) this.noteUnstoppable('it runs on after SIGKILL')
      })
    })
  }

  #send(signal: NodeJS.Signals): void {
    if (this.#group.kill(signal)) return
    this.noteUnstoppable('it has become another user, and may not be signalled (EPERM)')
  }

  #after(ms: number, call: () => void): void {
    this.#timers.add(setTimeout(call, ms))
  }

  /** A process that was frozen sees its timers before the end that came long ago: it looks for that first. */
  #afterTurn(ms: number, call: () => void): void {
    this.#after(ms, () => {
      setImmediate(() => {
        if (!this.#hasLeaderEnded) call()
      })
    })
  }
}
