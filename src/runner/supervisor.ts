import { constants } from 'node:os'
import { clearTimeout, setTimeout } from '../base/timers'
import type { ProcessGroup } from './process-group'
import type { CancelKind, CheckedRun } from './run-options'
import type { RunTrail } from './run-trail'

/** Why a command was ended before it ended by itself. */
export type StopReason = CancelKind | 'timeout'

/** x0x rounds a time limit up to whole seconds, at least one. */
const ZERO_TIMEOUT_MS = 1_000

/** Ends a command that is cancelled or out of time: one signal, and SIGKILL after the grace. */
export class Supervisor {
  readonly #run: CheckedRun
  readonly #group: ProcessGroup
  readonly #trail: RunTrail
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #unlisten: (() => void)[] = []
  #stoppedBy: StopReason | null = null
  #isKilled = false

  constructor(run: CheckedRun, group: ProcessGroup, trail: RunTrail) {
    this.#run = run
    this.#group = group
    this.#trail = trail
    const { warnDurationMs, maxDurationMs } = run.limits
    const timeoutMs = run.timeoutMs === 0 ? Math.min(ZERO_TIMEOUT_MS, maxDurationMs) : run.timeoutMs
    if (warnDurationMs > 0 && warnDurationMs < timeoutMs) {
      this.#after(warnDurationMs, () => this.#warn())
    }
    this.#after(timeoutMs, () => this.#timeOut())
    for (const [signal, kind] of run.cancels) this.#listen(signal, kind)
  }

  /** The first reason there was. */
  get stoppedBy(): StopReason | null {
    return this.#stoppedBy
  }

  /** Whether SIGKILL was sent. */
  get isKilled(): boolean {
    return this.#isKilled
  }

  /** Forgets timers and signals. */
  end(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    for (const unlisten of this.#unlisten) unlisten()
  }

  #listen(signal: AbortSignal, kind: CancelKind): void {
    const cancel = () => this.#cancel(kind, signal.reason)
    if (signal.aborted) {
      cancel()
      return
    }
    signal.addEventListener('abort', cancel, { once: true })
    this.#unlisten.push(() => signal.removeEventListener('abort', cancel))
  }

  #warn(): void {
    if (this.#stoppedBy === null) this.#trail.warn('duration_approaching_cap')
  }

  #timeOut(): void {
    if (this.#stoppedBy !== null) return
    this.#trail.warn('duration_approaching_cap')
    this.#stop('timeout', 'SIGTERM')
  }

  #cancel(kind: CancelKind, reason: unknown): void {
    if (this.#stoppedBy !== null) return
    this.#trail.warn(kind)
    this.#stop(kind, isSignalName(reason) ? reason : 'SIGTERM')
  }

  #stop(reason: StopReason, signal: NodeJS.Signals): void {
    this.#stoppedBy = reason
    this.#group.kill(signal)
    this.#after(this.#run.limits.graceMs, () => {
      this.#isKilled = true
      this.#group.kill('SIGKILL')
    })
  }

  #after(ms: number, call: () => void): void {
    this.#timers.add(setTimeout(call, ms))
  }
}

function isSignalName(reason: unknown): reason is NodeJS.Signals {
  return typeof reason === 'string' && Object.hasOwn(constants.signals, reason)
}
