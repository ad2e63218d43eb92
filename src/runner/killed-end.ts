import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

/*
 * In the exit event of a process nothing is called back any more, so the end of a child is looked up in /proc.
 */

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: number | null
}

const UNKNOWN: ProcessEnd = { code: null, signal: null }
/** SIGKILL ends a process at once, unless it waits for a device. */
const PATIENCE_MS = 500
const POLL_MS = 2
const EXIT_CODE_INDEX = 49
const SIGNAL_MASK = 0x7f
const CODE_SHIFT = 8

/** Blocks until the child has ended, for 500 ms at most; code and signal are null if that was not seen. */
export function waitForEnd(pid: number): ProcessEnd {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  for (let leftMs = PATIENCE_MS; leftMs > 0; leftMs -= POLL_MS) {
    const end = endOf(pid)
    if (end !== undefined) return end
    Atomics.wait(sleeper, 0, 0, POLL_MS)
  }
  return UNKNOWN
}

/** Undefined while it runs. */
function endOf(pid: number): ProcessEnd | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Behind the name, which may hold anything: its state, and as the last field its status.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .trim()
      .split(' ')
    if (fields[0] !== 'Z') return undefined
    const status = Number(fields[EXIT_CODE_INDEX])
    const signal = status & SIGNAL_MASK
    return signal === 0 ? { code: status >> CODE_SHIFT, signal: null } : { code: null, signal }
  } catch {
    // There is no /proc, or somebody else has waited for it.
    return UNKNOWN
  }
}

/** The number of a signal that Node has named. */
export function signalNumber(name: NodeJS.Signals | null): number | null {
  return name === null ? null : constants.signals[name]
}
