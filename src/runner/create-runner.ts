import { I32_MAX, U32_MAX } from '../base/integers'
import { integer, number, refuse, valuesOf } from '../base/option-checks'
import { clearTimeout, setTimeout } from '../base/timers'
import { DENIAL_REASONS, type DenialReason } from '../format/events'
import type { EventRecorder } from '../writer/audit-trail'
import { closedError } from '../writer/failure/audit-error'
import { checkLimits, type RunLimits } from './limits'
import { type AuditedRun, type DeniedRun, type Refusal, runWith } from './run-audited'
import { agentOf, isAbortSignal, type RunOptions, spawnerOf } from './run-options'
import type { Spawner } from './spawner'

/** x0x's own caps. */
const CONCURRENT = 32
const CONCURRENT_PER_AGENT = 4

/** Options of {@link createRunner}. The result of `loadExecPolicy` will do: its other properties are not looked at. */
export interface RunnerOptions {
  /** Caps of each command; a run's own `limits` take their place. Default x0x's. */
  limits?: Partial<RunLimits> | undefined
  /** Commands at a time in all, u32 from 1; default 32. */
  maxConcurrent?: number | undefined
  /** Commands at a time for one agent, u32 from 1; default 4. */
  maxConcurrentPerAgent?: number | undefined
  /** The working directory of runs that have none of their own. */
  defaultCwd?: string | undefined
  /** Cancels all commands, as `cancelled`. */
  cancel?: AbortSignal | undefined
  /** For unit tests: takes the place of spawning; a run's own `spawner` takes its place. */
  spawner?: Spawner | undefined
  /** Of `loadExecPolicy`; not looked at. */
  policy?: unknown
  /** Of `loadExecPolicy`; not looked at. */
  concurrency?: unknown
  /** Of `loadExecPolicy`; not looked at. */
  allow?: unknown
  /** Of `loadExecPolicy`; not looked at. */
  path?: unknown
  /** Of `loadExecPolicy`; not looked at. */
  summary?: unknown
}

/** A command that the gateway itself refuses. */
export type DenyOptions = Pick<
  RunOptions,
  'argv' | 'agentId' | 'machineId' | 'requestId' | 'context' | 'cwd'
> & {
  /** Why; docs/identity.md says which is for what. */
  reason: DenialReason
}

/** Options of {@link Runner.close}. */
export interface RunnerCloseOptions {
  /**
   * After how many milliseconds the commands that still run are cancelled, 0 to 2^31 - 1; absent, they end by
   * themselves or by their time limits.
   */
  cancelAfterMs?: number | undefined
}

/** Runs the commands of one gateway, see {@link createRunner}. */
export interface Runner extends AsyncDisposable {
  /** How many commands are under way, from the call of `run` to its result; refused ones do not count. */
  readonly running: number
  /**
   * As `runAudited`; above a cap the result is a denial, `concurrency_limit_reached`. Rejects with an AuditError
   * `AUDIT_CLOSED` after {@link close}.
   */
  run(options: RunOptions): Promise<AuditedRun>
  /** Records a refusal of the gateway's own; rejects as `runAudited` does. */
  deny(options: DenyOptions): Promise<DeniedRun>
  /**
   * Takes no more commands, and resolves once those under way have ended and their events have outcomes. May be
   * called again, for instance to cancel sooner. It does not close the audit. Never rejects, but for a mistake in
   * the options.
   */
  close(options?: RunnerCloseOptions): Promise<void>
}

const OPTION_NAMES = [
  'limits',
  'maxConcurrent',
  'maxConcurrentPerAgent',
  'defaultCwd',
  'cancel',
  'spawner',
  'policy',
  'concurrency',
  'allow',
  'path',
  'summary',
] as const satisfies readonly (keyof RunnerOptions)[]

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['signal', 'cancel'],
  ['cwd', 'defaultCwd'],
])

/**
 * The object that a gateway needs around `runAudited`: it counts the commands that run, refuses those above a cap,
 * and ends them at a shutdown.
 *
 * @param audit an {@link ExecAudit}, or anything with its five event methods
 * @throws TypeError or RangeError for a mistake in the options, naming it
 * @example
 * const runner = createRunner(audit, loadExecPolicy())
 * const result = await runner.run({ argv: ['uptime'], agentId, machineId })
 * await runner.close({ cancelAfterMs: 10_000 })
 */
export function createRunner(audit: EventRecorder, options: RunnerOptions = {}): Runner {
  return new AuditedRunner(audit, options)
}

