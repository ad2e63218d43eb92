import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { clearTimeout, setTimeout } from '../../base/timers'
import { DURABLE, SESSIONS_BEGUN, type SharedMemory } from '../ring/memory-map'
import type { DrainConfig, Notice, OversizeRecord } from '../ring/messages'
import type { OversizeStore } from '../ring/oversize'
import type { WorkerPool } from './worker-pool'

/** How long a session may take to begin before the worker counts as unable to start. */
export const SESSION_START_MS_MAX = 10_000

/** How a session ended that was rejected: the worker died, could not load, or its drain loop threw. */
export interface SessionDeath {
  readonly cause: unknown
  /** Whether no event has got its outcome since the session was started. */
  readonly isFruitless: boolean
}

/** How a session calls its owner. */
export interface SessionEvents {
  onNotice(notice: Notice): void
  /** It has not begun in time. */
  onLate(): void
  /** It is over, and its notices were delivered. */
  onEnd(death: SessionDeath | undefined): void
}

/**
 * One session of the worker, from the calling thread's side: piscina's task, the port to it, and the timer
 * that checks whether it has begun.
 */
export class WorkerSession {
  readonly #memory: SharedMemory
  readonly #events: SessionEvents
  readonly #durableBefore: number
  readonly #begunBefore: number
  #port: MessagePort | undefined
  #ended: Promise<void> | undefined

  /** Makes no promise, nor anything else that calls async hooks: see {@link start}. */
  constructor(memory: SharedMemory, events: SessionEvents) {
    this.#memory = memory
    this.#events = events
    this.#durableBefore = this.#durable
    this.#begunBefore = this.#begun
  }

  /** Resolves after {@link SessionEvents.onEnd}; undefined before the start. */
  get ended(): Promise<void> | undefined {
    return this.#ended
  }

  /**
   * Gives the worker its task. Not part of the constructor, since async hooks run in here: if one of them
   * records an event, the owner must already hold this session, or it would start another one.
   */
  start(pool: WorkerPool, config: DrainConfig, oversize: OversizeStore): void {
    const { port1, port2 } = new MessageChannel()
    port1.on('message', (notice: Notice) => this.#events.onNotice(notice))
    port1.unref()
    this.#port = port1
    // It also keeps the process alive while the first session may never begin.
    const watchdog = setTimeout(() => this.#checkBegun(), SESSION_START_MS_MAX)
    const end = (death?: SessionDeath) => {
      clearTimeout(watchdog)
      this.receiveNotices()
      port1.close()
      this.#events.onEnd(death)
    }
    this.#ended = pool
      .run({ config, port: port2, oversize: oversize.all() }, { transferList: [port2] })
      .then(
        () => end(),
        (cause: unknown) => end({ cause, isFruitless: this.#durable === this.#durableBefore }),
      )
  }

  /** Gives the worker an oversize record; its task brought those that existed at the start. */
  offer(record: OversizeRecord): void {
    this.#port?.postMessage(record)
  }

  /** Delivers the notices that the event loop has not delivered. */
  receiveNotices(): void {
    const port = this.#port
    if (port === undefined) return
    for (;;) {
      const received: { message: Notice } | undefined = receiveMessageOnPort(port)
      if (received === undefined) return
      this.#events.onNotice(received.message)
    }
  }

  #checkBegun(): void {
    if (this.#begun === this.#begunBefore) this.#events.onLate()
  }

  get #begun(): number {
    return Atomics.load(this.#memory.session.session, SESSIONS_BEGUN)
  }

  get #durable(): number {
    return Atomics.load(this.#memory.ring.words, DURABLE)
  }
}
