import { AsyncResource } from 'node:async_hooks'
import { createHistogram } from 'node:perf_hooks'
import { types } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { soon } from '../../base/timers'
import type { AuditOutcome } from '../../format/events'
import type { AuditStats } from '../audit-stats'
import { drainAtExit, type ExitDrained, forgetAtExit, isExiting } from '../exit-drain'
import { closedError, ringFullError } from '../failure/audit-error'
import type { AuditFailureRecorder } from '../failure/diagnostics'
import type { FailureKind } from '../failure/failure-counts'
import { FailureReporter } from '../failure/failure-reporter'
import { ForeignCode, hasStackLeft } from '../failure/foreign-code'
import {
  type AuditWarning,
  alertWarning,
  exitTimeoutWarning,
  fallbackWarning,
  redactWarning,
  returnWarning,
  ringGivenUpWarning,
} from '../failure/warnings'
import type { CheckedOptions } from '../options'
import { EventEncoder, type RecordName, reentryError } from '../record/encode'
import { allocateMemory, type SharedMemory } from '../ring/memory-map'
import type { DrainConfig, Notice } from '../ring/messages'
import { OversizeStore } from '../ring/oversize'
import { RingProducer } from '../ring/ring'
import { flushUpTo } from '../ring/wake-up'
import { findWorkerFile } from '../worker/worker-files'
import { CALL_PATIENCE_MS, DRAIN_PATIENCE_MS, WorkerHost } from '../worker/worker-host'
import { Admission } from './admission'
import { StatsCollector } from './collect-stats'
import { GroupPublisher } from './group-channel'
import type { Settle } from './promise-queue'
import { Settlement } from './settlement'

/** One for all refusals: an async hook that records an event per promise would never end otherwise. */
const FAILED = Promise.resolve<AuditOutcome>('failed')

const STACK_TOO_SHORT =
  'the call stack is nearly used up; record the event further up, or recurse less'
/** Frames that must be left to wake a worker, and to start one. */
const WAKE_FRAMES = 60
const START_FRAMES = 200

/**
 * The calling thread's side of the data's way, put together: an event is encoded, finds room in the
 * ring, and its promise is settled when the durable position has passed its record.
 */
export class AuditWriter implements ExitDrained {
  readonly #path: string
  readonly #options: CheckedOptions
  readonly #memory: SharedMemory
  readonly #ring: RingProducer
  readonly #encoder: EventEncoder
  readonly #settlement: Settlement
  readonly #oversize = new OversizeStore()
  readonly #admission: Admission
  readonly #host: WorkerHost
  /** Its context is that of this constructor, until the end: the audit's own. */
  readonly #foreign = new ForeignCode(new AsyncResource('ExecAudit'))
  readonly #reporter: FailureReporter
  readonly #groups: GroupPublisher
  readonly #stats: StatsCollector
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closing: Promise<void> | undefined
  #takesRunsAlone = false
  /** When the process's exit stops waiting, in the host's time: one deadline for all of its handlers, set by the first. */
  #exitDeadline: number | undefined

