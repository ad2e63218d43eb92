/** Something that must be drained before the process ends. */
export interface ExitDrained {
  /** Called in the process's `exit` event. */
  drainAtExit(): void
}

const drained = new Set<ExitDrained>()
let isInstalled = false
let hasExitBegun = false

function onExit(): void {
  hasExitBegun = true
  for (const each of drained) each.drainAtExit()
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
