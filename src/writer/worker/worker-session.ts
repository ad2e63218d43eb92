import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { DURABLE, SESSIONS_BEGUN, type SharedMemory } from '../ring/memory-map'
import type { DrainConfig, Notice, OversizeRecord } from '../ring/messages'
import type { OversizeStore } from '../ring/oversize'
import type { WorkerPool } from './worker-pool'

/** How long a session may take to begin before the worker counts as unable to start. */
export const SESSION_START_MS_MAX = 10_000

/** How a session ended that was rejected: the worker died, could not load, or its drain loop threw. */
export interface SessionDeath {
  readonly cause: unknown
  /** Whether nothing had got its outcome since the session was started. */
  readonly isFruitless: boolean
}

/** What a session tells its owner. */
export interface SessionEvents {
  onNotice(notice: Notice): void
  /** It has not begun in time. */
  onLate(): void
  /** It is over; its notices have been told. */
  onEnd(death: SessionDeath | undefined): void
}

/**
 * One session of the worker, from the calling thread's side: the task that piscina was given to run, the
 * port to it, and the timer that looks whether it has begun.
 */
export class WorkerSession {
  readonly #memory: SharedMemory
  readonly #events: SessionEvents
  readonly #durableBefore: number
  readonly #begunBefore: number
  #port: MessagePort | undefined
  #ended: Promise<void> | undefined

  /** Makes no promise, and nothing else that async hooks hear of: see {@link start}. */
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
   * Gives the worker its task. Apart from the constructor, since async hooks run in here: an event that
   * one of them records must find that there is a session, or it would start another one.
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

  /** Gives the worker an oversize record; those that were there at the start came with its task. */
  offer(record: OversizeRecord): void {
    this.#port?.postMessage(record)
  }

  /** Takes the notices that the event loop has not delivered. */
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
