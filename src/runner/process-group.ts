import { readdirSync, readFileSync } from 'node:fs'
import { codeOf } from '../base/describe'

const alive = new Set<ProcessGroup>()

/**
 * The processes of one command: the command, which leads the group, and what it has started that did
 * not leave the group.
 */
export class ProcessGroup {
  readonly leader: number
  /** From then on its number may be given to processes that are not ours. */
  #isGone = false
  #isRefused = false
  readonly #onKilled: () => void

  /** @param onKilled called when the process exits, once all groups are killed; must not throw */
  constructor(leader: number, onKilled: () => void = () => undefined) {
    this.leader = leader
    this.#onKilled = onKilled
    if (alive.size === 0) process.on('exit', killAll)
    alive.add(this)
  }

  /** Sends a signal to each of them, if any are left. False if the kernel does not allow it. */
  kill(signal: NodeJS.Signals): boolean {
    this.#send(signal)
    return !this.#isRefused
  }

  /** Sends a signal to the command alone, if it runs. False if the kernel does not allow it. */
  killLeader(signal: NodeJS.Signals): boolean {
    // While one of them is left, the number is not given to another process.
    if (!this.probe()) return true
    try {
      process.kill(this.leader, signal)
    } catch (thrown) {
      return codeOf(thrown) === 'ESRCH'
    }
    return true
  }

  /** Whether any of them is left, even as a zombie. */
  probe(): boolean {
    this.#send(0)
    return !this.#isGone
  }

  /** Whether one of them runs. Reads all of /proc; without it a zombie counts. */
  hasRunning(): boolean {
    if (!this.probe()) return false
    try {
      return readdirSync('/proc').some((name) => /^\d+$/.test(name) && this.#isRunning(name))
    } catch {
      return true
    }
  }

  /** Ends the sending of signals. */
  forget(): void {
    this.#isGone = true
    alive.delete(this)
    if (alive.size === 0) process.off('exit', killAll)
  }

  /** Reports that the exit has killed it. */
  reportKilled(): void {
    this.#onKilled()
  }

  #isRunning(pid: string): boolean {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // Behind the name, which may hold anything: state, parent, group.
      const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(group) === this.leader && !'ZX'.includes(state)
    } catch {
      // It has ended meanwhile.
      return false
    }
  }

  #send(signal: NodeJS.Signals | 0): void {
    if (this.#isGone) return
    this.#isRefused = false
    try {
      process.kill(-this.leader, signal)
    } catch (thrown) {
      // EPERM: they have become another user's, who may not be signalled.
      this.#isGone = codeOf(thrown) === 'ESRCH'
      this.#isRefused = !this.#isGone
    }
  }
}

/** A process that exits leaves no command running that nobody supervises, and none without its end in the log. */
function killAll(): void {
  for (const group of alive) group.kill('SIGKILL')
  for (const group of alive) group.reportKilled()
}