class AuditedRunner implements Runner {
  readonly #audit: EventRecorder
  readonly #defaults: Pick<RunOptions, 'limits' | 'cwd' | 'spawner'>
  readonly #max: number
  readonly #maxPerAgent: number
  readonly #cancels: readonly AbortSignal[]
  readonly #ender = new AbortController()
  readonly #perAgent = new Map<string, number>()
  /** Runs and denials. */
  readonly #underWay = new Set<Promise<unknown>>()
  #running = 0
  #isClosed = false

  constructor(audit: EventRecorder, options: RunnerOptions) {
    const values = valuesOf('options', options, OPTION_NAMES, ALIASES)
    this.#audit = audit
    this.#max = integer('options.maxConcurrent', values, CONCURRENT, 1, U32_MAX)
    const perAgent = integer(
      'options.maxConcurrentPerAgent',
      values,
      CONCURRENT_PER_AGENT,
      1,
      U32_MAX,
    )
    this.#maxPerAgent = perAgent
    const { defaultCwd, cancel } = options
    const spawner = spawnerOf(options)
    this.#defaults = {
      limits: checkLimits('options.limits', values.get('limits')),
      ...(defaultCwd === undefined ? {} : { cwd: defaultCwd }),
      ...(spawner === undefined ? {} : { spawner }),
    }
    if (cancel !== undefined && !isAbortSignal(cancel)) {
      refuse('options.cancel', cancel, 'an AbortSignal')
    }
    this.#cancels = [this.#ender.signal, ...(cancel === undefined ? [] : [cancel])]
  }

  get running(): number {
    return this.#running
  }

  async run(options: RunOptions): Promise<AuditedRun> {
    if (this.#isClosed) throw closedError('this runner')
    const agent = agentOf(options)
    const refusal = this.#refusalFor(agent)
    const given = { ...this.#defaults, ...options }
    if (refusal !== undefined) return this.#track(runWith(this.#audit, given, { refusal }))
    this.#count(agent, 1)
    try {
      return await this.#track(runWith(this.#audit, given, { cancel: this.#cancels }))
    } finally {
      this.#count(agent, -1)
    }
  }

  async deny({ reason, ...options }: DenyOptions): Promise<DeniedRun> {
    if (!DENIAL_REASONS.includes(reason)) {
      refuse('options.reason', reason, `one of ${DENIAL_REASONS.join(', ')}`)
    }
    const refusal = { reason, error: new Error(`the gateway refused it: ${reason}`) }
    const result = await this.#track(runWith(this.#audit, options, { refusal }))
    if (result.outcome !== 'denied') throw new Error(`a denial has ended as ${result.outcome}`)
    return result
  }

  async close(options: RunnerCloseOptions = {}): Promise<void> {
    const values = valuesOf('options', options, ['cancelAfterMs'])
    const none = Number.POSITIVE_INFINITY
    const cancelAfterMs = number('options.cancelAfterMs', values, none, 0, I32_MAX)
    this.#isClosed = true
    const end = () => this.#ender.abort()
    if (cancelAfterMs === 0) end()
    const timer =
      cancelAfterMs > 0 && cancelAfterMs !== none ? setTimeout(end, cancelAfterMs) : undefined
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
    if (timer !== undefined) clearTimeout(timer)
  }

  /** Calls {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #refusalFor(agent: string): Refusal | undefined {
    const ofAgent = this.#perAgent.get(agent) ?? 0
    if (this.#running >= this.#max) {
      return limitReached(`${this.#running} commands run; maxConcurrent is ${this.#max}`)
    }
    if (ofAgent < this.#maxPerAgent) return undefined
    return limitReached(
      `${ofAgent} commands of this agent run; maxConcurrentPerAgent is ${this.#maxPerAgent}`,
    )
  }

  #count(agent: string, change: 1 | -1): void {
    this.#running += change
    const ofAgent = (this.#perAgent.get(agent) ?? 0) + change
    if (ofAgent === 0) this.#perAgent.delete(agent)
    else this.#perAgent.set(agent, ofAgent)
  }

  async #track<T>(run: Promise<T>): Promise<T> {
    this.#underWay.add(run)
    try {
      return await run
    } finally {
      this.#underWay.delete(run)
    }
  }
}

function limitReached(problem: string): Refusal {
  return { reason: 'concurrency_limit_reached', error: new RangeError(problem) }
}
