import { setTimeout as sleep } from 'node:timers/promises'
import type { EventName } from '../format/events'
import type { RunCancel } from './run-cancel'
import type { RunNotes } from './run-notes'
import type { RunTrail } from './run-trail'
import type { StopReason } from './supervisor'

/** After this long a wait for the disk is reported, and one that was cancelled is over. */
const PATIENCE_MS = 2_000
/** A time limit is meant for the command: the slow sync of a disk that works may take longer than a short one. */
const LIMIT_MS_MIN = 1_000
const POLL_MS = 20

/** The waiting of a run for its events: it is part of the run, so a cancel and the time limit end it. */
export class DiskWait {
  readonly #cancel: RunCancel
  readonly #limitMs: number
  readonly #notes: RunNotes

  constructor(cancel: RunCancel, limitMs: number, notes: RunNotes) {
    this.#cancel = cancel
    this.#limitMs = Math.max(limitMs, LIMIT_MS_MIN)
    this.#notes = notes
  }

  /** Waits for one event. Resolves with why it did not see its outcome, if it did not. */
  async event(name: EventName, outcome: Promise<unknown>): Promise<StopReason | undefined> {
    const { signal, end } = this.#watch(outcome)
    const noted = this.#note(name, signal)
    try {
      return await Promise.race([
        outcome.then(() => undefined),
        this.#cancel.asked.then(({ kind }) => kind),
        this.#limit(signal),
      ])
    } finally {
      end()
      await noted
    }
  }

  /** Waits for all outcomes; once the run was stopped, or is, for 2 s at most. */
  async trail(trail: RunTrail, isStopped: boolean): Promise<void> {
    const settled = trail.settled()
    const { signal, end } = this.#watch(settled)
    const noted = isStopped ? undefined : this.#note('exit', signal)
    const stopped = isStopped
      ? Promise.resolve()
      : Promise.race([this.#cancel.asked, this.#limit(signal)])
    try {
      await Promise.race([settled, stopped.then(() => passed(PATIENCE_MS, signal))])
    } finally {
      end()
      await noted
    }
  }

  #watch(outcome: Promise<unknown>) {
    const controller = new AbortController()
    const end = () => controller.abort()
    void outcome.then(end)
    return { signal: controller.signal, end }
  }

  async #note(event: EventName, signal: AbortSignal): Promise<void> {
    if (await passed(PATIENCE_MS, signal)) this.#notes.waiting(event)
  }

  /** Stays pending if it is not reached before the signal. */
  async #limit(signal: AbortSignal): Promise<StopReason> {
    const isOver = await passed(this.#limitMs, signal)
    return isOver ? 'timeout' : new Promise(() => undefined)
  }
}

/**
 * Lets time pass in which the event loop turns; false if the signal cut that short. A process that was
 * frozen has waited for nothing.
 */
export async function passed(ms: number, signal: AbortSignal): Promise<boolean> {
  for (let leftMs = ms; leftMs > 0; leftMs -= POLL_MS) {
    const isWhole = await sleep(POLL_MS, true, { signal }).catch(() => false)
    if (!isWhole) return false
  }
  return !signal.aborted
}
