import { textOf } from '../base/describe'
import type { EventName } from '../format/events'
import type { CommandGroup } from './spawner'

/** Takes what a run has to say while it is under way. */
export interface RunNotes {
  /** Something is wrong that the result may say too late, or not at all. */
  warn(message: string): void
  /** The command runs. */
  spawned(group: CommandGroup): void
  /** The disk has not answered for a while, so the run waits for this event. */
  waiting(event: EventName): void
}

/** Reports warnings as Node does. A hook that fails costs its own call. */
export const PROCESS_NOTES: RunNotes = {
  warn: (message) => {
    try {
      process.emitWarning(`exec audit: ${message}`, { type: 'ExecAuditWarning' })
    } catch {
      // A strict embedder may have replaced it by one that throws.
    }
  },
  spawned: () => undefined,
  // The result says so: its trail has events whose outcome is 'pending'.
  waiting: () => undefined,
}

/**
 * Calls a function of the embedder's. If it throws, or returns a promise that is rejected, even after the
 * run, `onError` is called; it is not waited for.
 */
export function callForeign(call: () => unknown, onError: (error: unknown) => void): void {
  const run = async () => {
    await call()
  }
  run().catch(onError)
}

/** The message about a callback that failed. */
export function callbackFailed(name: string, error: unknown): string {
  return `${name} failed: ${error instanceof Error ? textOf(error.message) : textOf(error)}`
}
