/** Something that must be drained before the process ends. */
export interface ExitDrained {
  /**
   * Called in the process's `exit` event: blocks until it is drained or its limit on waiting is reached, but
   * for at most `sliceMs`. Returns whether there is nothing left to wait for.
   */
  drainAtExit(sliceMs: number): boolean
}

/** How long one turn of all of them takes together. */
const ROUND_MS = 50

const drained = new Set<ExitDrained>()
let isInstalled = false
let hasExitBegun = false

function onExit(): void {
  hasExitBegun = true
  // In turns: a writer whose disk hangs must neither use up nor prolong the time of the others.
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

/** Drains at exit, until {@link forgetAtExit}. One listener serves all writers. */
export function drainAtExit(each: ExitDrained): void {
  if (!isInstalled) process.on('exit', onExit)
  isInstalled = true
  drained.add(each)
}

/** Undoes {@link drainAtExit}. */
export function forgetAtExit(each: ExitDrained): void {
  drained.delete(each)
}
