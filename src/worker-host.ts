import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { DrainConfig, DrainLoop } from './drain-loop'
import {
  CLOSING,
  DRAINER,
  DRAINER_CALLER,
  DRAINER_NONE,
  DRAINER_WORKER,
  DURABLE,
  type RingMemory,
  SESSIONS_BEGUN,
  TAIL,
  WORKER_THREAD,
} from './layout'
import type { Notice, OversizeRecord, SessionTask } from './messages'
import type { OversizeStore } from './oversize'
import { RingConsumer } from './ring'
import { isThreadGone } from './thread-liveness'
import { sleep, unpark } from './wake-up'
import { openWorkerPool, type WorkerPool } from './worker-pool'

/** How long a session may take to begin before the worker counts as unable to start. */
const SESSION_START_MS_MAX = 10_000
/** Deaths in a row without one published group before the worker counts as unable to run. */
const FRUITLESS_DEATHS_MAX = 3
/** How long a blocking wait sleeps before it looks around again. */
const BLOCKING_SLICE_MS = 20
/** How long a blocked `drainSync` leaves the ring to a worker that has not taken it up. */
export const DRAIN_PATIENCE_MS = 2
/**
 * The same for a blocked call: it leaves time for a worker to start, since to drain here may block for
 * longer than the call is allowed to.
 */
export const CALL_PATIENCE_MS = 1_000

/** What the host tells its owner. */
export interface HostEvents {
  /** Outcomes may have been published. */
  onProgress(): void
  onNotice(notice: Notice): void
  /** The worker cannot be used; from now on the calling thread drains the ring. Told once. */
  onFallback(cause: unknown): void
  /** Neither thread could run the drain loop: all that was pending has failed. */
  onRingGivenUp(cause: unknown): void
}

/** Who drains: the worker, or for good the calling thread. */
type Drainer = 'worker' | 'caller'

/** Runs the worker, its sessions and their ends; drains on the calling thread when that is needed. */
export class WorkerHost {
  readonly #memory: RingMemory
  readonly #config: DrainConfig
  readonly #oversize: OversizeStore
  readonly #events: HostEvents
  readonly #workerFile: string
  #pool: WorkerPool | undefined
  #drainer: Drainer = 'worker'
  #session: Promise<void> | undefined
  #port: MessagePort | undefined
  #callerLoop: DrainLoop | undefined
  #isCallerScheduled = false
  /** How long blocking waits still leave the ring to a worker; spent once, until one is seen again. */
  #patienceLeftMs = CALL_PATIENCE_MS
  /** Whether this thread holds the DRAINER word. */
  #isOwner = false
  #isClosed = false
  #sessions = 0
  #deaths = 0
  #fruitlessDeaths = 0

  constructor(
    memory: RingMemory,
    config: DrainConfig,
    oversize: OversizeStore,
    events: HostEvents,
    workerFile: string,
  ) {
    this.#memory = memory
    this.#config = config
    this.#oversize = oversize
    this.#events = events
    this.#workerFile = workerFile
    this.#ensurePool()
    setImmediate(preloadCallerDrain).unref()
  }

