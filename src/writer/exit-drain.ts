/** Something that must be drained before the process ends. */
export interface ExitDrained {
  /**
   * Called in the process's `exit` event: blocks until it is drained or its limit on waiting is reached, but
   * for at most `sliceMs`. Returns whether there is nothing left to wait for.
   */
  drainAtExit(sliceMs: number): boolean
}

/** How long all take together before the first one's next turn. */
const ROUND_MS = 50

const drained = new Set<ExitDrained>()
let isInstalled = false
let hasExitBegun = false

function onExit(): void {
  hasExitBegun = true
  // In turns: one whose disk hangs must not use up the time of the others, nor add its own to theirs.
  let left = [...drained]
  while (left.length > 0) {
    const sliceMs = ROUND_MS / left.length
    left = left.filter((each) => !each.drainAtExit(sliceMs))
  }
}

/** Whether the process's `exit` event has begun: no callback, timer or promise runs any more. */
export function isExiting(): boolean {
  return hasExitBegun
}

/** Drains at exit, until {@link forgetAtExit}. One listener serves all, however many there are. */
export function drainAtExit(each: ExitDrained): void {
  if (!isInstalled) process.on('exit', onExit)
  isInstalled = true
  drained.add(each)
}

/** Takes it out again. */
export function forgetAtExit(each: ExitDrained): void {
  drained.delete(each)
}
