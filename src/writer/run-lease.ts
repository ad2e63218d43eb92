import type { AuditOutcome, EventName } from '../format/events'
import type { EventRecorder } from './audit-trail'

/**
 * The method by which an audit lends its events to a command that runs: `close()` waits until the lease ends, and
 * takes its events meanwhile. By a registered symbol, since a test runner may load the package many times.
 */
export const RUN_LEASE: unique symbol = Symbol.for('x0x-exec-audit.run-lease.1')

/** An audit's events for one command. */
export interface RunLease {
  readonly events: EventRecorder
  /** The command has ended, and all of its events were handed over. */
  end(): void
}

/** An audit that waits for runs when it is closed. */
interface RunLender {
  [RUN_LEASE](): RunLease
}

/** A lease on an audit; on anything else with its methods, those methods. */
export function leaseOf(audit: EventRecorder): RunLease {
  return isLender(audit) ? audit[RUN_LEASE]() : { events: audit, end: () => undefined }
}

function isLender(audit: object): audit is RunLender {
  return RUN_LEASE in audit && typeof audit[RUN_LEASE] === 'function'
}

/**
 * The events of an audit for a command that may outlast its `close()`: while it is open by the public methods, since an
 * embedder may have wrapped them; then by `late`.
 */
export function lentEvents(
  audit: EventRecorder,
  isOpen: () => boolean,
  late: (name: EventName, event: object) => Promise<AuditOutcome>,
): EventRecorder {
  return {
    request: (event) => (isOpen() ? audit.request(event) : late('request', event)),
    started: (event) => (isOpen() ? audit.started(event) : late('started', event)),
    warning: (event) => (isOpen() ? audit.warning(event) : late('warning', event)),
    exit: (event) => (isOpen() ? audit.exit(event) : late('exit', event)),
    denial: (event) => (isOpen() ? audit.denial(event) : late('denial', event)),
  }
}

/** The leases that an audit has given. */
export class RunLeases {
  #count = 0
  #waiting: (() => void)[] = []

  /** How many have not ended. */
  get count(): number {
    return this.#count
  }

  /** Begins one; the returned function ends it, once. */
  take(): () => void {
    this.#count++
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#count--
      if (this.#count === 0) for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  /** Resolves once all of them have ended. */
  ended(): Promise<void> {
    if (this.#count === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
