import { performance } from 'node:perf_hooks'
import type { OpenDescriptors } from '../log/open-descriptors'
import { Sink } from '../log/sink'
import { type Failure, packFailure } from '../ring/failure-word'
import { GROUPS_WATCHED, type SharedMemory } from '../ring/memory-map'
import type { DrainConfig, Notice } from '../ring/messages'
import type { OversizeSource } from '../ring/oversize'
import { CORRUPT, EMPTY, RingConsumer } from '../ring/ring'
import { CommitDelay } from './commit-delay'
import { DrainMeter } from './drain-meter'
import { Group } from './group'
import { isReopen, lineOf, reasonOf } from './record-to-line'
import { RetryPlan } from './retry-plan'

/** Returned by {@link DrainLoop.step} if there is nothing to do until the next commit. */
export const IDLE = Number.POSITIVE_INFINITY

/**
 * Takes whatever is in the ring as one group, appends it, and publishes its outcome: group commit
 * without a timer, since the events that arrive during one sync are the next group. It runs on the worker
 * or, without a worker, on the calling thread; its holder owns the DRAINER word. It never sleeps:
 * {@link step} says how long its caller may.
 */
export class DrainLoop {
  readonly #config: DrainConfig
  readonly #memory: SharedMemory
  readonly #consumer: RingConsumer
  readonly #sink: Sink
  readonly #oversize: OversizeSource
  readonly #onNotice: (notice: Notice) => void
  readonly #meter: DrainMeter
  readonly #delay: CommitDelay
  readonly #retry: RetryPlan
  /** The group that is being collected or committed. */
  readonly #group: Group

