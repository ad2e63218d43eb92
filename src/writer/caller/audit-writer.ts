import { createHistogram } from 'node:perf_hooks'
import { types } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import type { AuditOutcome } from '../../format/events'
import { type AuditStats, collectStats } from '../audit-stats'
import { drainAtExit, type ExitDrained, forgetAtExit, isExiting } from '../exit-drain'
import { closedError, ioError, ringFullError } from '../failure/audit-error'
import type { AuditFailureRecorder } from '../failure/diagnostics'
import type { FailureKind } from '../failure/failure-counts'
import { FailureReporter } from '../failure/failure-reporter'
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
import { EventEncoder, type RecordName } from '../record/encode'
import { unpackFailure } from '../ring/failure-word'
import { allocateMemory, type SharedMemory } from '../ring/memory-map'
import type { Notice } from '../ring/messages'
import { OversizeStore } from '../ring/oversize'
import { RECORD_TYPES, TYPE_REOPEN } from '../ring/record-header'
import { RingProducer } from '../ring/ring'
import { flushUpTo, watchDurable } from '../ring/wake-up'
import { CALL_PATIENCE_MS, DRAIN_PATIENCE_MS, WorkerHost } from '../worker/worker-host'
import { findWorkerFile } from '../worker/worker-pool'
import { Admission } from './admission'
import { GroupPublisher } from './group-channel'
import { Acks, acknowledge, type Settle } from './settlement'

type Reject = (error: unknown) => void

