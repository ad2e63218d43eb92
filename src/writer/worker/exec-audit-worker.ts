/// <reference types="node" preserve="true" />

import type { MessagePort } from 'node:worker_threads'
import { setImmediate } from '../../base/timers'
import { DrainLoop, IDLE } from '../drain/drain-loop'
import { closeLeftovers, OpenDescriptors } from '../log/open-descriptors'
import { COUNT_OPENS } from '../ring/counters'
import {
  CLOSING,
  DRAINER,
  DRAINER_NONE,
  DRAINER_UNKNOWN,
  FLUSH_UP_TO,
  SESSION_VERSION,
  type SharedMemory,
  TAIL,
  viewMemory,
} from '../ring/memory-map'
import { IDLE_LINGER_MS, RING_FIELD, type SessionTask } from '../ring/messages'
import { OversizeInbox } from '../ring/oversize'
import { VERSION, versionWord } from '../ring/version'
import { park, parkAsync } from '../ring/wake-up'
import { currentThreadId } from './thread-liveness'

/*
 * The worker's entry, run by piscina. Not named worker.js: in a bundle that would collide with piscina's
 * own. It is the one worker of its ExecAudit, and serves it for one session: from the one task that it is
 * given to its end. The task only takes the session up. After that a wake-up from the calling thread lets
 * it drain, asleep in blocking waits between two groups, until nothing has come for IDLE_LINGER_MS; then it
 * waits in its event loop, where a wake-up costs the calling thread one notify, too.
 */

/**
 * Files opened at most before the event loop turns. Each leaves it a callback of sonic-boom's: on a disk
 * that fails every group they would pile up.
 */
const OPENS_PER_TURN_MAX = 256

class WorkerSide {
  readonly #memory: SharedMemory
  readonly #config: SessionTask['config']
  readonly #port: MessagePort
  readonly #inbox: OversizeInbox
  readonly #threadId = currentThreadId() || DRAINER_UNKNOWN
  #loop: DrainLoop | undefined

  constructor(task: SessionTask) {
    this.#memory = viewMemory(task[RING_FIELD])
    this.#config = task.config
    this.#port = task.port
    this.#inbox = new OversizeInbox(task)
    Atomics.store(this.#memory.session.session, SESSION_VERSION, versionWord(VERSION))
    setImmediate(this.#serve)
  }

  /** Drains, and waits for the next wake-up. */
  readonly #serve = (): void => {
    const { ring, session } = this.#memory
    const owner = Atomics.compareExchange(session.session, DRAINER, DRAINER_NONE, this.#threadId)
    if (owner !== DRAINER_NONE) {
      // The calling thread drains the ring itself, and wakes this one when it is done.
      const isTaken = () => Atomics.load(session.session, DRAINER) !== DRAINER_NONE
      parkAsync(ring, isTaken, this.#serve)
      return
    }
    const seenTail = this.#drainUntilIdle()
    if (this.#isClosing) this.#loop?.close()
    Atomics.compareExchange(session.session, DRAINER, this.#threadId, DRAINER_NONE)
    if (this.#isClosing) return
    if (seenTail === undefined) setImmediate(this.#serve)
    else parkAsync(ring, () => this.#mayPark(seenTail), this.#serve)
  }

  /**
   * Drains until nothing has come for a while. Returns the tail that it has seen last, or undefined if the
   * event loop must turn before that.
   */
  #drainUntilIdle(): number | undefined {
    const loop = this.#restartedLoop()
    const opensBefore = this.#opens()
    for (;;) {
      const flush = this.#flushUpTo()
      const waitMs = loop.step()
      if (loop.isAtRest && this.#opens() - opensBefore > OPENS_PER_TURN_MAX) return undefined
      if (waitMs === 0) continue
      const tail = loop.seenTail
      const isIdle = waitMs === IDLE
      const parkMs = isIdle ? IDLE_LINGER_MS : waitMs
      if (isIdle && this.#isClosing) return tail
      const mayPark = () => this.#flushUpTo() === flush && !(isIdle && this.#isClosing)
      const isWoken = park(this.#memory.ring, tail, parkMs, mayPark)
      if (isIdle && !isWoken) return tail
    }
  }

  #restartedLoop(): DrainLoop {
    if (this.#loop === undefined) {
      closeLeftovers(this.#memory, this.#config.sink.descriptorsOutlive)
      const notify = (notice: unknown) => this.#port.postMessage(notice)
      const descriptors = new OpenDescriptors(this.#memory.journal)
      this.#loop = new DrainLoop(this.#config, this.#inbox, notify, this.#memory, descriptors)
    } else {
      this.#loop.restart()
    }
    return this.#loop
  }

  #mayPark(seenTail: number): boolean {
    return Atomics.load(this.#memory.ring.words, TAIL) === seenTail && !this.#isClosing
  }

  /** Whether the file is to be closed once the ring is empty. */
  get #isClosing(): boolean {
    return Atomics.load(this.#memory.session.session, CLOSING) !== 0
  }

  #flushUpTo(): number {
    return Atomics.load(this.#memory.ring.words, FLUSH_UP_TO)
  }

  #opens(): number {
    return Number(Atomics.load(this.#memory.counters.counts, COUNT_OPENS))
  }
}

/** The version of this file's package. */
export function version(): string {
  return VERSION
}

/** Answers that the worker is able to run: READY_TASK of worker-pool.ts. */
export function ready(): void {}

/**
 * Takes a session up: SESSION_TASK of ring/messages.ts. Its name holds the version, so that a worker of another
 * one is not even asked.
 */
export { serve as 'serve@0.2.0' }

function serve(task: SessionTask): void {
  new WorkerSide(task)
}
