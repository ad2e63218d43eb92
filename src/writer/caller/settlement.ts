import type { AuditOutcome } from '../../format/events'
import { ioError } from '../failure/audit-error'
import { packFailure, REASON_CORRUPT_RING, type Stage, unpackFailure } from '../ring/failure-word'
import type { RingView } from '../ring/memory-map'
import { RECORD_TYPES, TYPE_REOPEN } from '../ring/record-header'
import type { RingProducer } from '../ring/ring'
import { endWatch, watchDurable } from '../ring/wake-up'
import { PromiseQueue, type Settle } from './promise-queue'

const CORRUPT_RING = packFailure({ stage: 'encode', reason: REASON_CORRUPT_RING })

type Reject = (error: unknown) => void

/** Settles no promise. */
const NOBODY: Settle = () => undefined

/** What settlement needs to know of the policy and the options. */
export interface SettlementOptions {
  /** Absolute path of the log, for the errors. */
  readonly path: string
  /** The outcome of an event that did not fail. */
  readonly success: 'durable' | 'written'
  /** Whether the promise of a failed event is rejected; otherwise it is resolved with `'failed'`. */
  readonly rejects: boolean
}

/** Notes outcomes, and runs no foreign code while it does. */
export interface OutcomeReporter {
  note(stage: Stage, error: Error): void
  noteSuccess(): void
}

/** How settlement calls its owner. */
export interface SettlementEvents {
  /** Space before the head position is free again. Called from within {@link Settlement.settle}. */
  onFreed(): void
  /** The durable position has moved. Called in a turn of its own, see {@link Settlement.watch}. */
  onMoved(): void
}

/** Counts of events. */
export interface SettlementCounts {
  /** Events that have found room, or a place to wait for it. */
  readonly accepted: number
  /** The accepted events by their record's type. */
  readonly acceptedByType: Float64Array
  readonly settled: number
  readonly succeeded: number
  /** Events that failed, those included that were never accepted. */
  readonly failed: number
}

/** A `drain()` that waits until `through` events are settled. */
interface DrainWaiter {
  readonly through: number
  readonly resolve: () => void
}

/**
 * From the durable position to settled promises: makes the promise of an event, keeps it while its record
 * is in the ring, and settles it, in the order of the calls, once the durable position has passed it.
 */
export class Settlement {
  readonly #view: RingView
  readonly #ring: RingProducer
  readonly #options: SettlementOptions
  readonly #reporter: OutcomeReporter
  readonly #events: SettlementEvents
  readonly #promises = new PromiseQueue()
  #accepted = 0
  /** By the record's type: an object with the names as its keys costs 10 ns more per call. */
  readonly #acceptedByType = new Float64Array(RECORD_TYPES)
  #settled = 0
  #succeeded = 0
  #failed = 0
  /** The failure word met last, and its error, which lasts until an event succeeds: one per outage. */
  #failureWord = 0
  #failureError: Error | undefined
  #drainWaiters: DrainWaiter[] = []
  /** The durable position at the last {@link settle}: even an impossible one is waited upon but once. */
  #seenDurable: number
  /** Whether a call of {@link SettlementEvents.onMoved} is arranged. */
  #isWatching = false
  #hasEnded = false
  /** Where {@link #capture} leaves the function that settles the promise being made. */
  #captured: Settle = NOBODY

  constructor(
    view: RingView,
    ring: RingProducer,
    options: SettlementOptions,
    reporter: OutcomeReporter,
    events: SettlementEvents,
  ) {
    this.#view = view
    this.#ring = ring
    this.#seenDurable = ring.durablePosition
    this.#options = options
    this.#reporter = reporter
    this.#events = events
  }

  /** Accepted events that are not settled. */
  get pending(): number {
    return this.#accepted - this.#settled
  }

  get counts(): SettlementCounts {
    return {
      accepted: this.#accepted,
      acceptedByType: this.#acceptedByType,
      settled: this.#settled,
      succeeded: this.#succeeded,
      failed: this.#failed,
    }
  }

