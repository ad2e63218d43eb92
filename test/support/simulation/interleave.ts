const { load, store, exchange, compareExchange, wait, waitAsync, notify } = Atomics
const REAL = { load, store, exchange, compareExchange, wait, waitAsync, notify }
type Name = keyof typeof REAL
const NAMES: readonly Name[] = [
  ...(['load', 'store', 'exchange', 'compareExchange', 'notify'] as const),
  ...(['wait', 'waitAsync'] as const),
]
/** A wait in the event loop is played as a blocking one: the thread has nothing else to do meanwhile. */
const WOKEN = { wait: 'ok', waitAsync: { async: false, value: 'not-equal' } } as const

/** The most turns that two threads of a few steps each ever take. */
const TURNS = 11

const PAUSE = Symbol('pause')

/**
 * Code that can be stopped at each of its accesses to shared words: it is run again from its beginning,
 * with the answers that it has had so far, and goes one access further. It may have no other effects.
 */
class StoppableThread {
  isDone = false
  isAsleep = false
  readonly #code: () => unknown
  readonly #answers: unknown[] = []
  #replayed = 0
  #hasStepped = false
  #wait: keyof typeof WOKEN = 'wait'

  constructor(code: () => unknown) {
    this.#code = code
  }

  get canRun(): boolean {
    return !this.isDone && !this.isAsleep
  }

  /** Runs on to the end of the next access. */
  step(): void {
    this.#replayed = 0
    this.#hasStepped = false
    try {
      this.#code()
      this.isDone = true
    } catch (thrown) {
      if (thrown !== PAUSE) throw thrown
    }
  }

  /** One access: it gets a known answer, a fresh one, or ends this step. */
  access(perform: () => unknown): unknown {
    if (this.#replayed < this.#answers.length) return this.#answers[this.#replayed++]
    if (this.#hasStepped) throw PAUSE
    this.#hasStepped = true
    const answer = perform()
    if (this.isAsleep) throw PAUSE
    this.#replayed = this.#answers.push(answer)
    return answer
  }

  /** Sleeps in a wait of that name until it is woken. */
  sleep(wait: keyof typeof WOKEN): void {
    this.isAsleep = true
    this.#wait = wait
  }

  wake(): void {
    if (!this.isAsleep) return
    this.isAsleep = false
    this.#answers.push(WOKEN[this.#wait])
  }
}

/** The threads of one order, and which of them runs now. */
let threads: readonly StoppableThread[] = []
let current: StoppableThread | undefined

/** Performs an access at the moment of its turn. */
function perform(name: Name, args: readonly unknown[]): unknown {
  if (current !== undefined && name === 'notify') {
    for (const thread of threads) thread.wake()
    return undefined
  }
  if (current === undefined || !(name === 'wait' || name === 'waitAsync')) {
    return Reflect.apply(REAL[name], Atomics, args)
  }
  const [words, word, value] = args
  if (words instanceof Int32Array && words[Number(word)] === value) current.sleep(name)
  return name === 'wait' ? 'not-equal' : WOKEN.waitAsync
}

/** Runs one order of the steps of two threads; returns false if one of them sleeps for ever. */
function run(codes: readonly (() => unknown)[], order: number): boolean {
  threads = codes.map((code) => new StoppableThread(code))
  for (let turn = 0; threads.some(({ canRun }) => canRun); turn++) {
    const favourite = threads[(order >> turn) & 1]
    current = favourite?.canRun ? favourite : threads.find(({ canRun }) => canRun)
    current?.step()
  }
  current = undefined
  return threads.every(({ isDone }) => isDone)
}

function replaceAtomics(replacement: (name: Name, args: readonly unknown[]) => unknown): void {
  const entries = NAMES.map((name) => [name, (...args: unknown[]) => replacement(name, args)])
  Object.assign(Atomics, Object.fromEntries(entries))
}

/**
 * Runs two threads in every order of their accesses to shared words by `Atomics`, which are sequentially
 * consistent, so that there are no others. `make` makes both anew for each order.
 * @returns in how many orders both came to their end, and in how many one slept for ever
 */
export function inEveryOrder(make: () => readonly [() => unknown, () => unknown]): {
  readonly ended: number
  readonly stuck: number
} {
  replaceAtomics((name, args) => {
    const once = () => perform(name, args)
    return current === undefined ? once() : current.access(once)
  })
  let ended = 0
  const orders = 2 ** TURNS
  try {
    for (let order = 0; order < orders; order++) if (run(make(), order)) ended++
  } finally {
    Object.assign(Atomics, REAL)
  }
  return { ended, stuck: orders - ended }
}
