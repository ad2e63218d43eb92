import { rmSync } from 'node:fs'
import { join } from 'node:path'
import workerThreads, { parentPort } from 'node:worker_threads'
import type { SharedMemory } from '../../../src/writer/ring/memory-map'
import { REQUEST_ID } from '../events'
import { CALLER, RUNNABLE, WORKER } from './control'
import type { Order, Tally } from './messages'
import { isToCaller, PlayedPools } from './played-pool'
import { RoleThread } from './role'

/* The calling thread of the runs: it runs the real ExecAudit, with a pool that starts the other thread. */

type Package = typeof import('../../../src')
type Audit = InstanceType<Package['ExecAudit']>

const RING_BYTES = 1024
const EVENTS_PER_RUN_MAX = 40
const MAX_DELAY_MS = 3
const STEPS_MAX = 8
/** One more and the calling thread may drain for good. */
const KILLS_MAX = 4
/** Around the worker's linger of 50 ms, and far from it. */
const PAUSES_MS = [0, 1, 49.9, 50, 50.1, 51, 120, 700]

const thread = new RoleThread(CALLER, (message) => {
  if (isToCaller(message)) pools.take(message)
})
const { control, turns, loop, atomics, files } = thread
const pools = new PlayedPools(thread)

Object.assign(thread.load('writer/worker/worker-pool'), {
  openWorkerPool: (_: string, onGone: (causeOf: () => unknown) => void) => pools.open(onGone),
})
const memoryMap: { allocateMemory?: (capacity: number, from?: number) => SharedMemory } =
  thread.load('writer/ring/memory-map')
const { allocateMemory } = memoryMap
memoryMap.allocateMemory = (capacity) => {
  if (allocateMemory === undefined) throw new Error('nothing allocates')
  // Positions wrap in the middle of a run.
  const memory = allocateMemory(capacity, 2 ** 32 - 480)
  atomics.memory = memory
  return memory
}
const { ExecAudit, ExecDiagnostics }: Package = require(`${thread.dist}/index.js`)
// The caller loads them late.
thread.load('writer/drain/drain-loop')
thread.load('writer/log/open-descriptors')
Object.assign(workerThreads, {
  MessageChannel: class {
    readonly port1 = { on() {}, unref() {}, close() {}, postMessage() {} }
    readonly port2 = {}
  },
  receiveMessageOnPort: () => undefined,
})
thread.begin()

const draw = (limit: number) => Math.floor(control.random() * limit)
const pick = <T>(values: readonly [T, ...T[]]): T => values[draw(values.length)] ?? values[0]
const pause = (ms: number) => new Promise<void>((resolve) => loop.after(ms, resolve))

/** One run's gateway: what it records, and how it waits. */
class Gateway {
  readonly #audit: Audit
  readonly #outcomes: Promise<string>[] = []

  constructor(audit: Audit) {
    this.#audit = audit
  }

  get events(): number {
    return this.#outcomes.length
  }

  async play(): Promise<void> {
    for (let steps = 1 + draw(STEPS_MAX); steps > 0; steps--) await this.#step()
  }

  record(count: number): void {
    for (let i = 0; i < count && this.events < EVENTS_PER_RUN_MAX; i++) {
      this.#outcomes.push(this.#audit.started({ requestId: REQUEST_ID, pid: this.events }))
    }
  }

  async outcomes(): Promise<readonly string[]> {
    return await Promise.all(this.#outcomes)
  }

  async #step(): Promise<void> {
    switch (draw(7)) {
      case 0:
      case 1:
        return this.record(1 + draw(6))
      case 2:
        this.record(1)
        await this.#outcomes.at(-1)
        return
      case 3:
        return await this.#audit.drain()
      case 4:
        this.record(1 + draw(3))
        this.#audit.drainSync(pick([1, 5_000]))
        return
      case 5:
        return turns.kill()
      default:
        return await pause(PAUSES_MS[draw(PAUSES_MS.length)] ?? 0)
    }
  }
}

