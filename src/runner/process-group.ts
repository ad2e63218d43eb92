import { codeOf } from '../base/describe'

const alive = new Set<ProcessGroup>()

/**
 * The processes of one command: the command, which leads the group, and what it has started that did
 * not leave the group.
 */
export class ProcessGroup {
  readonly #leader: number
  /** From then on its number may be given to processes that are not ours. */
  #isGone = false

  constructor(leader: number) {
    this.#leader = leader
    if (alive.size === 0) process.on('exit', killAll)
    alive.add(this)
  }

  /** Sends a signal to each of them, if any are left. */
  kill(signal: NodeJS.Signals): void {
    this.#send(signal)
  }

  /** Whether any of them is left, even as a zombie. */
  probe(): boolean {
    this.#send(0)
    return !this.#isGone
  }

  /** Ends the sending of signals. */
  forget(): void {
    this.#isGone = true
    alive.delete(this)
    if (alive.size === 0) process.off('exit', killAll)
  }

  #send(signal: NodeJS.Signals | 0): void {
    if (this.#isGone) return
    try {
      process.kill(-this.#leader, signal)
    } catch (thrown) {
      // EPERM: they have become another user's, who may not be signalled.
      this.#isGone = codeOf(thrown) === 'ESRCH'
    }
  }
}

/** A process that exits leaves no command running that nobody supervises. */
function killAll(): void {
  for (const group of alive) group.kill('SIGKILL')
}