  /** Sessions started, workers that died, and who drains now. */
  get state(): { drainer: Drainer; sessions: number; deaths: number } {
    return { drainer: this.#drainer, sessions: this.#sessions, deaths: this.#deaths }
  }

  /** Gives the worker an oversize record before the reference to it is published. */
  offer(record: OversizeRecord): void {
    this.#port?.postMessage(record)
  }

  /** Sees to it that what was published gets drained. Cheap when a session is running. */
  wake(): void {
    if (this.#isDrainedHere) this.#scheduleCaller(0)
    else if (this.#session === undefined) this.#startSession()
    else unpark(this.#memory.control)
  }

  /**
   * Blocks the calling thread until the durable position leaves `seenDurable`, at most `timeoutMs`.
   * Drains on this thread when the worker has not taken up the ring for `patienceMs`: while this
   * thread blocks, a worker may be unable to start, or may be dead without our hearing of it.
   */
  waitForProgress(seenDurable: number, timeoutMs: number, patienceMs: number): void {
    if (!this.#isDrainedHere) {
      unpark(this.#memory.control)
      if (this.#waitForWorker(seenDurable, timeoutMs, patienceMs)) return
    }
    if (!this.#tryOwn()) return
    const waitMs = this.#stepAsOwner()
    if (waitMs > 0) sleep(this.#memory.control, Math.min(waitMs, BLOCKING_SLICE_MS, timeoutMs))
  }

  /** Waits for a while; false when no worker has held the ring for as long as patience lasts. */
  #waitForWorker(seenDurable: number, timeoutMs: number, patienceMs: number): boolean {
    const { control } = this.#memory
    if (Atomics.load(control, DRAINER) !== DRAINER_NONE) {
      this.#patienceLeftMs = patienceMs
      const sliceMs = Math.min(BLOCKING_SLICE_MS, timeoutMs)
      const isWoken = Atomics.wait(control, DURABLE, seenDurable, sliceMs) !== 'timed-out'
      // Only a ring that the worker was seen to hold: no other worker can have taken it meanwhile.
      if (!isWoken && isThreadGone(Atomics.load(control, WORKER_THREAD))) this.#disownWorker()
      return true
    }
    this.#patienceLeftMs = Math.min(this.#patienceLeftMs, patienceMs)
    const waitMs = Math.min(this.#patienceLeftMs, timeoutMs)
    if (Atomics.wait(control, DURABLE, seenDurable, waitMs) !== 'timed-out') return true
    this.#patienceLeftMs -= waitMs
    return this.#patienceLeftMs > 0
  }

  /**
   * Ends a time of blocking waits: takes the notices that the event loop could not deliver, and closes
   * what this thread had open to drain, unless it is in the middle of a group.
   */
  endBlocking(): void {
    this.#receiveNotices()
    if (!this.#isDrainedHere) this.#closeCallerLoop()
  }

  #closeCallerLoop(): void {
    this.#callerLoop?.close()
    this.#callerLoop = undefined
  }

  #receiveNotices(): void {
    const port = this.#port
    if (port === undefined) return
    for (;;) {
      const received: { message: Notice } | undefined = receiveMessageOnPort(port)
      if (received === undefined) return
      this.#events.onNotice(received.message)
    }
  }

  /** Ends the worker. Everything must have its outcome. Idempotent through its owner. */
  async close(): Promise<void> {
    const { control } = this.#memory
    this.#isClosed = true
    Atomics.store(control, CLOSING, 1)
    if (this.#drainer === 'worker') {
      // One last session, so that the worker closes its file.
      if (this.#session === undefined && this.#pool !== undefined) this.#startSession()
      unpark(control)
      await this.#session
    }
    this.#closeCallerLoop()
    await this.#destroyPool()
    this.#closeLeftovers()
  }

  /** Closes what the dead worker had open, as its successor. */
  #closeLeftovers(): void {
    const wasOwner = this.#isOwner
    if (!this.#tryOwn()) return
    try {
      loadCallerDrain().closeLeftovers(this.#memory)
    } catch {
      // The package's files have vanished; two descriptors stay open.
    }
    if (!wasOwner) this.#disown()
  }

  #disown(): void {
    this.#isOwner = false
    Atomics.store(this.#memory.control, DRAINER, DRAINER_NONE)
  }

  /** Whether this thread drains: for good, or because it is in the middle of a group. */
  get #isDrainedHere(): boolean {
    return this.#drainer === 'caller' || this.#isOwner
  }

  /** Whether something waits to be drained. Never after the end, whatever the ring's words say. */
  get #isPending(): boolean {
    const { control } = this.#memory
    return !this.#isClosed && Atomics.load(control, TAIL) !== Atomics.load(control, DURABLE)
  }

  #newPool(): WorkerPool {
    const pool: WorkerPool = openWorkerPool(this.#workerFile, () => {
      if (this.#pool === pool) void this.#destroyPool()
    })
    return pool
  }

  /** The pool, or undefined where no worker may be started: then the calling thread drains. */
  #ensurePool(): WorkerPool | undefined {
    try {
      this.#pool ??= this.#newPool()
    } catch (thrown) {
      this.#fallBack(thrown)
    }
    return this.#pool
  }

  #startSession(): void {
    const pool = this.#ensurePool()
    if (pool === undefined) return
    const { port1, port2 } = new MessageChannel()
    port1.on('message', (notice: Notice) => this.#events.onNotice(notice))
    port1.unref()
    this.#port = port1
    this.#sessions++
    const durable = Atomics.load(this.#memory.control, DURABLE)
    // It also keeps the process alive while the first session may never begin.
    const begun = Atomics.load(this.#memory.control, SESSIONS_BEGUN)
    const watchdog = setTimeout(() => this.#checkBegun(begun), SESSION_START_MS_MAX)
    const task: SessionTask = {
      config: this.#config,
      port: port2,
      oversize: this.#oversize.all(),
    }
    this.#session = pool
      .run(task, { transferList: [port2] })
      .catch((thrown: unknown) => this.#onDeath(thrown, durable))
      .then(() => {
        clearTimeout(watchdog)
        this.#receiveNotices()
        port1.close()
        this.#onSessionEnd()
      })
  }

  #onSessionEnd(): void {
    this.#session = undefined
    this.#port = undefined
    this.#events.onProgress()
    if (this.#isPending) this.wake()
  }

  /** A session was rejected: the worker died, could not load, or its drain loop threw. */
  #onDeath(cause: unknown, durableBefore: number): void {
    if (this.#drainer === 'caller') return
    const { control } = this.#memory
    this.#deaths++
    this.#disownWorker()
    const isFruitless = Atomics.load(control, DURABLE) === durableBefore
    this.#fruitlessDeaths = isFruitless ? this.#fruitlessDeaths + 1 : 0
    if (this.#fruitlessDeaths >= FRUITLESS_DEATHS_MAX) this.#fallBack(cause)
  }

  #checkBegun(begunBefore: number): void {
    if (Atomics.load(this.#memory.control, SESSIONS_BEGUN) !== begunBefore) return
    this.#fallBack(new Error(`the worker did not start within ${SESSION_START_MS_MAX} ms`))
  }

  /** Takes the ring back from a worker that is known to be dead. */
  #disownWorker(): void {
    const { control } = this.#memory
    Atomics.store(control, WORKER_THREAD, 0)
    Atomics.compareExchange(control, DRAINER, DRAINER_WORKER, DRAINER_NONE)
  }

  #fallBack(cause: unknown): void {
    this.#drainer = 'caller'
    this.#events.onFallback(cause)
    // A worker that was only slow may own the ring by now. After this it is gone.
    void this.#destroyPool().then(() => {
      this.#disownWorker()
      this.#closeLeftovers()
      if (this.#isPending) this.wake()
    })
  }

  async #destroyPool(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    // Its rejection would say that the worker is gone, which is what is wanted.
    await pool?.destroy().catch(() => undefined)
    // Otherwise async_hooks, and so jest --detectOpenHandles, takes the pool for open for ever.
    pool?.emitDestroy()
  }

  /** Plans the next step on this thread, off the caller's stack. */
  #scheduleCaller(waitMs: number): void {
    if (this.#isCallerScheduled) return
    this.#isCallerScheduled = true
    const run = () => {
      this.#isCallerScheduled = false
      const nextMs = this.#tryOwn() ? this.#stepAsOwner() : BLOCKING_SLICE_MS
      this.#events.onProgress()
      if (!this.#isDrainedHere) this.#closeCallerLoop()
      if (!this.#isPending) return
      if (this.#isDrainedHere) this.#scheduleCaller(nextMs)
      else this.wake()
    }
    if (waitMs > 0) setTimeout(run, Math.min(waitMs, BLOCKING_SLICE_MS))
    else setImmediate(run)
  }

  /** Makes this thread the drainer, unless the worker is. */
  #tryOwn(): boolean {
    if (this.#isOwner) return true
    const { control } = this.#memory
    const owner = Atomics.compareExchange(control, DRAINER, DRAINER_NONE, DRAINER_CALLER)
    this.#isOwner = owner === DRAINER_NONE
    if (this.#isOwner) this.#callerLoop?.restart()
    return this.#isOwner
  }

  /** One step of the drain loop on this thread; as DrainLoop.step. Stays the owner within a group. */
  #stepAsOwner(): number {
    let waitMs = 0
    try {
      this.#callerLoop ??= this.#openCallerLoop()
      waitMs = this.#callerLoop.step()
    } catch (thrown) {
      this.#giveUpRing(thrown)
    }
    if (this.#callerLoop?.isAtRest ?? true) {
      this.#disown()
    } else {
      this.#scheduleCaller(waitMs)
    }
    return waitMs
  }

  /** The last resort, as the owner: the drain loop itself fails here, so all that is pending does. */
  #giveUpRing(cause: unknown): void {
    this.#closeCallerLoop()
    const consumer = new RingConsumer(this.#memory)
    consumer.refill()
    consumer.skipToTail()
    consumer.publish(consumer.readPosition)
    this.#events.onRingGivenUp(cause)
  }

  #openCallerLoop(): DrainLoop {
    const onNotice = (notice: Notice) => this.#events.onNotice(notice)
    const { DrainLoop } = loadCallerDrain()
    return new DrainLoop(this.#config, this.#oversize, onNotice, this.#memory)
  }
}

/**
 * The drain loop for this thread. Loaded apart, since it is seldom needed; but soon after the start,
 * since an upgrade in place may have replaced the package's files by the time it is.
 */
function loadCallerDrain(): typeof import('./caller-drain') {
  return require('./caller-drain')
}

function preloadCallerDrain(): void {
  try {
    loadCallerDrain()
  } catch {
    // Told of if it is ever needed.
  }
}
