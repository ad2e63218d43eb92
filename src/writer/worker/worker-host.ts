import { clearTimeout, setImmediate, setTimeout } from '../../base/timers'
import {
  CLOSING,
  DRAINER,
  DRAINER_NONE,
  DRAINER_WORKER,
  DURABLE,
  type SharedMemory,
  TAIL,
  WORKER_THREAD,
} from '../ring/memory-map'
import type { DrainConfig, OversizeRecord } from '../ring/messages'
import type { OversizeStore } from '../ring/oversize'
import { sleep, unpark, waitDurable } from '../ring/wake-up'
import { CallerDrainer, type CallerDrainerEvents } from './caller-drainer'
import { RestartBackoff } from './restart-backoff'
import { isThreadGone } from './thread-liveness'
import { openWorkerPool, READY_TASK, type WorkerPool } from './worker-pool'
import { SESSION_START_MS_MAX, type SessionDeath, WorkerSession } from './worker-session'

/*
 * Who drains. DRAINER, in the shared memory, names the thread that drains now; `#session` is the session
 * that piscina was given to run; `#drainer` is the thread that is meant to drain.
 *
 *   state        | DRAINER        | #session | #drainer | who drains
 *   -------------+----------------+----------+----------+--------------------------------------------
 *   IDLE         | NONE           | none     | worker   | nobody: nothing is pending
 *   STARTING     | NONE           | one      | worker   | nobody: the worker has yet to begin, or has died
 *   DRAINING     | WORKER         | one      | worker   | the worker
 *   DRAINED HERE | CALLER         | any      | worker   | this thread, to the end of its group
 *   FALLEN BACK  | NONE or CALLER | any      | caller   | this thread, until an attempt to restart succeeds
 *
 *   state        | event                                                 | next state
 *   -------------+-------------------------------------------------------+----------------------------
 *   IDLE         | an event is published, or close()                     | STARTING
 *   IDLE         | the same, but no thread may be started                | FALLEN BACK
 *   IDLE         | the worker dies                                       | IDLE; another one is next
 *   STARTING     | the session takes DRAINER                             | DRAINING
 *   STARTING     | it has not begun after SESSION_START_MS_MAX           | FALLEN BACK
 *   STARTING     | this thread blocks, and its patience runs out         | DRAINED HERE
 *   DRAINING     | the session ends: after its linger, or by close()     | IDLE
 *   DRAINING     | this thread blocks, and the kernel knows of no such   | STARTING: we learn of the session's
 *                | worker any more                                       | end when we do not block
 *   STARTING or  | piscina reports that the worker has died or cannot    | IDLE; FALLEN BACK after the
 *   DRAINING     | load                                                  | third in a row with no outcome
 *   DRAINED HERE | a session begins                                      | DRAINED HERE; it ends at once
 *   DRAINED HERE | the group has its outcome                             | STARTING; IDLE with no session
 *   FALLEN BACK  | an event is published, an attempt is due, and a new   | IDLE; DRAINED HERE if this thread
 *                | worker answers it                                     | is in the middle of a group
 *
 * From IDLE with something pending it goes on at once. After FALLEN BACK a worker that was only slow may
 * hold DRAINER until its pool has ended. Patience (`#patienceLeftMs`) is how long blocking waits, taken
 * together, leave the ring to nobody; it starts anew when a worker is seen to hold the ring.
 *
 * What keeps the process alive; in IDLE nothing does:
 *
 *   STARTING, DRAINING        | piscina's port, to which the answer of a session comes; for its first
 *                             | seconds also the timer that checks whether it has begun
 *   the same, worker dead     | the worker: piscina refs it when its port closes, until its exit is reported.
 *                             | (A piscina without that would let the process end with events pending.)
 *   DRAINED HERE, FALLEN BACK | the immediate or the timer of the next step, while something is pending;
 *                             | piscina's port, while an attempt is unanswered
 *   close()                   | the last session, then the worker until it has ended
 */

/** Deaths in a row without one published group before the worker counts as unable to run. */
const FRUITLESS_DEATHS_MAX = 3
/** How long a blocking wait sleeps before it looks around again. */
const BLOCKING_SLICE_MS = 20
/** How long a blocked `drainSync` leaves the ring to a worker that has not taken it. */
export const DRAIN_PATIENCE_MS = 2
/**
 * How long a blocked event method does so. It leaves a worker time to start, since draining here may block
 * for longer than the call may take.
 */
export const CALL_PATIENCE_MS = 1_000

/** How the host calls its owner. */
export interface HostEvents extends CallerDrainerEvents {
  /** Outcomes may have been published. */
  onProgress(): void
  /** The worker cannot be used; from now on the calling thread drains the ring. */
  onFallback(cause: unknown): void
  /** A worker can be used again, and drains the ring from now on. */
  onReturn(): void
}

/** Who drains: the worker, or while none can be used the calling thread. */
type Drainer = 'worker' | 'caller'

