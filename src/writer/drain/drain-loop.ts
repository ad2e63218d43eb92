import { constants } from 'node:buffer'
import { GroupJournal } from '../log/group-journal'
import type { OpenDescriptors } from '../log/open-descriptors'
import { Sink } from '../log/sink'
import {
  COUNT_BYTES,
  COUNT_GROUPS,
  COUNT_RETRIES,
  COUNT_SYNC_NS,
  LAST_SUCCESS_AT,
  SYNC_BUCKETS,
  syncBucketOf,
} from '../ring/counters'
import { type Failure, packFailure } from '../ring/failure-word'
import {
  FLUSH_UP_TO,
  GROUPS_WATCHED,
  positionDelta,
  type SharedMemory,
  viewMemory,
} from '../ring/memory-map'
import type { DrainConfig, Notice } from '../ring/messages'
import { CORRUPT, EMPTY, RingConsumer } from '../ring/ring'
import { CommitSiblings } from './commit-delay'
import { isReopen, lineOf, type OversizeSource, reasonOf } from './record-to-line'

/*
 * A group is what is there when the drainer looks; what arrives during its sync is the next one. It waits
 * for company in three cases, and in the first two not while somebody waits for the ring to be drained
 * (FLUSH_UP_TO):
 *
 * - linger, asleep, `maxDelayMs` from its first event: who sets it wants fewer syncs more than low latency.
 *   0, the default, is no wait.
 * - siblings, asleep, a fifth of a sync: where that takes 0.4 ms or more, callers who wait for their
 *   acknowledgements would take turns, and wait for two syncs each, see siblings.ts. With a sync of 2 ms
 *   it makes the p50 0.54 times what it is without at 8 in flight, 0.77 times at 64.
 * - the rest of a burst, awake, some microseconds: a caller whose events were acknowledged together records
 *   the next ones in one turn of its event loop. With 64 in flight 1.33 times as many events a second
 *   become durable as without (1.23 to 1.57 in 8 alternating pairs), with 8 in flight 1.09 times; with 1
 *   and with 1,024 there is no difference. Where other programs keep both cores busy, there is none at all.
 */

/** What {@link DrainLoop.step} answers when there is nothing to do until the next commit. */
export const IDLE = Number.POSITIVE_INFINITY

/**
 * How often the tail is looked at for the next event of a burst: for some 10 microseconds, longer than a
 * caller takes from one call to the next in the same turn of its event loop.
 */
const BURST_LOOKS = 500
/** How long a burst is waited for in all, from its first event, in milliseconds. */
const BURST_MS_MAX = 0.2

const RETRY_MS_FIRST = 5
const RETRY_MS_MAX = 1_000
/** The output buffer is kept while it is no larger than this many times `maxBytes`. */
const KEPT_BUFFER_FACTOR = 4
const OUTPUT_BYTES_MIN = 64 * 1024

/**
 * Takes whatever is in the ring as one group, appends it, and publishes its outcome: group commit
 * without a timer, since what arrives during one sync is the next group. It runs on the worker, or on
 * the calling thread when there is no worker; its holder owns the DRAINER word. It never sleeps:
 * {@link step} says how long its caller may.
 */
export class DrainLoop {
  readonly #config: DrainConfig
  readonly #memory: SharedMemory
  readonly #consumer: RingConsumer
  readonly #journal: GroupJournal
  readonly #sink: Sink
  readonly #oversize: OversizeSource
  readonly #onNotice: (notice: Notice) => void
  readonly #siblings = new CommitSiblings()

  /** The group being collected or committed. */
  #text = ''
  #textBytes = 0
  #events = 0
  #start = 0
  #firstAt = 0
  /** Events of the group before. */
  #lastEvents = 0
  #isReopen = false
  /** Where the group must end, when another drainer had begun it. */
  #until: number | undefined
  /** The group's lines once it is complete. */
  #bytes: Buffer | undefined
  #retryAt = 0
  #retryMs = 0
  #giveUpAt = 0
  /** Nanoseconds spent in the syncs of this group. */
  #syncNs = 0
  #output = Buffer.alloc(0)

  constructor(
    config: DrainConfig,
    oversize: OversizeSource,
    onNotice: (notice: Notice) => void,
    memory = viewMemory(config.ring),
    descriptors?: OpenDescriptors,
  ) {
    this.#config = config
    this.#memory = memory
    this.#oversize = oversize
    this.#onNotice = onNotice
    this.#consumer = new RingConsumer(memory.ring)
    this.#journal = new GroupJournal(memory.journal)
    const recordSync = (ms: number) => this.#recordSync(ms)
    this.#sink = new Sink(config.sink, memory, this.#journal, recordSync, onNotice, descriptors)
    this.restart()
  }

