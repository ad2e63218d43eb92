import { performance } from 'node:perf_hooks'
import { clearInterval, setImmediate, setInterval, setTimeout } from '../../base/timers'
import {
  DRAINER,
  DRAINER_CALLER,
  DRAINER_NONE,
  DRAINER_UNKNOWN,
  DURABLE,
  type SharedMemory,
  TAIL,
} from '../ring/memory-map'
import type { DrainConfig, OversizeRecord } from '../ring/messages'
import type { OversizeStore } from '../ring/oversize'
import { sleep, unpark, unparkAnyway, waitDurable } from '../ring/wake-up'
import { CallerDrainer, type CallerDrainerEvents } from './caller-drainer'
import { RestartBackoff } from './restart-backoff'
import { isThreadGone } from './thread-liveness'
import { openWorkerPool, READY_TASK, type WorkerPool, within } from './worker-pool'
import { type SessionEnd, WorkerSession } from './worker-session'

/*
 * Who drains. DRAINER, in the shared memory, names the thread that drains now; `#session` is the worker's
 * session; `#drainer` is the thread that is meant to drain.
 *
 *   state        | DRAINER        | #session | #drainer | who drains
 *   -------------+----------------+----------+----------+--------------------------------------------
 *   UNUSED       | NONE           | none     | worker   | nobody: nothing was ever pending
 *   STARTING     | NONE           | one      | worker   | nobody: the worker has yet to take it up, or has died
 *   PARKED       | NONE           | one      | worker   | nobody: nothing is pending, or the worker is being woken
 *   DRAINING     | a thread's id  | one      | worker   | the worker
 *   DRAINED HERE | CALLER         | any      | worker   | this thread, to the end of its group
 *   FALLEN BACK  | NONE or CALLER | any      | caller   | this thread, until an attempt to restart succeeds
 *
 *   state        | event                                                 | next state
 *   -------------+-------------------------------------------------------+----------------------------
 *   UNUSED       | an event is published                                 | STARTING
 *   UNUSED       | the same, but no thread may be started                | FALLEN BACK
 *   STARTING     | the worker takes the session up, and then DRAINER     | DRAINING
 *   STARTING     | it has not taken it up in time                        | FALLEN BACK
 *   STARTING     | the worker is of another version, or not ours         | FALLEN BACK
 *   STARTING or  | this thread blocks, and its patience runs out         | DRAINED HERE
 *   PARKED       |                                                       |
 *   PARKED       | an event is published                                 | DRAINING
 *   DRAINING     | nothing has come for a while                          | PARKED
 *   DRAINING     | this thread blocks, and the kernel knows of no such   | STARTING: we learn of the session's
 *                | thread any more                                       | end when we do not block
 *   any of these | piscina reports that the worker has died or cannot    | UNUSED; FALLEN BACK after the
 *                | load                                                  | third in a row with no outcome
 *   DRAINED HERE | the group has its outcome                             | PARKED; UNUSED with no session
 *   FALLEN BACK  | an event is published, an attempt is due, and a new   | UNUSED; DRAINED HERE if this thread
 *                | worker answers it                                     | is in the middle of a group
 *
 * From UNUSED with something pending it goes on at once. After FALLEN BACK a worker that was only slow may
 * hold DRAINER until its pool has ended. Patience (`#patienceLeftMs`) is how long blocking waits, taken
 * together, leave the ring to nobody; it starts anew when a worker is seen to hold the ring.
 *
 * What keeps the process alive: while something is pending, a timer of this thread's own. It also looks, in
 * turns of the event loop and not by the clock, whether the worker gets on: a process that was stopped must not
 * find its worker late. While nothing is pending nothing does, but for an attempt to restart that is unanswered
 * and the worker's end in close().
 */

/** How often the worker is looked after while something is pending, in milliseconds. */
const LOOK_MS = 500
/** Looks in a row, 10 s, after which a thread that has not loaded its file counts as never to. */
const START_LOOKS_MAX = 20
/** Looks in a row, 2 s, after which a thread that has loaded it counts as unable to drain. */
const STALL_LOOKS_MAX = 4
/** How long an attempt to restart may take, in milliseconds. */
const RESTART_MS_MAX = 10_000
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
/** The same for a worker that only has to be woken. */
const WAKE_PATIENCE_MS = 20

