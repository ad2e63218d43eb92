import fs from 'node:fs'
import workerThreads, { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { DURABLE, HEAD, positionDelta, TAIL } from '../../../src/writer/ring/memory-map'
import { IDLE_LINGER_MS } from '../../../src/writer/ring/messages'
import { CALLER, Control, IDLE, type Role, WORKER } from './control'
import type { RoleData } from './messages'
import { ELSEWHERE, PlayedAtomics } from './played-atomics'
import { isThreadGone, PlayedFiles, threadIdOf } from './played-files'
import { type Report, Turns } from './turns'
import { type TaskSource, VirtualLoop } from './virtual-loop'

const { wait } = Atomics
const { receiveMessageOnPort } = workerThreads
const { writeSync } = fs

/** How far each look at the clock moves it, in milliseconds: no loop waits for it in vain. */
const LOOK_MS = 0.05

/** One thread of the runs, with all that is played in it; the package is loaded after this. */
export class RoleThread {
  readonly role: Role
  readonly control: Control
  readonly turns: Turns
  readonly atomics: PlayedAtomics
  readonly files: PlayedFiles
  readonly loop: VirtualLoop
  readonly dist: string
  readonly #port: MessagePort

  constructor(role: Role, onMessage: (message: unknown) => void) {
    const data: RoleData = workerData
    this.role = role
    this.dist = data.dist
    this.#port = data.port
    this.control = new Control(data.control)
    this.turns = new Turns(this.control, role, this.report)
    this.atomics = new PlayedAtomics(this.turns, { onDurable: (to) => this.#checkDurable(to) })
    this.files = new PlayedFiles(this.turns, this.atomics, this.report)
    const sources: readonly TaskSource[] = [
      () => this.atomics.takeFired(),
      () => this.#takeMessage(onMessage),
    ]
    this.loop = new VirtualLoop(this.turns, sources)
    this.turns.onBothAsleep = () => this.#checkSleep()
    if (data.isTraced) {
      this.turns.trace = (access) => {
        const { now } = this.control
        writeSync(1, `${now.toFixed(2)} ${role === CALLER ? 'caller' : '    worker'} ${access}\n`)
      }
    }
    // Before the package is loaded, since it takes them from Node then.
    this.loop.install()
    Object.assign(workerThreads, { isMainThread: role === CALLER })
  }

  /** Gives the other thread's event loop a message. */
  post(message: unknown): void {
    const other = this.role === CALLER ? WORKER : CALLER
    this.#port.postMessage(message)
    this.control.add('inbox', 1, other)
    this.turns.wakeLoop(other)
  }

  /** Takes all messages that have come, unhandled. */
  dropMessages(): void {
    for (let message = this.#receive(); message !== undefined; ) message = this.#receive()
  }

  #receive(): unknown {
    if (this.control.get('inbox', this.role) === 0) return undefined
    this.control.add('inbox', -1, this.role)
    const received: { message: unknown } | undefined = receiveMessageOnPort(this.#port)
    return received?.message
  }

  /** Ends all runs: nothing in either thread goes on. */
  readonly report: Report = (problem) => {
    parentPort?.postMessage({ problem, seed: this.control.get('seed') })
    for (;;) wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }

  /** Begins to play, once all that the package loads is loaded: loading waits for things of its own. */
  begin(): void {
    Object.assign(this.load('writer/worker/thread-liveness'), {
      currentThreadId: () => threadIdOf(this.control.get('life')),
      isThreadGone: (id: number) => isThreadGone(this.control, id),
    })
    this.atomics.install()
    this.files.install()
    Object.assign(performance, {
      now: () => {
        this.control.now += LOOK_MS
        return this.control.now
      },
    })
  }

  /** A compiled module of the package. */
  load(name: string): object {
    return require(`${this.dist}/${name}.js`)
  }

  #takeMessage(onMessage: (message: unknown) => void): (() => void) | undefined {
    const message = this.#receive()
    return message === undefined ? undefined : () => onMessage(message)
  }

  #checkDurable(position: number): void {
    const holder = this.atomics.drainer
    const self = this.role === CALLER ? -1 : this.files.threadId
    if (holder !== self) this.report(`thread ${self} moves DURABLE, but ${holder} is the drainer`)
    const events = this.#eventsBefore(position)
    if (events > 0 && !this.files.hasSynced(events)) {
      this.report(`DURABLE moves past ${events} events before their sync`)
    }
  }

  #eventsBefore(position: number): number {
    const count = this.control.get('events')
    let before = 0
    while (before < count && positionDelta(position, this.control.ends[before] ?? 0) >= 0) before++
    return before
  }

  /** Whether nobody sleeps who has something to do. */
  #checkSleep(): void {
    const { control, atomics } = this
    if (atomics.memory === undefined) return
    const [tail, durable, head] = [TAIL, DURABLE, HEAD].map((word) => atomics.peek(word))
    const isAlive = control.get('gone') < control.get('life')
    if (durable !== head && control.get('blockedOn', CALLER) !== ELSEWHERE) {
      this.report('the calling thread sleeps although outcomes are there')
    }
    // In the middle of a group it may wait for more: fsync.maxDelayMs, if that is set.
    const isWaiting = control.due(WORKER) - control.now < IDLE_LINGER_MS / 2
    const isWorkerAsleep = control.get('state', WORKER) === IDLE || !isWaiting
    if (tail !== durable && isAlive && isWorkerAsleep && atomics.isSessionTakenUp) {
      this.report('the worker sleeps although events are there')
    }
  }
}
