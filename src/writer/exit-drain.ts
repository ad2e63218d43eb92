import { types } from 'node:util'

/** Something that must be drained before the process ends. */
export interface ExitDrained {
  /**
   * Called in the process's `exit` event: blocks until it is drained or its limit on waiting is reached, but
   * for at most `sliceMs`. Returns whether there is nothing left to wait for. Runs no foreign code.
   */
  drainAtExit(sliceMs: number): boolean
  /** Called once all are drained: reports failures to foreign code, which may end the process at once. */
  reportAtExit(): void
}

/** What all copies of this module in a thread share: a test runner may load the package many times. */
interface ExitState {
  readonly drained: Set<ExitDrained>
  hasBegun: boolean
}

/** How long one turn of all of them takes together. */
const ROUND_MS = 50

/** The state is a property of the listener, under a name that changes if its type does. */
const STATE = Symbol.for('x0x-exec-audit.exit-drain.1')

let state: ExitState | undefined

/** The state of the listener that some copy has installed; otherwise this one installs its own. */
function sharedState(): ExitState {
  for (const listener of process.listeners('exit')) {
    const found: unknown = Reflect.get(listener, STATE)
    if (isState(found)) return found
  }
  const own: ExitState = { drained: new Set(), hasBegun: false }
  process.on(
    'exit',
    Object.assign(() => drainAll(own), { [STATE]: own }),
  )
  return own
}

function isState(value: unknown): value is ExitState {
  if (typeof value !== 'object' || value === null) return false
  return 'drained' in value && types.isSet(value.drained) && 'hasBegun' in value
}

function drainAll(all: ExitState): void {
  all.hasBegun = true
  // In turns: a writer whose disk hangs must neither use up nor prolong the time of the others.
  let left = [...all.drained]
  while (left.length > 0) {
    const sliceMs = ROUND_MS / left.length
    left = left.filter((each) => !each.drainAtExit(sliceMs))
  }
  for (const each of all.drained) each.reportAtExit()
}

/** Whether the process's `exit` event has begun: no callback, timer or promise runs any more. */
export function isExiting(): boolean {
  return state?.hasBegun ?? false
}

/** Drains at exit, until {@link forgetAtExit}. One listener serves all writers. */
export function drainAtExit(each: ExitDrained): void {
  state = sharedState()
  state.drained.add(each)
}

/** Undoes {@link drainAtExit}. */
export function forgetAtExit(each: ExitDrained): void {
  state?.drained.delete(each)
}