  /** The time of the oldest event in the ring, in milliseconds since 1970; undefined for none. */
  get oldestTime(): number | undefined {
    if (this.#promises.size === 0) return undefined
    return this.#ring.timeAt(this.#promises.firstPosition)
  }

  /** Makes the promise of an event; {@link takeSettle} settles it. */
  newPromise(): Promise<AuditOutcome> {
    return new Promise(this.#capture)
  }

  /**
   * What settles the promise that {@link newPromise} made last. Asked for once: kept here, it would keep alive
   * that promise, and the async context of its request with it.
   */
  takeSettle(): Settle {
    const settle = this.#captured
    this.#captured = NOBODY
    return settle
  }

  /** One for all promises: so that in open mode a call makes no function of its own. */
  readonly #capture = (resolve: Settle, reject: Reject): void => {
    this.#captured = this.#options.rejects ? this.#rejecting(resolve, reject) : resolve
  }

  /**
   * If failures reject, they reject the promise itself. Resolving it with a rejected promise would take
   * two more turns, in which later events would settle first.
   */
  #rejecting(resolve: Settle, reject: Reject): Settle {
    return (outcome) => {
      if (outcome === 'failed') reject(this.#failureError)
      else resolve(outcome)
    }
  }

  /** Counts an event of a record type as accepted before it has found room: its promise will be settled. */
  countWaiting(type: number): void {
    this.#acceptedByType[type] = (this.#acceptedByType[type] ?? 0) + 1
    this.#accepted++
  }

  /** Counts an event as failed that was not accepted. */
  countRefused(): void {
    this.#failed++
  }

  /**
   * Keeps the promise of the record that was published at `position`, and counts it as accepted: in the same
   * call, since the stack may end in the next one.
   * @param type the record's; undefined for an event that was counted when it began to wait
   */
  expect(position: number, settle: Settle, type?: number): void {
    this.#promises.push(position, settle)
    if (type === undefined) return
    this.#acceptedByType[type] = (this.#acceptedByType[type] ?? 0) + 1
    this.#accepted++
  }

  /** Settles, in order, the events that the durable position has passed, and frees their space. */
  settle(): void {
    const ring = this.#ring
    const durable = ring.durablePosition
    this.#seenDurable = durable
    if (durable === ring.headPosition) return
    // Something else wrote an impossible position: it vouches for nothing.
    const isPossible = ring.isPublished(durable)
    const end = isPossible ? durable : ring.tailPosition
    const isCorrupt = !isPossible || ring.corruption(durable)
    while (this.#promises.hasBefore(end)) {
      const position = this.#promises.firstPosition
      const word = isCorrupt ? CORRUPT_RING : ring.failureAt(position)
      this.#settleOne(this.#promises.shift(), word, position)
    }
    ring.release(end)
    this.#events.onFreed()
    this.#settleDrains()
  }

  /**
   * Arranges one call of {@link SettlementEvents.onMoved} for when the durable position moves, in advance if
   * nothing is pending: after a pause of 100 ms it takes 20 us, which the next call would spend.
   */
  watch(): void {
    if (this.#isWatching || this.#hasEnded) return
    // Before: async hooks run in there, and an event that one of them records would arrange another call.
    this.#isWatching = true
    try {
      watchDurable(this.#view, this.#seenDurable, this.#onMoved)
    } catch (thrown) {
      // The stack has ended: the next event arranges it.
      this.#isWatching = false
      throw thrown
    }
  }

  /** Whether the next {@link watch} has to arrange something. */
  get isUnwatched(): boolean {
    return !this.#isWatching
  }

  /** Nothing will be pending any more: lets go of what {@link watch} has arranged. */
  end(): void {
    this.#hasEnded = true
    endWatch(this.#view)
  }

  /** Resolves when every event accepted so far is settled. */
  drained(): Promise<void> {
    if (this.pending === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#drainWaiters.push({ through: this.#accepted, resolve })
    })
  }

  readonly #onMoved = (): void => {
    this.#isWatching = false
    if (!this.#hasEnded) this.#events.onMoved()
  }

  #settleOne(settle: Settle, failureWord: number, position: number): void {
    this.#settled++
    if (failureWord === 0) {
      this.#succeeded++
      if (this.#failureError !== undefined) this.#noteSuccess(position)
      settle(this.#options.success)
    } else {
      this.#failed++
      this.#noteFailure(failureWord)
      settle('failed')
    }
  }

  #noteSuccess(position: number): void {
    // Opening the path afresh proves nothing about writing to it: it also succeeds on a full disk.
    if (this.#ring.typeAt(position) === TYPE_REOPEN) return
    this.#failureError = undefined
    this.#reporter.noteSuccess()
  }

  #noteFailure(word: number): void {
    const failure = unpackFailure(word)
    if (word !== this.#failureWord || this.#failureError === undefined) {
      this.#failureWord = word
      this.#failureError = ioError(failure, this.#options.path)
    }
    this.#reporter.note(failure.stage, this.#failureError)
  }

  #settleDrains(): void {
    while (this.#drainWaiters[0] !== undefined && this.#drainWaiters[0].through <= this.#settled) {
      this.#drainWaiters.shift()?.resolve()
    }
  }
}
