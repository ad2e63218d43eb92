import {
  type BLOCKED,
  CALLER,
  type Control,
  IDLE,
  NO_WORD,
  type Role,
  RUNNABLE,
  WORKER,
} from './control'

/** A worker's thread is ended: thrown at each of its points from then on. */
export class Death extends Error {}

/** Reports that the run has shown a promise to be broken. Does not return: nothing of the run goes on. */
export type Report = (problem: string) => never

/** The loads of one word with one answer after which a thread counts as spinning. */
const SPIN_LOADS = 3

/** A run has some hundred points, or some thousand if a thread spins. */
const POINTS_MAX = 1_000_000
/** How often both threads are due at the same time. */
const BOTH_LATE = 0.5

/** Decides who runs. Each thread of a run has one. */
export class Turns {
  readonly control: Control
  readonly role: Role
  readonly #other: Role
  readonly #report: Report
  /** Called when both threads sleep, before time passes. */
  onBothAsleep: () => void = () => undefined
  /** Called at the moment of this worker's death. What of its work still runs then must have no effect. */
  onDeath: () => void = () => undefined
  /** Notes an access, for a run that is replayed. */
  trace: ((access: string) => void) | undefined
  /** Whether this thread, a worker, was ended. */
  isDead = false
  #spun = { word: NO_WORD, value: 0, times: 0 }

  constructor(control: Control, role: Role, report: Report) {
    this.control = control
    this.role = role
    this.#report = report
    this.#other = role === CALLER ? WORKER : CALLER
  }

  /** A point at which this thread may be delayed, or a worker ended. */
  point(): void {
    this.#spun.times = 0
    this.#countPoint()
    this.#point()
  }

  /** The same before a load; one that is repeated in a spin counts as no point. */
  pointOfLoad(word: number, value: number): void {
    const isSame = this.#spun.word === word && this.#spun.value === value
    this.#spun = { word, value, times: isSame ? this.#spun.times + 1 : 0 }
    this.#countPoint()
    if (this.#spun.times < SPIN_LOADS) this.#point()
    else if (this.#spun.times === SPIN_LOADS && this.#canOtherRun) this.control.handOver(this.role)
    this.#dieIfKilled()
  }

  #countPoint(): void {
    if (this.control.add('points', 1) > POINTS_MAX) this.#report('no end is in sight')
  }

  #point(): void {
    this.#dieIfKilled()
    const { control } = this
    const { switches, kills, timeouts } = control.odds
    if (timeouts > 0 && control.random() < timeouts) this.#expire(this.#other)
    if (kills > 0 && control.random() < kills) this.kill()
    if (control.random() < switches && this.#canOtherRun) control.handOver(this.role)
    this.#dieIfKilled()
  }

  /** Ends the worker from outside, wherever it is, unless that was done often enough. */
  kill(): void {
    const { control } = this
    const life = control.get('life')
    if (control.get('gone') >= life || control.get('killed') >= life) return
    if (control.get('killsLeft') === 0) return
    control.add('killsLeft', -1)
    this.end(life)
  }

  /** Ends that worker. */
  end(life: number): void {
    const { control } = this
    if (control.get('killed') < life) control.set('killed', life)
    control.set('state', RUNNABLE, WORKER)
  }

  /**
   * This thread sleeps, or has nothing to do, until it is made runnable or `due` has come. Returns false for
   * the latter.
   */
  rest(state: typeof BLOCKED | typeof IDLE, due: number): boolean {
    const { control, role } = this
    this.#spun.times = 0
    control.set('isNotified', 0, role)
    control.setDue(role, due)
    control.set('state', state, role)
    while (control.get('state', role) !== RUNNABLE) {
      if (this.#canOtherRun) control.handOver(role)
      else this.#letTimePass()
      if (control.get('isOver') !== 0) break
    }
    control.set('state', RUNNABLE, role)
    control.set('blockedOn', NO_WORD, role)
    control.setDue(role, Number.POSITIVE_INFINITY)
    this.#dieIfKilled()
    return control.get('isNotified', role) !== 0
  }

  /** Ends the sleep of threads that wait for the word. */
  notify(word: number): void {
    const { control } = this
    for (const role of [CALLER, WORKER] as const) {
      if (control.get('blockedOn', role) === word) {
        control.set('blockedOn', NO_WORD, role)
        control.set('isNotified', 1, role)
        control.set('state', RUNNABLE, role)
      }
      if (control.get('asyncOn', role) === word) {
        control.set('asyncOn', NO_WORD, role)
        control.set('isFired', 1, role)
        this.wakeLoop(role)
      }
    }
  }

  /** Something has come for the event loop of that thread. */
  wakeLoop(role: Role): void {
    if (this.control.get('state', role) === IDLE) this.control.set('state', RUNNABLE, role)
  }

  get #canOtherRun(): boolean {
    return this.control.get('state', this.#other) === RUNNABLE
  }

  /** Both rest: the one that is due first goes on, or both at once, since a busy machine may wake one late. */
  #letTimePass(): void {
    const { control } = this
    this.onBothAsleep()
    const dues = [control.due(CALLER), control.due(WORKER)]
    const next = Math.min(...dues)
    if (next === Number.POSITIVE_INFINITY) this.#report('both threads sleep for ever')
    const last = Math.max(...dues.filter(Number.isFinite))
    control.now = Math.max(control.now, control.random() < BOTH_LATE ? last : next)
    for (const role of [CALLER, WORKER] as const) {
      if (control.due(role) <= control.now) control.set('state', RUNNABLE, role)
    }
  }

  /** The sleep of that thread, if it is in one, comes to its timeout. */
  #expire(role: Role): void {
    const { control } = this
    const due = control.due(role)
    if (control.get('state', role) === RUNNABLE || !Number.isFinite(due)) return
    control.now = Math.max(control.now, due)
    control.set('state', RUNNABLE, role)
  }

  #dieIfKilled(): void {
    if (this.role !== WORKER) return
    const { control } = this
    const isKilled = control.get('killed') >= control.get('life') || control.get('isOver') !== 0
    if (!(this.isDead || isKilled)) return
    if (!this.isDead && control.get('gone') < control.get('life')) {
      this.isDead = true
      this.onDeath()
    }
    if (this.isDead) throw new Death('ended from outside')
  }
}
