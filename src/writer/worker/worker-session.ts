import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { textOf } from '../../base/describe'
import { CLOSING, DURABLE, SESSION_VERSION, type SharedMemory, TAIL } from '../ring/memory-map'
import {
  type DrainConfig,
  type Notice,
  type OversizeRecord,
  RING_FIELD,
  SESSION_TASK,
} from '../ring/messages'
import type { OversizeStore } from '../ring/oversize'
import { VERSION, versionOf, versionWord } from '../ring/version'
import { unpark } from '../ring/wake-up'
import { READY_TASK, VERSION_TASK, type WorkerPool, within } from './worker-pool'

/** How long a worker may take to close its file, in milliseconds: it has nothing else left to do. */
const END_MS_MAX = 10_000

/** How a session ended: the worker has died, cannot load, or is not one of this package's version. */
export interface SessionEnd {
  readonly cause: unknown
  /** Whether something was pending, and nothing had got its outcome since the session was started. */
  readonly isFruitless: boolean
  /** Whether another worker of the same file would do no better. */
  readonly isFinal: boolean
}

/** How a session calls its owner. */
export interface SessionEvents {
  onNotice(notice: Notice): void
  /** It has ended without being asked to; its notices were delivered. Called once. */
  onEnd(end: SessionEnd): void
}

/**
 * One worker's session, from the calling thread's side: the task that gives the worker the ring, the port to
 * it, and what became of it.
 */
export class WorkerSession {
  readonly #memory: SharedMemory
  readonly #events: SessionEvents
  readonly #durableBefore: number
  #port: MessagePort | undefined
  #pool: WorkerPool | undefined
  #hasEnded = false

  /** Makes no promise, and nothing else that async hooks hear of: see {@link start}. */
  constructor(memory: SharedMemory, events: SessionEvents) {
    this.#memory = memory
    this.#events = events
    this.#durableBefore = this.#durable
    Atomics.store(memory.session.session, SESSION_VERSION, 0)
  }

  /** Whether a worker of this version has taken it up. */
  get isTakenUp(): boolean {
    return this.#versionWord === versionWord(VERSION)
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
    this.#pool = pool
    const task = {
      [RING_FIELD]: this.#memory.buffer,
      config,
      port: port2,
      oversize: oversize.all(),
    }
    const options = { name: SESSION_TASK, transferList: [port2] }
    void pool.run(task, options).then(
      () => this.#onAnswer(),
      (cause: unknown) => this.#onRefusal(pool, cause),
    )
  }

  /** Gives the worker an oversize record; those that were there at the start came with its task. */
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

  /** Ends it from this side, since its worker has done nothing for `seconds`; returns that as an error. */
  giveUp(seconds: number): Error {
    this.close()
    return this.isTakenUp
      ? new Error(`the worker did not drain within ${seconds} s`)
      : new Error(`no worker of version ${VERSION} has begun within ${seconds} s; ${this.#found()}`)
  }

  /** Its worker has died. */
  died(cause: unknown): void {
    this.#end(cause, false)
  }

  /**
   * Ends it once the worker has closed its file and sent its last notices, or after END_MS_MAX. The ring must be
   * empty.
   */
  async end(): Promise<void> {
    Atomics.store(this.#memory.session.session, CLOSING, 1)
    unpark(this.#memory.ring)
    // Answered when the worker has left its blocking waits. One that has died has nothing left to do.
    const answered = this.isTakenUp ? this.#pool?.run(undefined, { name: READY_TASK }) : undefined
    if (answered !== undefined) await within(END_MS_MAX, answered).catch(() => undefined)
    this.close()
  }

  /** Ends it from this side at once, without an event. */
  close(): void {
    this.#hasEnded = true
    this.receiveNotices()
    this.#port?.close()
  }

  #end(cause: unknown, isFinal: boolean): void {
    if (this.#hasEnded) return
    this.close()
    const { words } = this.#memory.ring
    const isPending = Atomics.load(words, TAIL) !== this.#durable
    const isFruitless = isPending && this.#durable === this.#durableBefore
    this.#events.onEnd({ cause, isFruitless, isFinal })
  }

  /** A worker that has answered has taken the session up, or is not ours. */
  #onAnswer(): void {
    if (!this.isTakenUp) this.#end(otherVersion(versionOf(this.#versionWord)), true)
  }

  /** The worker has died over the task, cannot load, or does not know it. */
  #onRefusal(pool: WorkerPool, cause: unknown): void {
    if (this.#hasEnded || !isUnknownTask(cause)) {
      this.#end(cause, false)
      return
    }
    const onVersion = (version: unknown) => this.#end(otherVersion(version), true)
    void pool.run(undefined, { name: VERSION_TASK }).then(onVersion, () => onVersion(undefined))
  }

  #found(): string {
    const version = versionOf(this.#versionWord)
    return version === undefined ? 'none has told its version' : `one of ${version} has`
  }

  get #versionWord(): number {
    return Atomics.load(this.#memory.session.session, SESSION_VERSION)
  }

  get #durable(): number {
    return Atomics.load(this.#memory.ring.words, DURABLE)
  }
}

/** Whether the worker's file has no such task; piscina says so in words. */
function isUnknownTask(cause: unknown): boolean {
  return textOf(cause).includes('No handler function')
}

function otherVersion(version: unknown): Error {
  const found = typeof version === 'string' ? `version ${version}` : 'no version that can be told'
  return new Error(
    `its file is not the worker of version ${VERSION}, but of ${found}; build it anew with the package`,
  )
}