/** Runs the worker, its sessions and their ends; drains on the calling thread when that is needed. */
export class WorkerHost {
  readonly #memory: SharedMemory
  readonly #config: DrainConfig
  readonly #oversize: OversizeStore
  readonly #events: HostEvents
  readonly #callerDrainer: CallerDrainer
  readonly #workerFile: string
  readonly #backoff = new RestartBackoff()
  #pool: WorkerPool | undefined
  #drainer: Drainer = 'worker'
  #session: WorkerSession | undefined
  #isStepScheduled = false
  /** How long blocking waits still leave the ring to a worker; spent once, until one is seen again. */
  #patienceLeftMs = CALL_PATIENCE_MS
  #isClosed = false
  #sessions = 0
  #deaths = 0
  #fruitlessDeaths = 0

  constructor(
    memory: SharedMemory,
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
    this.#callerDrainer = new CallerDrainer(memory, config, oversize, events)
    this.#ensurePool()
  }

  /** Sessions started, workers that died, and who drains now. */
  get state(): { drainer: Drainer; sessions: number; deaths: number } {
    return { drainer: this.#drainer, sessions: this.#sessions, deaths: this.#deaths }
  }

  /** Gives the worker an oversize record before the reference to it is published. */
  offer(record: OversizeRecord): void {
    this.#session?.offer(record)
  }

  /** Makes sure that somebody drains the published events. Cheap while a session runs. */
  wake(): void {
    if (this.#isDrainedHere) {
      this.#scheduleStep(0)
      // Not while a session of the worker before is still to end: it would be taken for the new one's.
      if (this.#session === undefined && this.#backoff.isDue) void this.#tryRestart()
    } else if (this.#session === undefined) this.#startSession()
    else unpark(this.#memory.ring)
  }

  /**
   * Blocks the calling thread until the durable position leaves `seenDurable`, at most `timeoutMs`.
   * Drains on this thread when the worker has not taken up the ring for `patienceMs`: while this
   * thread blocks, a worker may be unable to start, or may have died without this thread learning of it.
   */
  waitForProgress(seenDurable: number, timeoutMs: number, patienceMs: number): void {
    if (!this.#isDrainedHere) {
      unpark(this.#memory.ring)
      if (this.#waitForWorker(seenDurable, timeoutMs, patienceMs)) return
    }
    const waitMs = this.#tryStep() ?? 0
    if (waitMs > 0) sleep(Math.min(waitMs, BLOCKING_SLICE_MS, timeoutMs))
  }

  /** Waits for a while; false when no worker has held the ring for as long as patience lasts. */
  #waitForWorker(seenDurable: number, timeoutMs: number, patienceMs: number): boolean {
    const {
      ring,
      session: { session },
    } = this.#memory
    if (Atomics.load(session, DRAINER) !== DRAINER_NONE) {
      this.#patienceLeftMs = patienceMs
      const sliceMs = Math.min(BLOCKING_SLICE_MS, timeoutMs)
      const isWoken = waitDurable(ring, seenDurable, sliceMs)
      // Only if the worker was seen to hold the ring: no other worker can have taken it meanwhile.
      if (!isWoken && isThreadGone(Atomics.load(session, WORKER_THREAD))) this.#disownWorker()
      return true
    }
    this.#patienceLeftMs = Math.min(this.#patienceLeftMs, patienceMs)
    const waitMs = Math.min(this.#patienceLeftMs, timeoutMs)
    if (waitDurable(ring, seenDurable, waitMs)) return true
    this.#patienceLeftMs -= waitMs
    return this.#patienceLeftMs > 0
  }

  /**
   * Ends a time of blocking waits: delivers the notices that the event loop could not, and closes the file
   * that this thread opened to drain, unless it is in the middle of a group.
   */
  endBlocking(): void {
    this.#session?.receiveNotices()
    if (!this.#isDrainedHere) this.#callerDrainer.close()
  }

  /** Ends the worker. Everything must have its outcome. Idempotent through its owner. */
  async close(): Promise<void> {
    const { ring, session } = this.#memory
    this.#isClosed = true
    Atomics.store(session.session, CLOSING, 1)
    if (this.#drainer === 'worker') {
      // One last session, so that the worker closes its file.
      if (this.#session === undefined && this.#pool !== undefined) this.#startSession()
      unpark(ring)
      await this.#session?.ended
    }
    this.#callerDrainer.close()
    await this.#destroyPool()
    this.#callerDrainer.closeLeftovers()
  }

  /** Whether this thread drains: there is no worker, or it is in the middle of a group. */
  get #isDrainedHere(): boolean {
    return this.#drainer === 'caller' || this.#callerDrainer.isOwner
  }

  /** Whether something waits to be drained. Never after the end, whatever the ring's words say. */
  get #isPending(): boolean {
    const { words } = this.#memory.ring
    return !this.#isClosed && Atomics.load(words, TAIL) !== Atomics.load(words, DURABLE)
  }

  #newPool(): WorkerPool {
    const pool: WorkerPool = openWorkerPool(this.#workerFile, () => {
      if (this.#pool === pool) void this.#destroyPool()
    })
    return pool
  }

  /** The pool, or undefined if no worker may be started: then the calling thread drains. */
  #ensurePool(): WorkerPool | undefined {
    try {
      this.#pool ??= this.#newPool()
    } catch (thrown) {
      this.#fallBack(thrown)
    }
    return this.#pool
  }

  #startSession(): void {
    const session = new WorkerSession(this.#memory, {
      onNotice: (notice) => this.#events.onNotice(notice),
      onLate: () => this.#onLateSession(),
      onEnd: (death) => this.#onSessionEnd(death),
    })
    this.#session = session
    const pool = this.#ensurePool()
    if (pool === undefined) {
      this.#session = undefined
      return
    }
    this.#sessions++
    session.start(pool, this.#config, this.#oversize)
  }

  #onSessionEnd(death: SessionDeath | undefined): void {
    this.#session = undefined
    if (death !== undefined) this.#onDeath(death)
    else {
      this.#fruitlessDeaths = 0
      this.#backoff.succeeded()
    }
    this.#events.onProgress()
    if (this.#isPending) this.wake()
  }

  #onDeath({ cause, isFruitless }: SessionDeath): void {
    if (this.#drainer === 'caller') return
    this.#deaths++
    this.#disownWorker()
    this.#fruitlessDeaths = isFruitless ? this.#fruitlessDeaths + 1 : 0
    // After its return one such death is enough, until a session has ended well.
    if (this.#fruitlessDeaths >= FRUITLESS_DEATHS_MAX) this.#fallBack(cause)
  }

  #onLateSession(): void {
    this.#fallBack(new Error(`the worker did not start within ${SESSION_START_MS_MAX} ms`))
  }

  /** Takes the ring back from a worker that is known to be dead. */
  #disownWorker(): void {
    const { session } = this.#memory.session
    Atomics.store(session, WORKER_THREAD, 0)
    Atomics.compareExchange(session, DRAINER, DRAINER_WORKER, DRAINER_NONE)
  }

  #fallBack(cause: unknown): void {
    this.#drainer = 'caller'
    this.#events.onFallback(cause)
    // A worker that was only slow may own the ring by now. After this it is gone.
    void this.#destroyPool().then(() => {
      this.#disownWorker()
      this.#callerDrainer.closeLeftovers()
      this.#backoff.failed()
      if (this.#isPending) this.wake()
    })
  }

