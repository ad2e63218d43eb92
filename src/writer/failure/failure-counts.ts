import { STAGES, type Stage } from '../ring/failure-word'

/** Where an event can fail: at one of the five stages of its line, or before it is accepted. */
export type FailureKind = Stage | 'closed' | 'full'

export const FAILURE_KINDS: readonly FailureKind[] = [...STAGES, 'closed', 'full']

/** Counts of failed events by stage. */
export class FailureCounts {
  readonly #counts = new Map<FailureKind, number>()

  add(kind: FailureKind): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
  }

  /** The counts as plain data, zeros included. */
  toRecord(): Record<FailureKind, number> {
    const count = (kind: FailureKind) => this.#counts.get(kind) ?? 0
    return {
      folder: count('folder'),
      encode: count('encode'),
      open: count('open'),
      write: count('write'),
      sync: count('sync'),
      closed: count('closed'),
      full: count('full'),
    }
  }
}
