/** The real functions: both threads of an explored run have others in their place, see played-atomics.ts. */
const { add, load, notify, store, wait } = Atomics

/** The two threads of a run. Only the one that holds the token runs. */
export const CALLER = 0
export const WORKER = 1
export type Role = typeof CALLER | typeof WORKER

/** What a thread does: it could go on, it sleeps in a blocking wait, or its event loop has nothing to do. */
export const RUNNABLE = 0
export const BLOCKED = 1
export const IDLE = 2

/** No word that a thread could wait for. */
export const NO_WORD = -1

const ROLES = 2
/** The words that both threads share, beside the ring: some have one entry per role. */
const LAYOUT = {
  token: 1,
  state: ROLES,
  /** The ring's word that a blocking wait, or one in the event loop, is for. */
  blockedOn: ROLES,
  asyncOn: ROLES,
  /** Whether a notify has ended that wait. */
  isNotified: ROLES,
  isFired: ROLES,
  /** Messages that have come and were not taken. */
  inbox: ROLES,
  seed: 1,
  random: 1,
  /** Workers started, ended from outside, and dead; each worker is a life, counted from 1. */
  life: 1,
  killed: 1,
  gone: 1,
  killsLeft: 1,
  isOver: 1,
  points: 1,
  switches: 1,
  /** Events published, and the bytes of the log that syncs have covered. */
  events: 1,
  syncedBytes: 1,
  /** Where the group began in which a worker died last, and deaths that may double a group. */
  deathStart: 1,
  excuses: 1,
} as const
export type Word = keyof typeof LAYOUT

/** The most events of one run. */
export const EVENTS_MAX = 256
/** Descriptors have lower numbers. */
const DESCRIPTORS_MAX = 65_536
const WORDS = Object.values(LAYOUT).reduce((sum, size) => sum + size, 0)
const WORD_BYTES = Int32Array.BYTES_PER_ELEMENT
const TIMES_AT = Math.ceil((WORDS + EVENTS_MAX) / 2) * 2 * WORD_BYTES
const TIMES = 1 + ROLES + 3
const DESCRIPTORS_AT = TIMES_AT + TIMES * Float64Array.BYTES_PER_ELEMENT

function offsetsOf(): Readonly<Record<string, number>> {
  let at = 0
  return Object.fromEntries(
    Object.entries(LAYOUT).map(([name, size]) => {
      at += size
      return [name, at - size]
    }),
  )
}
const OFFSETS = offsetsOf()

/** How a run is disturbed: probabilities per point. */
export interface Odds {
  readonly switches: number
  readonly kills: number
  /** That the other thread's sleep comes to its timeout: this one may be slow. */
  readonly timeouts: number
}

/** What the threads of a run share beside the ring: who runs, what each waits for, the time, the random numbers. */
export class Control {
  readonly #words: Int32Array
  /** Where each published record ends. */
  readonly ends: Int32Array
  /** [now, when each role is to go on at the latest, the odds]. Milliseconds. */
  readonly #times: Float64Array

  /** 1 for each descriptor that either thread has open. */
  readonly descriptors: Uint8Array
  readonly buffer: SharedArrayBuffer

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.#words = new Int32Array(buffer, 0, WORDS)
    this.ends = new Int32Array(buffer, WORDS * WORD_BYTES, EVENTS_MAX)
    this.descriptors = new Uint8Array(buffer, DESCRIPTORS_AT, DESCRIPTORS_MAX)
    this.#times = new Float64Array(buffer, TIMES_AT, TIMES)
  }

  static allocate(): Control {
    return new Control(new SharedArrayBuffer(DESCRIPTORS_AT + DESCRIPTORS_MAX))
  }

  /** Begins a run. The calling thread holds the token. */
  begin(seed: number, odds: Odds, kills: number): void {
    this.#words.fill(0)
    this.#times.fill(0)
    for (const role of [CALLER, WORKER] as const) {
      this.set('blockedOn', NO_WORD, role)
      this.set('asyncOn', NO_WORD, role)
      this.setDue(role, Number.POSITIVE_INFINITY)
    }
    this.set('state', IDLE, WORKER)
    this.set('deathStart', NO_WORD)
    this.set('seed', seed)
    this.set('random', seed | 0)
    this.set('killsLeft', kills)
    this.#times[1 + ROLES] = odds.switches
    this.#times[2 + ROLES] = odds.kills
    this.#times[3 + ROLES] = odds.timeouts
  }

  get(word: Word, role: number = 0): number {
    return load(this.#words, (OFFSETS[word] ?? 0) + role)
  }

  set(word: Word, value: number, role: number = 0): void {
    store(this.#words, (OFFSETS[word] ?? 0) + role, value)
  }

  /** Adds to a word, and returns its value before. */
  add(word: Word, value: number, role: number = 0): number {
    return add(this.#words, (OFFSETS[word] ?? 0) + role, value)
  }

  get now(): number {
    return this.#times[0] ?? 0
  }

  set now(ms: number) {
    this.#times[0] = ms
  }

  due(role: Role): number {
    return this.#times[1 + role] ?? 0
  }

  setDue(role: Role, ms: number): void {
    this.#times[1 + role] = ms
  }

  get odds(): Odds {
    const [switches = 0, kills = 0, timeouts = 0] = this.#times.subarray(1 + ROLES)
    return { switches, kills, timeouts }
  }

  /** The next random number of the run, from 0 up to 1 (mulberry32). */
  random(): number {
    const state = (this.get('random') + 0x6d2b79f5) | 0
    this.set('random', state)
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** Hands the token over, and waits until it comes back. */
  handOver(from: Role): void {
    this.passTo(from === CALLER ? WORKER : CALLER)
    this.awaitToken(from)
  }

  passTo(role: Role): void {
    const at = OFFSETS.token ?? 0
    this.add('switches', 1)
    store(this.#words, at, role)
    notify(this.#words, at)
  }

  /** Blocks this thread, in earnest, until it holds the token. */
  awaitToken(role: Role): void {
    const at = OFFSETS.token ?? 0
    for (;;) {
      const holder = load(this.#words, at)
      if (holder === role) return
      wait(this.#words, at, holder)
    }
  }
}