  /** Tries whether a worker can be used again. It does not touch the ring before it has answered. */
  async #tryRestart(): Promise<void> {
    this.#backoff.begin()
    try {
      this.#pool = this.#newPool()
      await within(SESSION_START_MS_MAX, this.#pool.run(undefined, { name: READY_TASK }))
    } catch {
      // The cause was reported when the worker was given up. A thread that hangs in the kernel cannot be
      // ended: then this waits, so that no further thread hangs there as well.
      await this.#destroyPool()
      this.#backoff.failed()
      return
    }
    if (this.#isClosed) return
    this.#drainer = 'worker'
    this.#patienceLeftMs = CALL_PATIENCE_MS
    if (!this.#callerDrainer.isOwner) this.#callerDrainer.close()
    this.#events.onReturn()
    // Not left to the next turn of the event loop: a call may block before that, for room in the ring.
    if (this.#isPending) this.wake()
  }

  async #destroyPool(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    // A rejection would mean that the worker is gone, as intended.
    await pool?.destroy().catch(() => undefined)
    // Otherwise async_hooks, and so jest --detectOpenHandles, would count the pool as open for ever.
    pool?.emitDestroy()
  }

  /** A step on this thread, unless the worker has the ring; sees to it that a begun group is ended. */
  #tryStep(): number | undefined {
    const waitMs = this.#callerDrainer.tryStep()
    if (waitMs !== undefined && this.#callerDrainer.isOwner) this.#scheduleStep(waitMs)
    return waitMs
  }

  /** Plans the next step on this thread, off the caller's stack. */
  #scheduleStep(waitMs: number): void {
    if (this.#isStepScheduled) return
    this.#isStepScheduled = true
    const run = () => {
      this.#isStepScheduled = false
      // The worker may have come back meanwhile: then the next group is its own.
      const stepMs = this.#isDrainedHere ? this.#tryStep() : undefined
      const nextMs = stepMs ?? BLOCKING_SLICE_MS
      this.#events.onProgress()
      if (!this.#isDrainedHere) this.#callerDrainer.close()
      if (!this.#isPending) return
      if (this.#isDrainedHere) this.#scheduleStep(nextMs)
      else this.wake()
    }
    if (waitMs > 0) setTimeout(run, Math.min(waitMs, BLOCKING_SLICE_MS))
    else setImmediate(run)
  }
}

/** Settles as the promise does; rejects when that takes longer than `ms`. */
function within(ms: number, promise: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, ms)
    void promise.then(resolve, reject).then(() => clearTimeout(timer))
  })
}