  constructor(
    config: DrainConfig,
    oversize: OversizeSource,
    onNotice: (notice: Notice) => void,
    memory: SharedMemory,
    descriptors?: OpenDescriptors,
  ) {
    this.#config = config
    this.#memory = memory
    this.#oversize = oversize
    this.#onNotice = onNotice
    this.#consumer = new RingConsumer(memory.ring)
    this.#meter = new DrainMeter(memory.counters, config)
    this.#delay = new CommitDelay(memory.ring, config.maxDelayMs)
    this.#retry = new RetryPlan(config.retryForMs)
    this.#group = new Group(config)
    const events = { onSync: (ms: number) => this.#onSync(ms), onNotice }
    this.#sink = new Sink(config.sink, memory, events, descriptors)
    this.restart()
  }

  /** The tail that the last step saw. */
  get seenTail(): number {
    return this.#consumer.copiedPosition
  }

  /** Whether no group is in the making, so that the drainer may change. */
  get isAtRest(): boolean {
    return this.#group.isEmpty
  }

  /** Resumes from the durable position: another drainer may have been at work, or have died. */
  restart(): void {
    this.#consumer.restart()
    this.#beginGroup(this.#sink.takeOver(this.#consumer.durablePosition))
  }

  /**
   * Does the next piece of work. Returns the milliseconds its caller may sleep before the next step,
   * unless woken: 0 if there is more to do, {@link IDLE} if the ring is empty.
   */
  step(): number {
    let { lines } = this.#group
    if (lines === undefined) {
      const waitMs = this.#collect()
      if (waitMs > 0) return waitMs
      this.#delay.completed(this.#group.events)
      lines = this.#group.complete()
    }
    const waitMs = this.#retry.waitMs(performance.now())
    if (waitMs <= 0) return this.#commit(lines)
    // Events that have arrived must count as seen, so that the wait is one sleep and not a busy loop.
    this.#consumer.refill()
    return waitMs
  }

  /** Closes the file. */
  close(): void {
    this.#sink.close()
  }

  /** Adds what has arrived; returns 0 if the group is complete, else how long to wait for more. */
  #collect(): number {
    this.#consumer.refill()
    while (!this.#group.isFull(this.#consumer.readPosition)) {
      const index = this.#consumer.next()
      if (index === EMPTY) {
        const now = performance.now()
        if (this.#delay.isBurstGoingOn(this.#group, this.#consumer, now)) continue
        return this.#isNothingRead ? IDLE : this.#delay.waitMs(this.#group, this.#consumer, now)
      }
      if (this.#group.isAtEnd(this.#consumer.readPosition)) return 0
      if (index === CORRUPT) return this.#giveUpCorruptRing()
      if (!this.#tryAdd(index)) return 0
      this.#consumer.advance()
    }
    return 0
  }

  get #isNothingRead(): boolean {
    return this.#group.start === this.#consumer.readPosition
  }

  /** Adds the record at `index`; false if it belongs to the next group. */
  #tryAdd(index: number): boolean {
    const isReopening = isReopen(this.#consumer.records, index)
    return isReopening ? this.#group.tryReopen() : this.#group.tryAdd(this.#lineOf(index))
  }

  /** The record's line. A record without one is marked as failed, and holds up no other. */
  #lineOf(index: number): string {
    try {
      return lineOf(this.#consumer.records, index, this.#oversize)
    } catch (thrown) {
      const failure: Failure = { stage: 'encode', reason: reasonOf(thrown) }
      this.#consumer.markFailed(this.#consumer.readPosition, packFailure(failure))
      return ''
    }
  }

  /** Commits the records before a corrupt stretch or, if there are none, skips the stretch. */
  #giveUpCorruptRing(): number {
    if (this.#isNothingRead) this.#consumer.skipToTail()
    return 0
  }

  /** Tries to make the complete group durable; if that fails, plans another try or gives up. */
  #commit(lines: Buffer): number {
    const end = this.#consumer.readPosition
    const { start } = this.#group
    const failure = this.#append(start, end, lines)
    if (failure !== undefined) {
      const waitMs = this.#planRetry()
      if (waitMs > 0) return waitMs
      const word = packFailure(failure)
      this.#consumer.forEachRecord(start, end, (at) => this.#consumer.markFailed(at, word))
    }
    this.#publish(end, lines.length, failure)
    return 0
  }

  #append(start: number, end: number, bytes: Buffer): Failure | undefined {
    if (this.#group.isReopen) return this.#sink.reopen()
    return bytes.length > 0 ? this.#sink.append({ start, end, bytes }) : undefined
  }

  /** How long to wait before the next try, 0 if `retryForMs` is over. */
  #planRetry(): number {
    const waitMs = this.#retry.failed(performance.now())
    if (waitMs > 0) this.#meter.retry()
    return waitMs
  }

  #onSync(ms: number): void {
    const ns = Math.max(1, Math.round(ms * 1e6))
    this.#meter.sync(ns)
    this.#group.syncNs += ns
  }

  #publish(end: number, lineBytes: number, failure: Failure | undefined): void {
    const { events, syncNs } = this.#group
    if (events > 0) this.#meter.group(events, lineBytes, failure !== undefined)
    // Read before the outcome is published: a group that had its outcome before its watcher came is not
    // reported.
    const isWatched = Atomics.load(this.#memory.session.session, GROUPS_WATCHED) !== 0
    this.#consumer.publish(end)
    this.#sink.endGroup()
    if (isWatched) this.#notifyOfGroup(lineBytes, failure)
    this.#delay.acknowledged(events, syncNs / 1e6, performance.now())
    this.#beginGroup()
  }

  /** After the group is published, so that nobody waits for the notice to be sent. */
  #notifyOfGroup(bytes: number, failure: Failure | undefined): void {
    const { events, syncNs } = this.#group
    if (events === 0) return
    const success = this.#config.sink.syncMethod === 'none' ? 'written' : 'durable'
    const outcome = failure === undefined ? success : 'failed'
    this.#onNotice({ kind: 'group', events, bytes, syncNs, outcome })
  }

  #beginGroup(until?: number): void {
    this.#group.begin(this.#consumer.readPosition, until)
    this.#retry.reset()
  }
}