  /** The tail that the last step has seen. */
  get seenTail(): number {
    return this.#consumer.copiedPosition
  }

  /** Whether no group is in the making: the drainer may change. */
  get isAtRest(): boolean {
    return this.#events === 0 && this.#bytes === undefined
  }

  /** Resumes from the durable position: another drainer may have been at work, or have died. */
  restart(): void {
    this.#consumer.restart()
    this.#beginGroup()
    this.#until = this.#journal.unfinishedEnd(this.#consumer.durablePosition)
  }

  /**
   * Does the next piece of work. Returns the milliseconds its caller may sleep before the next step,
   * unless woken: 0 when there is more to do, {@link IDLE} when the ring is empty.
   */
  step(): number {
    if (this.#bytes === undefined) {
      const waitMs = this.#collect()
      if (waitMs > 0) return waitMs
      this.#siblings.completed(this.#events)
      this.#bytes = this.#encodeText()
    }
    const waitMs = this.#retryAt - performance.now()
    if (waitMs <= 0) return this.#commit(this.#bytes)
    // So that what arrives meanwhile has been seen, and the wait is one sleep and not a busy loop.
    this.#consumer.refill()
    return waitMs
  }

  /** Closes the file. */
  close(): void {
    this.#sink.close()
  }

  /** Adds what has arrived; returns 0 when the group is complete, else how long to wait for more. */
  #collect(): number {
    this.#consumer.refill()
    while (!this.#isFull()) {
      const index = this.#consumer.next()
      if (index === EMPTY) {
        if (this.#isBurstGoingOn()) continue
        return Math.max(this.#lingerMs(), this.#siblingsMs())
      }
      if (this.#isAtEnd()) return 0
      if (index === CORRUPT) return this.#giveUpCorruptRing()
      if (!this.#add(index)) return 0
    }
    return 0
  }

  /**
   * Looks for a moment whether the caller is in the middle of a burst, where the last group was one. To
   * take only the first few of a burst costs all the others the wait for a sync of its own.
   */
  #isBurstGoingOn(): boolean {
    if (this.#lastEvents < 2 || this.#events === 0 || this.#until !== undefined) return false
    const until = this.#siblings.areExpected(this.#events) ? this.#siblings.allUntil : 0
    if (performance.now() > Math.max(this.#firstAt + BURST_MS_MAX, until)) return false
    for (let look = 0; look < BURST_LOOKS; look++) if (this.#consumer.refill()) return true
    return false
  }

  /** How long to wait for the first of those that were just acknowledged. */
  #siblingsMs(): number {
    const isWaiting = this.#siblings.areExpected(this.#events)
    if (!isWaiting || this.#events === 0 || this.#until !== undefined || this.#isHurried) return 0
    return Math.max(0, this.#siblings.firstUntil - performance.now())
  }

  #isFull(): boolean {
    if (this.#until !== undefined) return this.#isAtEnd()
    const { maxEvents, maxBytes } = this.#config
    return this.#events >= maxEvents || this.#textBytes >= maxBytes || this.#isReopen
  }

  /** Whether all of a group that another drainer had begun has been read. */
  #isAtEnd(): boolean {
    const until = this.#until
    return until !== undefined && positionDelta(until, this.#consumer.readPosition) <= 0
  }

  /** Adds the record at `index`; returns false when it belongs to the next group. */
  #add(index: number): boolean {
    if (this.#events === 0) this.#firstAt = performance.now()
    if (isReopen(this.#consumer.records, index)) {
      if (this.#events > 0) return false
      this.#isReopen = true
    } else {
      const line = this.#lineOf(index)
      const lineBytes = Buffer.byteLength(line, 'utf8')
      const isTooMuch = this.#textBytes + lineBytes > this.#config.maxBytes
      const isTooLong = this.#text.length + line.length > constants.MAX_STRING_LENGTH
      if ((isTooMuch || isTooLong) && this.#textBytes > 0 && this.#until === undefined) return false
      this.#text += line
      this.#textBytes += lineBytes
    }
    this.#events++
    this.#consumer.advance()
    return true
  }

  /** The record's line. One that cannot be made is marked, and stops nothing but itself. */
  #lineOf(index: number): string {
    try {
      return lineOf(this.#consumer.records, index, this.#oversize)
    } catch (thrown) {
      const failure: Failure = { stage: 'encode', reason: reasonOf(thrown) }
      this.#consumer.markFailed(this.#consumer.readPosition, packFailure(failure))
      return ''
    }
  }

  /** How long to wait for company, 0 when the group should go now, IDLE when there is none. */
  #lingerMs(): number {
    if (this.#start === this.#consumer.readPosition) return IDLE
    const { maxDelayMs } = this.#config
    if (maxDelayMs === 0 || this.#isHurried) return 0
    return Math.max(0, this.#firstAt + maxDelayMs - performance.now())
  }

  /** Whether somebody blocks until this group is durable. */
  get #isHurried(): boolean {
    const flushUpTo = Atomics.load(this.#memory.ring.words, FLUSH_UP_TO)
    // Within the ring: an old one would seem to lie ahead again after 2^31 bytes.
    return positionDelta(flushUpTo, this.#start) > 0 && positionDelta(flushUpTo, this.seenTail) <= 0
  }

  /** Commits what came before a corrupt stretch; the stretch itself when nothing did. */
  #giveUpCorruptRing(): number {
    if (this.#start === this.#consumer.readPosition) this.#consumer.skipToTail()
    return 0
  }

  #encodeText(): Buffer {
    const { maxBytes } = this.#config
    if (
      this.#textBytes > this.#output.length ||
      this.#output.length > maxBytes * KEPT_BUFFER_FACTOR
    ) {
      this.#output = Buffer.allocUnsafeSlow(Math.max(this.#textBytes * 2, OUTPUT_BYTES_MIN))
    }
    const length = this.#output.write(this.#text, 0, 'utf8')
    this.#text = ''
    return this.#output.subarray(0, length)
  }

  /** Tries to make the complete group durable; gives up or plans another try when that fails. */
  #commit(bytes: Buffer): number {
    const end = this.#consumer.readPosition
    const failure = this.#isReopen
      ? this.#sink.reopen()
      : bytes.length > 0
        ? this.#sink.append({ start: this.#start, end, bytes })
        : undefined
    if (failure !== undefined) {
      const waitMs = this.#planRetry()
      if (waitMs > 0) return waitMs
      const word = packFailure(failure)
      this.#consumer.forEachRecord(this.#start, end, (at) => this.#consumer.markFailed(at, word))
    }
    this.#publish(end, bytes.length, failure)
    return 0
  }

  #recordSync(ms: number): void {
    const ns = Math.max(1, Math.round(ms * 1e6))
    this.#config.syncNs.record(ns)
    const { counts } = this.#memory.counters
    Atomics.add(counts, COUNT_SYNC_NS, BigInt(ns))
    Atomics.add(counts, SYNC_BUCKETS + syncBucketOf(ns), 1n)
    this.#syncNs += ns
  }

  /** How long to wait before the next try, 0 when `retryForMs` is over. */
  #planRetry(): number {
    const now = performance.now()
    if (this.#giveUpAt === 0) this.#giveUpAt = now + this.#config.retryForMs
    const leftMs = this.#giveUpAt - now
    if (leftMs <= 0) return 0
    this.#retryMs = Math.min(Math.max(this.#retryMs * 2, RETRY_MS_FIRST), RETRY_MS_MAX, leftMs)
    this.#retryAt = now + this.#retryMs
    Atomics.add(this.#memory.counters.counts, COUNT_RETRIES, 1n)
    return this.#retryMs
  }

  #publish(end: number, lineBytes: number, failure: Failure | undefined): void {
    if (this.#events > 0) {
      const appendedBytes = failure === undefined ? lineBytes : 0
      this.#config.groupEvents.record(this.#events)
      const { counts } = this.#memory.counters
      Atomics.add(counts, COUNT_GROUPS, 1n)
      Atomics.add(counts, COUNT_BYTES, BigInt(appendedBytes))
      if (failure === undefined) Atomics.store(counts, LAST_SUCCESS_AT, BigInt(Date.now()))
    }
    // Read before the outcome is out: a group that was done when its watcher came is not told of.
    const isWatched = Atomics.load(this.#memory.session.session, GROUPS_WATCHED) !== 0
    this.#consumer.publish(end)
    this.#sink.endGroup()
    if (isWatched) this.#tellOfGroup(lineBytes, failure)
    this.#until = undefined
    this.#siblings.acknowledged(this.#events, this.#syncNs / 1e6, performance.now())
    this.#beginGroup()
  }

  /** After the group is published, so that nobody waits for the notice to be sent. */
  #tellOfGroup(bytes: number, failure: Failure | undefined): void {
    if (this.#events === 0) return
    const success = this.#config.sink.syncMethod === 'none' ? 'written' : 'durable'
    const outcome = failure === undefined ? success : 'failed'
    this.#onNotice({ kind: 'group', events: this.#events, bytes, syncNs: this.#syncNs, outcome })
  }

  #beginGroup(): void {
    if (this.#events > 0) this.#lastEvents = this.#events
    this.#text = ''
    this.#textBytes = 0
    this.#events = 0
    this.#start = this.#consumer.readPosition
    this.#isReopen = false
    this.#bytes = undefined
    this.#retryAt = 0
    this.#retryMs = 0
    this.#giveUpAt = 0
    this.#syncNs = 0
  }
}
