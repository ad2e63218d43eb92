import timers from 'node:timers'
import { type Control, IDLE } from './control'
import type { Turns } from './turns'

const { setImmediate: realSetImmediate } = timers

type Task = () => void

/** A timer of the package, in a run's own time. */
class VirtualTimer {
  due: number
  constructor(
    readonly call: Task,
    readonly ms: number,
    readonly isRepeated: boolean,
    now: number,
  ) {
    this.due = now + ms
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
}

/** Whence else tasks come: messages of the other thread, ended waits. */
export type TaskSource = () => Task | undefined

/** The event loop of one thread of a run: which of its tasks comes next is drawn, and so is who runs then. */
export class VirtualLoop {
  readonly #turns: Turns
  readonly #control: Control
  readonly #sources: readonly TaskSource[]
  #immediates: VirtualTimer[] = []
  #timers: VirtualTimer[] = []

  constructor(turns: Turns, sources: readonly TaskSource[]) {
    this.#turns = turns
    this.#control = turns.control
    this.#sources = sources
  }

  /** Puts this loop's timers in the place of Node's, for the code that is loaded from now on. */
  install(): void {
    const clear = (timer: unknown) => {
      this.#timers = this.#timers.filter((each) => each !== timer)
      this.#immediates = this.#immediates.filter((each) => each !== timer)
    }
    const start = (isRepeated: boolean) => (call: Task, ms: number) => {
      const timer = new VirtualTimer(call, ms, isRepeated, this.#control.now)
      this.#timers.push(timer)
      return timer
    }
    Object.assign(timers, {
      clearTimeout: clear,
      clearInterval: clear,
      setTimeout: start(false),
      setInterval: start(true),
      setImmediate: (call: Task) => {
        const immediate = new VirtualTimer(call, 0, false, this.#control.now)
        this.#immediates.push(immediate)
        return immediate
      },
    })
  }

  /** A new worker, or a new run. */
  reset(): void {
    this.#immediates = []
    this.#timers = []
  }

  /** Runs `call` once that many milliseconds of the run's time are over. */
  after(ms: number, call: Task): void {
    this.#timers.push(new VirtualTimer(call, ms, false, this.#control.now))
  }

  /** Runs tasks until `isDone` after one of them. */
  async run(isDone: () => boolean): Promise<void> {
    for (;;) {
      await settleMicrotasks()
      if (isDone()) return
      this.#turns.point()
      const task = this.#next()
      if (task !== undefined) task()
      else this.#turns.rest(IDLE, this.#nextDue)
    }
  }

  get #nextDue(): number {
    return Math.min(...this.#timers.map(({ due }) => due))
  }

  /** One of the tasks that are ready, the oldest of its kind. */
  #next(): Task | undefined {
    const kinds = [...this.#sources, () => this.#takeImmediate(), () => this.#takeTimer()]
    const first = Math.floor(this.#control.random() * kinds.length)
    for (let i = 0; i < kinds.length; i++) {
      const task = kinds[(first + i) % kinds.length]?.()
      if (task !== undefined) return task
    }
    return undefined
  }

  #takeImmediate(): Task | undefined {
    return this.#immediates.shift()?.call
  }

  #takeTimer(): Task | undefined {
    const due = this.#timers.find((timer) => timer.due <= this.#control.now)
    if (due === undefined) return undefined
    if (due.isRepeated) due.due = this.#control.now + due.ms
    else this.#timers = this.#timers.filter((each) => each !== due)
    return due.call
  }
}

/** Lets all reactions to promises run; nothing else is left in Node's own event loop. */
function settleMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    realSetImmediate(resolve)
  })
}
