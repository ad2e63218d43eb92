import type { DrainLoop } from '../drain/drain-loop'
import { DRAINER, DRAINER_CALLER, DRAINER_NONE, type SharedMemory } from '../ring/memory-map'
import type { DrainConfig, Notice } from '../ring/messages'
import type { OversizeStore } from '../ring/oversize'
import { RingConsumer } from '../ring/ring'

/** What a {@link CallerDrainer} reports. */
export interface CallerDrainerEvents {
  onNotice(notice: Notice): void
  /** Neither thread could run the drain loop: every pending event has failed. */
  onRingGivenUp(cause: unknown): void
}

/**
 * The calling thread in the worker's place. It holds the DRAINER word from the first step of a group
 * until that has its outcome, and the file until {@link CallerDrainer.close}.
 */
export class CallerDrainer {
  readonly #memory: SharedMemory
  readonly #config: DrainConfig
  readonly #oversize: OversizeStore
  readonly #events: CallerDrainerEvents
  #loop: DrainLoop | undefined
  #isOwner = false

  constructor(
    memory: SharedMemory,
    config: DrainConfig,
    oversize: OversizeStore,
    events: CallerDrainerEvents,
  ) {
    this.#memory = memory
    this.#config = config
    this.#oversize = oversize
    this.#events = events
    preload()
  }

  /** Whether this thread holds the DRAINER word: it is in the middle of a group. */
  get isOwner(): boolean {
    return this.#isOwner
  }

  /** One step of the drain loop, as DrainLoop.step; undefined while the worker holds the ring. */
  tryStep(): number | undefined {
    if (!this.#tryOwn()) return undefined
    let waitMs = 0
    try {
      this.#loop ??= this.#openLoop()
      waitMs = this.#loop.step()
    } catch (thrown) {
      this.#giveUpRing(thrown)
    }
    if (this.#loop?.isAtRest ?? true) this.#disown()
    return waitMs
  }

  /** Closes the file. */
  close(): void {
    this.#loop?.close()
    this.#loop = undefined
  }

  /** Closes the descriptors that the dead worker left open, as its successor. */
  closeLeftovers(): void {
    const wasOwner = this.#isOwner
    if (!this.#tryOwn()) return
    try {
      const { closeLeftovers } = loadOpenDescriptors()
      closeLeftovers(this.#memory, this.#config.sink.descriptorsOutlive)
    } catch {
      // The package's files have vanished; two descriptors stay open.
    }
    if (!wasOwner) this.#disown()
  }

  /** Makes this thread the drainer, unless the worker is. */
  #tryOwn(): boolean {
    if (this.#isOwner) return true
    const { session } = this.#memory.session
    const owner = Atomics.compareExchange(session, DRAINER, DRAINER_NONE, DRAINER_CALLER)
    this.#isOwner = owner === DRAINER_NONE
    if (this.#isOwner) this.#loop?.restart()
    return this.#isOwner
  }

  #disown(): void {
    this.#isOwner = false
    Atomics.store(this.#memory.session.session, DRAINER, DRAINER_NONE)
  }

  /** The last resort of the owner: the drain loop itself fails here, so every pending event does. */
  #giveUpRing(cause: unknown): void {
    this.close()
    const consumer = new RingConsumer(this.#memory.ring)
    consumer.refill()
    consumer.skipToTail()
    consumer.publish(consumer.readPosition)
    this.#events.onRingGivenUp(cause)
  }

  #openLoop(): DrainLoop {
    const onNotice = (notice: Notice) => this.#events.onNotice(notice)
    const { DrainLoop } = loadDrainLoop()
    return new DrainLoop(this.#config, this.#oversize, onNotice, this.#memory)
  }
}

/*
 * The drainer's modules are loaded only here, since a program that reads a log alone does not need them. And
 * they are loaded at once: later an upgrade in place may have replaced the package's files, and a test
 * runner may have ended the test file that opened the log and refuse to load anything for it.
 */

function loadDrainLoop(): typeof import('../drain/drain-loop') {
  return require('../drain/drain-loop')
}

function loadOpenDescriptors(): typeof import('../log/open-descriptors') {
  return require('../log/open-descriptors')
}

function preload(): void {
  try {
    loadDrainLoop()
    loadOpenDescriptors()
  } catch {
    // Reported if it is ever needed.
  }
}