  constructor(path: string, options: CheckedOptions, recorder: AuditFailureRecorder) {
    this.#path = path
    this.#options = options
    this.#reporter = new FailureReporter(path, recorder, options.logger, this.#foreign)
    this.#memory = allocateMemory(options.ringBytes)
    this.#groups = new GroupPublisher(path, this.#memory.session, this.#foreign)
    this.#ring = new RingProducer(this.#memory.ring)
    this.#encoder = new EventEncoder({
      maxEventBytes: options.maxEventBytes,
      redact: options.redact,
      clock: options.clock,
      withholdOnRedactError: options.failureMode === 'open',
      onRedactError: (error) =>
        this.#reporter.noteWarning(redactWarning(error, options.failureMode)),
    })
    this.#settlement = this.#newSettlement()
    const config = this.#drainConfig()
    this.#host = this.#startHost(config)
    this.#admission = new Admission(
      this.#ring,
      this.#settlement,
      this.#oversize,
      (record) => this.#host.offer(record),
      options.maxWaitingBytes,
    )
    this.#stats = new StatsCollector({
      options,
      config,
      counters: this.#memory.counters,
      settlement: this.#settlement,
      admission: this.#admission,
      reporter: this.#reporter,
      host: this.#host,
    })
    if (options.drainOnExit) drainAtExit(this)
  }

  #newSettlement(): Settlement {
    const { fsync, failureMode } = this.#options
    const options = {
      path: this.#path,
      success: fsync.method === 'none' ? ('written' as const) : ('durable' as const),
      rejects: failureMode === 'closed',
    }
    const events = { onFreed: () => this.#onFreed(), onMoved: () => this.#onProgress() }
    return new Settlement(this.#memory.ring, this.#ring, options, this.#reporter, events)
  }

  #drainConfig(): DrainConfig {
    const { fsync, fileMode, dirMode, onUnsafeFile, retryForMs } = this.#options
    return {
      sink: {
        path: this.#path,
        fileMode,
        dirMode,
        onUnsafeFile,
        syncMethod: fsync.method,
        descriptorsOutlive: isMainThread,
      },
      maxEvents: fsync.maxEvents,
      maxBytes: fsync.maxBytes,
      maxDelayMs: fsync.maxDelayMs,
      retryForMs,
      groupEvents: createHistogram(),
      syncNs: createHistogram(),
    }
  }

  #startHost(config: DrainConfig): WorkerHost {
    const events = {
      onProgress: () => this.#onProgress(),
      onNotice: (notice: Notice) => this.#onNotice(notice),
      onFallback: (cause: unknown) => this.#warnLater(fallbackWarning(cause, this.#path)),
      onReturn: () => this.#warnLater(returnWarning(this.#path)),
      onRingGivenUp: (cause: unknown) => this.#warnLater(ringGivenUpWarning(cause, this.#path)),
      runApart: (action: () => void) => this.#foreign.run(action),
    }
    const file = this.#options.workerFile ?? findWorkerFile()
    return new WorkerHost(this.#memory, config, this.#oversize, events, file)
  }

  /** Encodes an event, or a reopen, and brings it on its way; never throws. */
  submit(name: RecordName, input?: unknown, isOfRun = false): Promise<AuditOutcome> {
    if (this.#closing !== undefined || (this.#takesRunsAlone && !isOfRun))
      return this.#refuse('closed', closedError())
    if (this.#encoder.isTaken) return this.#refuse('encode', reentryError())
    try {
      this.#encoder.prepare(name, input)
      return this.#accept()
    } catch (thrown) {
      return this.#giveUp('encode', asError(thrown))
    } finally {
      this.#encoder.isTaken = false
    }
  }

  /** Resolves when every event accepted so far is settled. */
  drain(): Promise<void> {
    if (this.#settlement.pending > 0) flushUpTo(this.#memory.ring, this.#ring.tailPosition)
    return this.#settlement.drained()
  }

  /** Blocks until every accepted event is settled, at most `timeoutMs`; whether it is. */
  drainSync(timeoutMs: number): boolean {
    const isDrained = this.#drainSync(timeoutMs)
    this.reportAtExit()
    return isDrained
  }

  /** As {@link drainSync}, but runs no foreign code. */
  #drainSync(timeoutMs: number): boolean {
    const deadline = this.#host.awakeMs + timeoutMs
    this.#settle()
    while (this.#settlement.pending > 0) {
      const leftMs = deadline - this.#host.awakeMs
      if (leftMs <= 0) break
      flushUpTo(this.#memory.ring, this.#ring.tailPosition)
      this.#host.waitForProgress(this.#ring.headPosition, leftMs, DRAIN_PATIENCE_MS)
      this.#settle()
    }
    this.#host.endBlocking()
    return this.#settlement.pending === 0
  }

  /** From now on it takes the events of commands under way alone; {@link close} follows. */
  takeRunsAlone(): void {
    this.#takesRunsAlone = true
    this.#state = 'closing'
  }

  /** Settles everything, closes the file and ends the worker. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Blocks until every accepted event is settled; notes it if the exit has waited too long for that. */
  drainAtExit(sliceMs: number): boolean {
    const { exitDrainMs } = this.#options
    this.#exitDeadline ??= this.#host.awakeMs + exitDrainMs
    const leftMs = Math.max(0, this.#exitDeadline - this.#host.awakeMs)
    if (this.#drainSync(Math.min(leftMs, sliceMs))) return true
    if (leftMs > sliceMs) return false
    this.#reporter.noteWarning(
      exitTimeoutWarning(this.#settlement.pending, this.#path, exitDrainMs),
    )
    return true
  }

  /** Calls the logger, the diagnostics and the subscribers with what is noted. */
  reportAtExit(): void {
    this.#reporter.flush()
    this.#groups.flush()
  }

  stats(): AuditStats {
    return this.#stats.collect(this.#state)
  }

  /** Brings the prepared event on its way. */
  #accept(): Promise<AuditOutcome> {
    // Waking a worker takes more stack than the rest, starting one far more, and must not stop half-way.
    if (this.#settlement.pending === 0) {
      const frames = this.#host.hasSession ? WAKE_FRAMES : START_FRAMES
      if (!hasStackLeft(frames)) throw new RangeError(STACK_TOO_SHORT)
    }
    this.#groups.update()
    const promise = this.#settlement.newPromise()
    // Asked again here: a getter of the event, `redact` or an async hook may have closed the audit meanwhile.
    if (this.#closing !== undefined) return this.#giveUp('closed', closedError())
    if (!this.#place(this.#settlement.takeSettle())) {
      return this.#giveUp('full', ringFullError(this.#options))
    }
    this.#host.wake()
    if (this.#settlement.isUnwatched) this.#foreign.run(this.#watch)
    this.#reporter.flush()
    // After the exit handlers' turn nothing drains any more, so a call from one of them does.
    if (isExiting()) {
      this.drainAtExit(Number.POSITIVE_INFINITY)
      this.reportAtExit()
    }
    return promise
  }

  /** Run in the audit's own context: each wait makes the next, and would hand the first request's on. */
  readonly #watch = (): void => this.#settlement.watch()

  /** Finds room for the prepared event, if there is. */
  #place(settle: Settle): boolean {
    const encoder = this.#encoder
    if (this.#admission.tryPublish(encoder, settle)) return true
    // Outcomes that have arrived meanwhile free their space.
    this.#settle()
    if (this.#admission.tryPublish(encoder, settle)) return true
    flushUpTo(this.#memory.ring, this.#ring.tailPosition)
    switch (this.#options.onFull) {
      case 'fail':
        return false
      case 'block':
        return this.#block(settle)
      case 'wait':
        return this.#admission.tryWait(encoder, settle)
    }
  }

  /** Blocks the calling thread until there is room for the prepared event. */
  #block(settle: Settle): boolean {
    const deadline = this.#host.awakeMs + this.#options.maxBlockMs
    let isPublished = false
    for (let leftMs = this.#options.maxBlockMs; !isPublished && leftMs > 0; ) {
      this.#host.waitForProgress(this.#ring.headPosition, leftMs, CALL_PATIENCE_MS)
      this.#settle()
      isPublished = this.#admission.tryPublish(this.#encoder, settle)
      leftMs = deadline - this.#host.awakeMs
    }
    this.#host.endBlocking()
    return isPublished
  }

  /** Gives up the prepared event. The encoder is free again before any foreign code runs. */
  #giveUp(kind: FailureKind, error: Error): Promise<AuditOutcome> {
    this.#encoder.release()
    return this.#refuse(kind, error)
  }

  /** An event that goes no further: counted, warned about, and its promise settled at once. */
  #refuse(kind: FailureKind, error: Error): Promise<AuditOutcome> {
    // In this order: the end of the stack comes in the deeper call, and then neither has counted.
    this.#reporter.note(kind, error)
    this.#settlement.countRefused()
    this.#reporter.flush()
    return this.#options.failureMode === 'closed' ? Promise.reject(error) : FAILED
  }

  #settle(): void {
    this.#settlement.settle()
    if (this.#settlement.pending === 0) this.#host.rest()
  }

  #onProgress(): void {
    this.#settle()
    this.#watchAgain()
    this.#reporter.flush()
  }

  /** With the encoder taken: an async hook that records an event per promise would never come to rest. */
  #watchAgain(): void {
    const { isTaken } = this.#encoder
    this.#encoder.isTaken = true
    try {
      this.#settlement.watch()
    } finally {
      this.#encoder.isTaken = isTaken
    }
  }

  /** Moves waiting events into the space that was freed; runs no foreign code. */
  #onFreed(): void {
    this.#admission.releaseBefore(this.#ring.headPosition)
    if (!this.#admission.promote()) return
    this.#host.wake()
    flushUpTo(this.#memory.ring, this.#ring.tailPosition)
  }

  async #close(): Promise<void> {
    this.#state = 'closing'
    // A second time if close() was called from within an event that was then accepted.
    do await this.drain()
    while (this.#settlement.pending > 0)
    await this.#host.close()
    this.#settlement.end()
    forgetAtExit(this)
    this.#state = 'closed'
    this.#reporter.flush()
    this.#foreign.close()
  }

  #onNotice(notice: Notice): void {
    if (notice.kind === 'group') this.#groups.add(notice)
    else this.#warnLater(alertWarning(notice, this.#path))
  }

  /**
   * Warns once the stack is left: the logger may call the audit, and this may be in the middle of a
   * group or an admission. A blocking drain flushes before it returns, so nothing is lost at exit.
   */
  #warnLater(error: AuditWarning): void {
    this.#reporter.noteWarning(error)
    soon(() => this.#reporter.flush())
  }
}

/** The thrown value, as an error with a message. Not by `instanceof`, which may run a proxy's traps. */
function asError(thrown: unknown): Error {
  return types.isNativeError(thrown) ? thrown : new Error('the event could not be read')
}
