/// <reference types="node" preserve="true" />

import type { MessagePort } from 'node:worker_threads'
import { DrainLoop, IDLE } from '../drain/drain-loop'
import { closeLeftovers, OpenDescriptors } from '../log/open-descriptors'
import { COUNT_OPENS } from '../ring/counters'
import {
  CLOSING,
  DRAINER,
  DRAINER_NONE,
  DRAINER_WORKER,
  FLUSH_UP_TO,
  SESSIONS_BEGUN,
  type SharedMemory,
  viewMemory,
  WORKER_THREAD,
} from '../ring/memory-map'
import { SESSION_LINGER_MS, type SessionTask } from '../ring/messages'
import { OversizeInbox } from '../ring/oversize'
import { park } from '../ring/wake-up'
import { currentThreadId } from './thread-liveness'

/*
 * The worker's entry, run by piscina. It is not named worker.js, which would collide with piscina's own in a
 * bundle. It is the only worker of its ExecAudit, so it keeps its drain loop, with the open file, from one
 * session to the next.
 */

/**
 * Files opened per session at most. Each leaves the event loop a callback of sonic-boom's, and the event loop
 * turns only between sessions: on a disk that fails every group they would pile up.
 */
const OPENS_PER_SESSION_MAX = 256

class Worker {
  readonly #memory: SharedMemory
  readonly #inbox = new OversizeInbox()
  readonly #config: SessionTask['config']
  readonly #threadId = currentThreadId()
  #port: MessagePort | undefined
  #loop: DrainLoop | undefined

  constructor(config: SessionTask['config']) {
    this.#config = config
    this.#memory = viewMemory(config.ring)
  }

  runSession(task: SessionTask): void {
    const { session } = this.#memory.session
    Atomics.add(session, SESSIONS_BEGUN, 1)
    // The calling thread may be draining the ring itself; it starts another session when it is done.
    const owner = Atomics.compareExchange(session, DRAINER, DRAINER_NONE, DRAINER_WORKER)
    if (owner !== DRAINER_NONE) return
    Atomics.store(session, WORKER_THREAD, this.#threadId)
    this.#port = task.port
    this.#inbox.begin(task)
    try {
      this.#drain(this.#restartedLoop())
    } catch (thrown) {
      this.#endLoop()
      throw thrown
    } finally {
      this.#inbox.end()
      Atomics.compareExchange(session, DRAINER, DRAINER_WORKER, DRAINER_NONE)
    }
  }

  #restartedLoop(): DrainLoop {
    if (this.#loop === undefined) {
      closeLeftovers(this.#memory, this.#config.sink.descriptorsOutlive)
      const notify = (notice: unknown) => this.#port?.postMessage(notice)
      const descriptors = new OpenDescriptors(this.#memory.journal)
      this.#loop = new DrainLoop(this.#config, this.#inbox, notify, this.#memory, descriptors)
    } else {
      this.#loop.restart()
    }
    return this.#loop
  }

  #drain(loop: DrainLoop): void {
    const { ring } = this.#memory
    const { session } = this.#memory.session
    const flushed = () => Atomics.load(ring.words, FLUSH_UP_TO)
    const opensBefore = this.#opens()
    for (;;) {
      const seenFlush = flushed()
      const waitMs = loop.step()
      if (loop.isAtRest && this.#opens() - opensBefore > OPENS_PER_SESSION_MAX) return
      if (waitMs === 0) continue
      const isIdle = waitMs === IDLE
      const isClosing = () => isIdle && Atomics.load(session, CLOSING) !== 0
      if (isClosing()) break
      const mayPark = () => flushed() === seenFlush && !isClosing()
      const isWoken = park(ring, loop.seenTail, isIdle ? SESSION_LINGER_MS : waitMs, mayPark)
      if (isIdle && !isWoken) return
    }
    this.#endLoop()
  }

  #opens(): number {
    return Number(Atomics.load(this.#memory.counters.counts, COUNT_OPENS))
  }

  #endLoop(): void {
    this.#loop?.close()
    this.#loop = undefined
  }
}

let worker: Worker | undefined

/** Answers that the worker is able to run: READY_TASK of worker-pool.ts. */
export function ready(): void {}

/** Runs one session. */
export function drain(task: SessionTask): void {
  worker ??= new Worker(task.config)
  worker.runSession(task)
}
