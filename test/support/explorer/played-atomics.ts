import {
  DRAINER,
  DURABLE,
  SESSION_VERSION,
  type SharedMemory,
  TAIL,
} from '../../../src/writer/ring/memory-map'
import { BLOCKED, EVENTS_MAX } from './control'
import type { Turns } from './turns'

const REAL = {
  add: Atomics.add,
  compareExchange: Atomics.compareExchange,
  exchange: Atomics.exchange,
  load: Atomics.load,
  store: Atomics.store,
}
type Name = keyof typeof REAL

/** A word of no ring: only time ends a wait for it. */
export const ELSEWHERE = -2

/** What watches the accesses of one thread. */
export interface AccessWatch {
  /** Before DURABLE moves to `position`. */
  onDurable(position: number): void
}

/** One thread's view of a run's ring, known once it is allocated. */
export class PlayedAtomics {
  memory: SharedMemory | undefined
  readonly #turns: Turns
  readonly #watch: AccessWatch
  /** Resolves the wait in the event loop. */
  #onFired: ((outcome: 'ok') => void) | undefined

  constructor(turns: Turns, watch: AccessWatch) {
    this.#turns = turns
    this.#watch = watch
  }

  /** Puts this in the place of the real functions, for the code that is loaded from now on. */
  install(): void {
    const names: readonly Name[] = ['add', 'compareExchange', 'exchange', 'load', 'store']
    const played = names.map((name) => {
      const access = (array: object, index: number, ...rest: unknown[]): unknown =>
        this.#access(name, array, index, rest)
      return [name, access]
    })
    Object.assign(Atomics, Object.fromEntries(played), {
      notify: (array: object, index: number) => this.#notify(array, index),
      wait: (array: Int32Array, index: number, value: number, ms = Number.POSITIVE_INFINITY) =>
        this.#wait(array, index, value, ms),
      waitAsync: (array: Int32Array, index: number, value: number) =>
        this.#waitAsync(array, index, value),
    })
  }

  /** A new worker, or a new run: nothing is awaited. */
  reset(): void {
    this.#onFired = undefined
  }

  /** Goes on after the wait in the event loop, if that has ended; as a task of the loop. */
  takeFired(): (() => void) | undefined {
    const { control, role } = this.#turns
    const onFired = this.#onFired
    if (control.get('isFired', role) === 0 || onFired === undefined) return undefined
    control.set('isFired', 0, role)
    this.#onFired = undefined
    return () => onFired('ok')
  }

  #access(name: Name, array: object, index: number, rest: readonly unknown[]): unknown {
    const word = this.#wordOf(array, index)
    const perform = (): unknown => Reflect.apply(REAL[name], Atomics, [array, index, ...rest])
    if (name === 'load') this.#turns.pointOfLoad(word, Number(perform()))
    else this.#turns.point()
    if (name === 'store') this.#beforeStore(word, Number(rest[0]))
    const result = perform()
    this.#turns.trace?.(`${name} ${word} ${rest.join()} = ${String(result)}`)
    return result
  }

  #beforeStore(word: number, value: number): void {
    if (word === DURABLE) this.#watch.onDurable(value)
    if (word !== TAIL) return
    const { control } = this.#turns
    const event = control.add('events', 1)
    if (event >= EVENTS_MAX) throw new RangeError('too many events')
    control.ends[event] = value
  }

  #notify(array: object, index: number): number {
    const word = this.#wordOf(array, index)
    this.#turns.point()
    this.#turns.trace?.(`notify ${word}`)
    this.#turns.notify(word)
    return 0
  }

  #wait(array: Int32Array, index: number, value: number, ms: number): string {
    const word = this.#wordOf(array, index)
    const { control, role } = this.#turns
    this.#turns.point()
    if (REAL.load(array, index) !== value) return 'not-equal'
    control.set('blockedOn', word, role)
    const outcome = this.#turns.rest(BLOCKED, control.now + ms) ? 'ok' : 'timed-out'
    this.#turns.trace?.(`wait ${word} ${value} ${ms} = ${outcome}`)
    return outcome
  }

  #waitAsync(array: Int32Array, index: number, value: number): object {
    const word = this.#wordOf(array, index)
    const { control, role } = this.#turns
    this.#turns.point()
    if (REAL.load(array, index) !== value) return { async: false, value: 'not-equal' }
    if (this.#onFired !== undefined) throw new Error('a second wait in the event loop')
    control.set('asyncOn', word, role)
    control.set('isFired', 0, role)
    this.#turns.trace?.(`waitAsync ${word} ${value}`)
    const fired = new Promise<'ok'>((resolve) => {
      this.#onFired = resolve
    })
    return { async: true, value: fired }
  }

  /** Who holds the drainer's words now. */
  get drainer(): number {
    const { memory } = this
    return memory === undefined ? 0 : REAL.load(memory.session.session, DRAINER)
  }

  /** Whether a worker has taken the session up. */
  get isSessionTakenUp(): boolean {
    const { memory } = this
    return memory !== undefined && REAL.load(memory.session.session, SESSION_VERSION) !== 0
  }

  /** The ring's word, without a point. */
  peek(word: number): number {
    const { memory } = this
    return memory === undefined ? 0 : REAL.load(memory.ring.words, word)
  }

  /** A word's place in the shared memory, in words. */
  #wordOf(array: object, index: number): number {
    if (!(array instanceof Int32Array) || array.buffer !== this.memory?.buffer) return ELSEWHERE
    return array.byteOffset / Int32Array.BYTES_PER_ELEMENT + index
  }
}
