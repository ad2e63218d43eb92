import { channel } from 'node:diagnostics_channel'
import { soon } from '../../base/timers'
import type { ForeignCode } from '../failure/foreign-code'
import { GROUPS_WATCHED, type SessionView } from '../ring/memory-map'
import { type AuditGroup, GROUP_CHANNEL, type GroupNotice } from '../ring/messages'

// Held for ever: a channel without subscribers may otherwise be collected, and is then another one.
const groups = channel(GROUP_CHANNEL)

/**
 * Publishes the groups of one audit while there are subscribers; without any, the drainer sends none.
 * Subscribers are foreign code and may call the audit, so they run once the stack is left.
 */
export class GroupPublisher {
  readonly #path: string
  readonly #session: SessionView
  readonly #foreign: ForeignCode
  #isWatched = false
  #queue: GroupNotice[] = []

  constructor(path: string, session: SessionView, foreign: ForeignCode) {
    this.#path = path
    this.#session = session
    this.#foreign = foreign
  }

  /** Makes the drainer report its groups if there are subscribers, and stop if there are none. */
  update(): void {
    if (groups.hasSubscribers === this.#isWatched) return
    this.#isWatched = groups.hasSubscribers
    Atomics.store(this.#session.session, GROUPS_WATCHED, this.#isWatched ? 1 : 0)
  }

  add(notice: GroupNotice): void {
    this.#queue.push(notice)
    if (this.#queue.length === 1) soon(() => this.flush())
  }

  /**
   * Publishes the added groups, in order. Node catches what a subscriber throws, and raises it as an
   * uncaught exception of the process.
   */
  flush(): void {
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []
    this.#foreign.run(() => {
      for (const { events, bytes, syncNs, outcome } of queue) {
        const group: AuditGroup = { path: this.#path, events, bytes, syncNs, outcome }
        groups.publish(group)
      }
    })
  }
}