/** A wait that lasts longer than it was to by this much: not the worker is late, the process stood still. */
const STANDSTILL_MS_MIN = 250

/** How the host calls its owner. */
export interface HostEvents extends CallerDrainerEvents {
  /** Outcomes may have been published. */
  onProgress(): void
  /** The worker cannot be used; from now on the calling thread drains the ring. */
  onFallback(cause: unknown): void
  /** A worker can be used again, and drains the ring from now on. */
  onReturn(): void
  /**
   * Runs it in the audit's own async context: what it makes lasts longer than the call, whose context would be
   * kept alive by it. Async hooks run before it, and may record events.
   */
  runApart(action: () => void): void
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
  /** The timer; there is none while nothing has been pending for a while. */
  #look: NodeJS.Timeout | undefined
  #isKeptAlive = false
  /** Looks in a row at which the worker had not got on, and how far it was. */
  #stalledLooks = 0
  /** Whether the worker has loaded its file: piscina has it say so. On a busy machine that takes seconds. */
  #isWorkerLoaded = false
  #seenDurable = 0
  #pool: WorkerPool | undefined
  #drainer: Drainer = 'worker'
  #session: WorkerSession | undefined
  #isStepScheduled = false
  #stoodStillMs = 0
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

  /** Whether there is a worker to wake; otherwise one has to be started. */
  get hasSession(): boolean {
    return this.#session !== undefined
  }

  /**
   * A clock for limits on blocking waits, in milliseconds from any start. It leaves out what it can of the time
   * in which the process was stopped or the machine suspended: meanwhile the worker could do nothing, either.
   */
  get awakeMs(): number {
    return performance.now() - this.#stoodStillMs
  }

  /** Gives the worker an oversize record before the reference to it is published. */
  offer(record: OversizeRecord): void {
    this.#session?.offer(record)
  }

