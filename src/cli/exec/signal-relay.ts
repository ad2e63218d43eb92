import { constants } from 'node:os'
import type { CommandGroup } from '../../runner/spawner'
import { handlesSignal, isGroupOrphaned } from './processes'

/** SIGKILL and SIGSTOP cannot be caught. The others report what this process itself has done. */
const NOT_RELAYED: ReadonlySet<string> = new Set([
  ...['SIGKILL', 'SIGSTOP'],
  ...['SIGCHLD', 'SIGXFSZ'],
  ...['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL'],
])
/** These ask a command to end: the run is cancelled, with SIGKILL after the grace. */
const CANCELLING: ReadonlySet<string> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP'])
/** A terminal or a shell sends these to all processes of a job; others go to one. */
const OF_GROUPS: ReadonlySet<string> = new Set([
  ...CANCELLING,
  ...['SIGQUIT', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGCONT', 'SIGWINCH'],
])
/** A process that does not handle them is stopped. */
const STOPPING: ReadonlySet<string> = new Set(['SIGTSTP', 'SIGTTIN', 'SIGTTOU'])
/** A process that does not handle them does not mind; SIGPIPE is about a pipe that does not exist yet. */
const HARMLESS: ReadonlySet<string> = new Set(['SIGCONT', 'SIGURG', 'SIGWINCH', 'SIGPIPE'])
/** By then it is known whether a SIGPIPE came from a pipe of this process. */
const PIPE_MS = 100

/** Hands the signals that this process gets on to the command. */
export class SignalRelay {
  readonly #cancel = new AbortController()
  readonly #onRefused: (signal: NodeJS.Signals) => void
  readonly #listeners = new Map<NodeJS.Signals, () => void>()
  #isRunBegun = false
  #group: CommandGroup | undefined
  #last: NodeJS.Signals | undefined
  #isPipeBroken = false

  /** @param onRefused called with a signal that the command may not be sent */
  constructor(onRefused: (signal: NodeJS.Signals) => void) {
    this.#onRefused = onRefused
    for (const signal of relayedSignals()) {
      const listener = () => this.#take(signal)
      this.#listeners.set(signal, listener)
      process.on(signal, listener)
    }
  }

  /** Aborts with the name of the signal that cancels the run. */
  get cancel(): AbortSignal {
    return this.#cancel.signal
  }

  /** The last signal that has cancelled the run, or would have. */
  get last(): NodeJS.Signals | undefined {
    return this.#last
  }

  /** From now on a signal cancels the run; before, it ends this process, as if it were the command. */
  runBegins(): void {
    this.#isRunBegun = true
  }

  /** From now on signals go to the command. */
  spawned(group: CommandGroup): void {
    this.#group = group
  }

  /** This process has written to a pipe that nobody reads: a SIGPIPE about it is not the command's. */
  pipeBroke(): void {
    this.#isPipeBroken = true
  }

  /** Gives each signal its default action back. */
  end(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener)
    this.#listeners.clear()
  }

  /** Ends this process by the signal, at once: its exit handlers do not run. */
  dieBy(signal: NodeJS.Signals): void {
    this.end()
    process.kill(process.pid, signal)
  }

  #take(signal: NodeJS.Signals): void {
    const group = this.#group
    if (group !== undefined && signal === 'SIGPIPE')
      setTimeout(() => this.#relayPipe(group), PIPE_MS)
    else if (group !== undefined) this.#relay(signal, group)
    else if (HARMLESS.has(signal)) return
    else if (STOPPING.has(signal)) this.#stop(undefined)
    else if (!this.#isRunBegun) this.dieBy(signal)
    else this.#cancelBy(signal)
  }

  #relayPipe(group: CommandGroup): void {
    if (!this.#isPipeBroken) this.#relay('SIGPIPE', group)
  }

  #relay(signal: NodeJS.Signals, group: CommandGroup): void {
    if (CANCELLING.has(signal)) {
      const isFirst = !this.#cancel.signal.aborted
      this.#cancelBy(signal)
      if (isFirst) return
    }
    const isSent = OF_GROUPS.has(signal) ? group.kill(signal) : group.killLeader(signal)
    if (!isSent) this.#onRefused(signal)
    // The kernel stops no session that has no shell above it, such as the command's.
    if (STOPPING.has(signal) && !handlesSignal(group.leader, signal)) this.#stop(group)
  }

  #cancelBy(signal: NodeJS.Signals): void {
    this.#last = signal
    this.#cancel.abort(signal)
  }

  /** Stops the command and this process, until SIGCONT; not if no shell could have it go on. */
  #stop(group: CommandGroup | undefined): void {
    if (isGroupOrphaned()) return
    group?.kill('SIGSTOP')
    process.kill(process.pid, 'SIGSTOP')
  }
}

/** Each once: some have two names. */
function relayedSignals(): readonly NodeJS.Signals[] {
  const byNumber = new Map<number, NodeJS.Signals>()
  for (const name of signalNames()) {
    const number = constants.signals[name]
    if (!NOT_RELAYED.has(name) && !byNumber.has(number)) byNumber.set(number, name)
  }
  return [...byNumber.values()]
}

function signalNames(): readonly NodeJS.Signals[] {
  const isName = (name: string): name is NodeJS.Signals => Object.hasOwn(constants.signals, name)
  return Object.keys(constants.signals).filter(isName)
}
