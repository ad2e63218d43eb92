import type { AuditOutcome } from '../../src'
import { startedEvent } from './events'
import type { AuditUnderTest } from './open-audit'

/** A running load. */
export interface Load {
  /** Pids without an outcome. */
  inFlight(): number[]
  /** Ends it, and returns the outcome of each pid once all are settled. */
  stop(): Promise<AuditOutcome[]>
}

const running = new Set<{ isStopped: boolean }>()

/** Ends the loads that a failed test has left running; otherwise they would never end. */
export function stopLoads(): void {
  for (const state of running) state.isStopped = true
  running.clear()
}

/** Keeps 64 events in flight; stores the outcome of each pid, from the first free one on. */
export function startLoad({ audit }: AuditUnderTest, outcomes: AuditOutcome[] = []): Load {
  let next = outcomes.length
  const state = { isStopped: false }
  running.add(state)
  const loop = async () => {
    while (!state.isStopped) {
      const pid = next++
      outcomes[pid] = await audit.started(startedEvent({ pid }))
    }
  }
  const loops = Promise.all(Array.from({ length: 64 }, loop))
  return {
    inFlight: () =>
      Array.from({ length: next }, (_, pid) => pid).filter((pid) => outcomes[pid] === undefined),
    stop: async () => {
      state.isStopped = true
      await loops
      return outcomes
    },
  }
}