  /** Makes sure that somebody drains the published events. Costs a notify at most while there is a session. */
  wake(): void {
    if (!this.#isKeptAlive) this.#keepAlive(true)
    if (this.#isDrainedHere) {
      this.#scheduleStep(0)
      if (this.#session === undefined && this.#backoff.isDue) {
        this.#events.runApart(() => void this.#tryRestart())
      }
    } else if (this.#session === undefined) this.#events.runApart(() => this.#startSession())
    else unpark(this.#memory.ring)
  }

  /** Nothing is pending any more: the process may end. */
  rest(): void {
    if (this.#isKeptAlive) this.#keepAlive(false)
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
    const { session } = this.#memory.session
    const owner = Atomics.load(session, DRAINER)
    if (owner !== DRAINER_NONE) {
      this.#patienceLeftMs = patienceMs
      const sliceMs = Math.min(BLOCKING_SLICE_MS, timeoutMs)
      const isWoken = this.#waitDurable(seenDurable, sliceMs)
      if (!isWoken && owner > DRAINER_UNKNOWN && isThreadGone(owner)) this.#disown(owner)
      return true
    }
    // A worker that has taken its session up needs no time to start.
    const patience = this.#session?.isTakenUp ? WAKE_PATIENCE_MS : patienceMs
    this.#patienceLeftMs = Math.min(this.#patienceLeftMs, patience)
    const waitMs = Math.min(this.#patienceLeftMs, timeoutMs)
    if (this.#waitDurable(seenDurable, waitMs)) return true
    this.#patienceLeftMs -= waitMs
    return this.#patienceLeftMs > 0
  }

  #waitDurable(seenDurable: number, waitMs: number): boolean {
    const start = performance.now()
    const isWoken = waitDurable(this.#memory.ring, seenDurable, waitMs)
    const lateMs = performance.now() - start - waitMs
    if (lateMs >= STANDSTILL_MS_MIN) this.#stoodStillMs += lateMs
    return isWoken
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
    this.#isClosed = true
    clearInterval(this.#look)
    await this.#session?.end()
    this.#session = undefined
    this.#callerDrainer.close()
    await this.#destroyPool()
    this.#disownWorker()
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
    const pool: WorkerPool = openWorkerPool(this.#workerFile, (causeOf) => {
      if (this.#pool !== pool) return
      // At once: piscina would start another worker by itself.
      void this.#destroyPool()
      const session = this.#session
      // What it has thrown comes after this, as the rejection of its task or as an event of the pool.
      setImmediate(() => session?.died(causeOf()))
    })
    this.#isWorkerLoaded = false
    pool.threads[0]?.once('message', () => {
      this.#isWorkerLoaded = true
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
    if (this.#session !== undefined || this.#isClosed) return
    const session = new WorkerSession(this.#memory, {
      onNotice: (notice) => this.#events.onNotice(notice),
      onEnd: (end) => this.#onSessionEnd(end),
    })
    this.#session = session
    const pool = this.#ensurePool()
    if (pool === undefined) {
      this.#session = undefined
      return
    }
    this.#sessions++
    this.#stalledLooks = 0
    try {
      session.start(pool, this.#config, this.#oversize)
    } catch (thrown) {
      // The stack has ended: the next attempt comes from further up.
      this.#session = undefined
      throw thrown
    }
  }

  #onSessionEnd({ cause, isFruitless, isFinal }: SessionEnd): void {
    this.#session = undefined
    if (!isFruitless) this.#backoff.succeeded()
    if (this.#drainer === 'worker') {
      this.#deaths++
      this.#fruitlessDeaths = isFruitless ? this.#fruitlessDeaths + 1 : 0
      // After its return one such death is enough, until it has done something.
      if (isFinal || this.#fruitlessDeaths >= FRUITLESS_DEATHS_MAX) this.#fallBack(cause)
      else void this.#destroyPool().then(() => this.#goOn())
    }
    this.#events.onProgress()
  }

  /** After the end of a worker: the ring is nobody's, and what is pending goes to the next one. */
  #goOn(): void {
    this.#disownWorker()
    if (this.#isPending) this.wake()
  }

  /**
   * Looks whether the worker gets on, and gives it up if it does not. Counted in looks, each in a turn of its own:
   * after a process was stopped, a clock says that everything is late.
   */
  readonly #lookAfterWorker = (): void => {
    if (!this.#isKeptAlive) {
      clearInterval(this.#look)
      this.#look = undefined
      return
    }
    const durable = Atomics.load(this.#memory.ring.words, DURABLE)
    const owner = Atomics.load(this.#memory.session.session, DRAINER)
    const getsOn = durable !== this.#seenDurable || owner !== DRAINER_NONE || !this.#isPending
    this.#seenDurable = durable
    this.#stalledLooks = getsOn || this.#session === undefined ? 0 : this.#stalledLooks + 1
    if (this.#stalledLooks === 0 || this.#drainer === 'caller') return
    // Something may have written to the word that says whether it sleeps.
    unparkAnyway(this.#memory.ring)
    if (this.#stalledLooks < (this.#isWorkerLoaded ? STALL_LOOKS_MAX : START_LOOKS_MAX)) return
    const seconds = (this.#stalledLooks * LOOK_MS) / 1_000
    const cause = this.#session?.giveUp(seconds)
    this.#session = undefined
    this.#fallBack(cause)
  }

  #keepAlive(isKeptAlive: boolean): void {
    this.#isKeptAlive = isKeptAlive
    if (isKeptAlive && this.#look === undefined) this.#events.runApart(this.#startLooking)
    if (this.#isKeptAlive) this.#look?.ref()
    else this.#look?.unref()
  }

  readonly #startLooking = (): void => {
    const look = setInterval(this.#lookAfterWorker, LOOK_MS)
    // Async hooks run in there: an event that one of them records may have started another one.
    if (this.#look !== undefined || this.#isClosed) clearInterval(look)
    else this.#look = look
  }

  /** Takes the ring back from a worker that is known to be dead, whichever it was. */
  #disownWorker(): void {
    const owner = Atomics.load(this.#memory.session.session, DRAINER)
    if (owner !== DRAINER_CALLER) this.#disown(owner)
  }

  #disown(owner: number): void {
    Atomics.compareExchange(this.#memory.session.session, DRAINER, owner, DRAINER_NONE)
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
    if (!this.#backoff.isDue) return
    this.#backoff.begin()
    try {
      this.#pool = this.#newPool()
      await within(RESTART_MS_MAX, this.#pool.run(undefined, { name: READY_TASK }))
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
    this.#events.runApart(() => {
      if (waitMs > 0) setTimeout(run, Math.min(waitMs, BLOCKING_SLICE_MS))
      else setImmediate(run)
    })
  }
}