/** Ends the process, as far as the audit learns of it. */
function exit(): void {
  for (const listener of process.listeners('exit')) {
    const state: unknown = Object.getOwnPropertySymbols(listener).map((name) =>
      Reflect.get(listener, name),
    )[0]
    if (typeof state !== 'object' || state === null) continue
    Reflect.apply(listener, process, [0])
    // For the next run it has not ended.
    if ('drained' in state && state.drained instanceof Set) state.drained.clear()
    Object.assign(state, { hasBegun: false })
  }
}

async function run(seed: number, folder: string): Promise<{ events: number; isExit: boolean }> {
  const draws = seed >>> 0
  const switches = [0.01, 0.1, 0.3, 0.5][draws % 4] ?? 0
  const kills = [0, 0.002, 0.01][(draws >> 2) % 3] ?? 0
  const timeouts = [0, 0.01, 0.1, 0.3][(draws >> 4) % 4] ?? 0
  control.begin(seed, { switches, kills, timeouts }, KILLS_MAX)
  files.path = join(folder, `${seed}.log`)
  const audit = new ExecAudit({ enabled: true, auditLogPath: files.path }, new ExecDiagnostics(), {
    ringBytes: RING_BYTES,
    onFull: pick(['wait', 'block']),
    fsync: { maxDelayMs: pick([0, 0, MAX_DELAY_MS]), maxEvents: pick([1, 3, 1_000]) },
    maxBlockMs: 600_000,
    exitDrainMs: 600_000,
    clock: () => 0,
    logger: { warn() {} },
  })
  const gateway = new Gateway(audit)
  const isExit = control.random() < 0.5
  let isDone = false
  const play = async () => {
    await gateway.play()
    if (!isExit) await audit.close()
  }
  void play().then(
    () => {
      isDone = true
    },
    (thrown) => thread.report(`the gateway throws ${String(thrown)}`),
  )
  await loop.run(() => isDone)
  if (isExit) exit()
  check(gateway.events, audit.stats().events.pending)
  if (!isExit) await checkOutcomes(gateway)
  endRun()
  return { events: gateway.events, isExit }
}

function check(events: number, pending: number): void {
  if (pending !== 0) thread.report(`${pending} events are pending at the end`)
  if (events === 0) return
  if (!files.hasSynced(events)) thread.report('the log is not synced at the end')
  const pids = files.readPids()
  const found = control.get('excuses') > 0 ? [...new Set(pids)] : pids
  const isRight = found.length === events && found.every((pid, i) => pid === i)
  if (!isRight) thread.report(`the log has the events ${pids.join()} of ${events}`)
}

async function checkOutcomes(gateway: Gateway): Promise<void> {
  const outcomes = new Set(await gateway.outcomes())
  outcomes.delete('durable')
  if (outcomes.size > 0) thread.report(`outcomes are ${[...outcomes].join()}`)
}

/** Has the worker's thread come to its end, and cleans up. */
function endRun(): void {
  control.set('isOver', 1)
  control.set('state', RUNNABLE, WORKER)
  control.handOver(CALLER)
  thread.dropMessages()
  loop.reset()
  atomics.reset()
  pools.reset()
  atomics.memory = undefined
  files.closeAll()
  rmSync(files.path, { force: true })
}

async function explore({ first, count, folder }: Order): Promise<Tally> {
  const tally = { runs: 0, events: 0, points: 0, switches: 0, kills: 0, exits: 0 }
  for (let seed = first; seed < first + count; seed++) {
    const { events, isExit } = await run(seed, folder)
    tally.runs++
    tally.events += events
    tally.points += control.get('points')
    tally.switches += control.get('switches')
    tally.kills += KILLS_MAX - control.get('killsLeft')
    if (isExit) tally.exits++
  }
  return tally
}

parentPort?.on('message', (order: Order) => {
  void explore(order).then(
    (tally) => parentPort?.postMessage({ problem: undefined, tally }),
    (thrown) => thread.report(`the run throws ${thrown?.stack}`),
  )
})