/** Someone who waits until so many events are settled. */
interface DrainWaiter {
  readonly through: number
  readonly resolve: () => void
}

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
  readonly #acks = new Acks()
  readonly #oversize = new OversizeStore()
  readonly #admission: Admission
  readonly #host: WorkerHost
  readonly #reporter: FailureReporter
  readonly #groups: GroupPublisher
  readonly #groupEvents = createHistogram()
  readonly #syncNs = createHistogram()
  readonly #success: AuditOutcome
  /** Whether a waitAsync on the durable position is pending. */
  #isWatching = false
  #state: 'open' | 'closing' | 'closed' = 'open'
  readonly #startedAt = performance.now()
  #isAskingClock = false
  #accepted = 0
  /** By the record's type: an object with the names as its keys takes 10 ns a call more. */
  readonly #acceptedByType = new Float64Array(RECORD_TYPES)
  #settled = 0
  #succeeded = 0
  #failed = 0
  /** The failure word met last, and its error: a whole group fails with one. */
  #failureWord = 0
  #failureError: Error | undefined
  #drainWaiters: DrainWaiter[] = []
  #closing: Promise<void> | undefined
  /** When the process's exit stops waiting; set as it begins, and the same for all its handlers. */
  #exitDeadline: number | undefined
  /** Where {@link #capture} leaves the function that settles the promise being made. */
  #captured: Settle = () => undefined

  constructor(path: string, options: CheckedOptions, recorder: AuditFailureRecorder) {
    this.#path = path
    this.#options = options
    this.#reporter = new FailureReporter(path, recorder, options.logger)
    this.#success = options.fsync.method === 'none' ? 'written' : 'durable'
    this.#memory = allocateMemory(options.ringBytes)
    this.#groups = new GroupPublisher(path, this.#memory.session)
    this.#ring = new RingProducer(this.#memory.ring)
    this.#encoder = new EventEncoder({
      maxEventBytes: options.maxEventBytes,
      redact: options.redact,
      clock: options.clock,
      withholdOnRedactError: options.failureMode === 'open',
      onRedactError: (error) =>
        this.#reporter.noteWarning(redactWarning(error, options.failureMode)),
    })
    this.#host = this.#startHost()
    this.#admission = new Admission(
      this.#ring,
      this.#acks,
      this.#oversize,
      (record) => this.#host.offer(record),
      options.maxWaitingBytes,
    )
    if (options.drainOnExit) drainAtExit(this)
  }

  #startHost(): WorkerHost {
    const { fsync, fileMode, dirMode, onUnsafeFile, retryForMs, workerFile } = this.#options
    const config = {
      ring: this.#memory.buffer,
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
      groupEvents: this.#groupEvents,
      syncNs: this.#syncNs,
    }
    const events = {
      onProgress: () => this.#onProgress(),
      onNotice: (notice: Notice) => this.#onNotice(notice),
      onFallback: (cause: unknown) => this.#warnLater(fallbackWarning(cause, this.#path)),
      onReturn: () => this.#warnLater(returnWarning(this.#path)),
      onRingGivenUp: (cause: unknown) => this.#warnLater(ringGivenUpWarning(cause, this.#path)),
    }
    const file = workerFile ?? findWorkerFile()
    return new WorkerHost(this.#memory, config, this.#oversize, events, file)
  }

  /** Encodes an event, or a reopen, and brings it on its way; never throws. */
  submit(name: RecordName, input?: unknown): Promise<AuditOutcome> {
    if (this.#closing !== undefined) return this.#refuse('closed', closedError())
    try {
      const encoder = this.#encoder.idle()
      encoder.prepare(name, input)
      return this.#accept(encoder)
    } catch (thrown) {
      return this.#refuse('encode', asError(thrown))
    }
  }

  /** Resolves when every event accepted so far is settled. */
  drain(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve()
    flushUpTo(this.#memory.ring, this.#ring.tailPosition)
    return new Promise((resolve) => {
      this.#drainWaiters.push({ through: this.#accepted, resolve })
    })
  }

  /** Blocks until every accepted event is settled, at most `timeoutMs`; whether it is. */
  drainSync(timeoutMs: number): boolean {
    const deadline = performance.now() + timeoutMs
    this.#settle()
    while (this.#pending > 0) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) break
      flushUpTo(this.#memory.ring, this.#ring.tailPosition)
      this.#host.waitForProgress(this.#ring.headPosition, leftMs, DRAIN_PATIENCE_MS)
      this.#settle()
    }
    this.#host.endBlocking()
    this.#reporter.flush()
    this.#groups.flush()
    return this.#pending === 0
  }

  /** Settles everything, closes the file and ends the worker. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Blocks until every accepted event is settled or the exit has waited long enough, and says so. */
  drainAtExit(sliceMs: number): boolean {
    const { exitDrainMs } = this.#options
    this.#exitDeadline ??= performance.now() + exitDrainMs
    const leftMs = Math.max(0, this.#exitDeadline - performance.now())
    if (this.drainSync(Math.min(leftMs, sliceMs))) return true
    if (leftMs > sliceMs) return false
    this.#reporter.noteWarning(exitTimeoutWarning(this.#pending, this.#path, exitDrainMs))
    this.#reporter.flush()
    return true
  }

  stats(): AuditStats {
    const own = {
      state: this.#state,
      uptimeMs: performance.now() - this.#startedAt,
      path: this.#path,
      acceptedByType: this.#acceptedByType,
      events: {
        accepted: this.#accepted,
        settled: this.#settled,
        pending: this.#pending,
        oldestPendingMs: this.#oldestPendingMs(),
        succeeded: this.#succeeded,
        failed: this.#failed,
      },
      worker: this.#host.state,
    }
    return collectStats(own, {
      counters: this.#memory.counters,
      options: this.#options,
      admission: this.#admission,
      reporter: this.#reporter,
      groupEvents: this.#groupEvents,
      syncNs: this.#syncNs,
    })
  }

  #oldestPendingMs(): number {
    const time = this.#admission.oldestTime
    // The clock is foreign code, and may ask for the stats itself.
    if (time === undefined || this.#isAskingClock) return 0
    this.#isAskingClock = true
    const now = this.#options.clock()
    this.#isAskingClock = false
    return Math.max(0, now - time)
  }

  get #pending(): number {
    return this.#accepted - this.#settled
  }

  /** One for all promises: so that in open mode a call makes no function of its own. */
  readonly #capture = (resolve: Settle, reject: Reject): void => {
    const rejects = this.#options.failureMode === 'closed'
    this.#captured = rejects ? this.#rejecting(resolve, reject) : resolve
  }

  /**
   * Where failures reject, they reject the promise itself. To resolve it with a rejected one would take
   * two turns more, in which later events would settle first.
   */
  #rejecting(resolve: Settle, reject: Reject): Settle {
    return (outcome) => {
      if (outcome === 'failed') reject(this.#failureError)
      else resolve(outcome)
    }
  }

  #accept(encoder: EventEncoder): Promise<AuditOutcome> {
    // Asked again here: a getter of the event, or `redact`, may have closed the audit meanwhile.
    if (this.#closing !== undefined) return this.#refuse('closed', closedError())
    this.#groups.update()
    const promise = new Promise<AuditOutcome>(this.#capture)
    if (!this.#place(encoder, this.#captured)) {
      return this.#refuse('full', ringFullError(this.#options))
    }
    this.#acceptedByType[encoder.type] = (this.#acceptedByType[encoder.type] ?? 0) + 1
    this.#accepted++
    this.#host.wake()
    this.#watch()
    this.#reporter.flush()
    // After the exit handlers' turn nothing drains any more, so a call from one of them does.
    if (isExiting()) this.drainAtExit(Number.POSITIVE_INFINITY)
    return promise
  }

  /** Finds room for the prepared event, if there is. */
  #place(encoder: EventEncoder, settle: Settle): boolean {
    if (this.#admission.tryPublish(encoder, settle)) return true
    // Outcomes that have arrived meanwhile free their space.
    this.#settle()
    if (this.#admission.tryPublish(encoder, settle)) return true
    flushUpTo(this.#memory.ring, this.#ring.tailPosition)
    switch (this.#options.onFull) {
      case 'fail':
        return false
      case 'block':
        return this.#block(encoder, settle)
      case 'wait':
        return this.#admission.tryWait(encoder, settle)
    }
  }

  /** Blocks the calling thread until there is room for the prepared event. */
  #block(encoder: EventEncoder, settle: Settle): boolean {
    const deadline = performance.now() + this.#options.maxBlockMs
    let isPublished = false
    for (let leftMs = this.#options.maxBlockMs; !isPublished && leftMs > 0; ) {
      this.#host.waitForProgress(this.#ring.headPosition, leftMs, CALL_PATIENCE_MS)
      this.#settle()
      isPublished = this.#admission.tryPublish(encoder, settle)
      leftMs = deadline - performance.now()
    }
    this.#host.endBlocking()
    return isPublished
  }

  /** An event that goes no further: counted, warned about, and its promise settled at once. */
  #refuse(kind: FailureKind, error: Error): Promise<AuditOutcome> {
    this.#failed++
    this.#reporter.note(kind, error)
    this.#reporter.flush()
    return this.#options.failureMode === 'closed'
      ? Promise.reject(error)
      : Promise.resolve<AuditOutcome>('failed')
  }

  /** Has {@link #onDurable} called when the durable position moves, while promises are pending. */
  #watch(): void {
    if (this.#isWatching || this.#acks.size === 0) return
    this.#isWatching = true
    const { headPosition } = this.#ring
    watchDurable(this.#memory.ring, headPosition, this.#onDurable)
  }

  readonly #onDurable = (): void => {
    this.#isWatching = false
    this.#onProgress()
  }

  #onProgress(): void {
    this.#settle()
    this.#watch()
    this.#reporter.flush()
  }

  /** Settles the promises that the durable position has passed, in order; runs no foreign code. */
  #settle(): void {
    if (!acknowledge(this.#ring, this.#acks, this.#settleOne)) return
    this.#admission.releaseBefore(this.#ring.headPosition)
    if (this.#admission.promote()) {
      this.#host.wake()
      flushUpTo(this.#memory.ring, this.#ring.tailPosition)
    }
    this.#settleDrains()
  }

  readonly #settleOne = (settle: Settle, failureWord: number, position: number): void => {
    this.#settled++
    if (failureWord === 0) {
      this.#succeeded++
      if (this.#reporter.isFailing) this.#noteSuccess(position)
      settle(this.#success)
    } else {
      this.#failed++
      this.#noteFailure(failureWord)
      settle('failed')
    }
  }

  #noteSuccess(position: number): void {
    // To open the path afresh says nothing of writing to it: a full disk lets one do that.
    if (this.#ring.typeAt(position) !== TYPE_REOPEN) this.#reporter.noteSuccess()
  }

  #noteFailure(word: number): void {
    const failure = unpackFailure(word)
    if (word !== this.#failureWord || this.#failureError === undefined) {
      this.#failureWord = word
      this.#failureError = ioError(failure, this.#path)
    }
    this.#reporter.note(failure.stage, this.#failureError)
  }

  #settleDrains(): void {
    while (this.#drainWaiters[0] !== undefined && this.#drainWaiters[0].through <= this.#settled) {
      this.#drainWaiters.shift()?.resolve()
    }
  }

  async #close(): Promise<void> {
    this.#state = 'closing'
    await this.drain()
    await this.#host.close()
    forgetAtExit(this)
    this.#state = 'closed'
    this.#reporter.flush()
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
    queueMicrotask(() => this.#reporter.flush())
  }
}

/** What was thrown, as an error with a message. Not `instanceof`: that may run a proxy's traps. */
function asError(thrown: unknown): Error {
  return types.isNativeError(thrown) ? thrown : new Error('the event could not be read')
}
