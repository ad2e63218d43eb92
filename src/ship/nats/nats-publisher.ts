import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node'
import type { NatsClient } from './nats-modules'

/** What waits for an acknowledgement. */
interface Pending {
  readonly subject: string
  resolve(sequence: number): void
  reject(error: unknown): void
}

/** What a server answers to who asks where nobody listens. */
const NO_RESPONDERS = 503

/**
 * Publishes messages to a stream, each with an acknowledgement of its own. The client's own `publish` of JetStream
 * costs a timer, two promises and an error's stack trace per message, which is most of the time.
 */
export class NatsPublisher {
  readonly #client: NatsClient
  readonly #connection: NatsConnection
  readonly #inbox: string
  readonly #timeoutMs: number
  readonly #pending = new Map<string, Pending>()
  #count = 0
  /** Runs while something is pending, from the last answer on. */
  #timer: NodeJS.Timeout | undefined

  constructor(client: NatsClient, connection: NatsConnection, inbox: string, timeoutMs: number) {
    this.#client = client
    this.#connection = connection
    this.#inbox = inbox
    this.#timeoutMs = timeoutMs
    connection.subscribe(`${inbox}.*`, {
      callback: (error, message) => (error === null ? this.#settle(message) : this.#fail(error)),
    })
    void this.#watch()
    void connection.closed().then((error) => {
      this.#fail(error ?? new client.core.errors.ClosedConnectionError())
    })
  }

  /** @returns the sequence that it is stored at */
  publish(subject: string, body: Buffer, headers: MsgHdrs): Promise<number> {
    const token = String(this.#count++)
    return new Promise((resolve, reject) => {
      this.#connection.publish(subject, body, { headers, reply: `${this.#inbox}.${token}` })
      this.#pending.set(token, { subject, resolve, reject })
      this.#timer ??= setTimeout(() => {
        this.#fail(new this.#client.core.errors.TimeoutError())
      }, this.#timeoutMs)
    })
  }

  #settle(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length + 1)
    const pending = this.#pending.get(token)
    if (pending === undefined) return
    this.#pending.delete(token)
    if (this.#pending.size === 0) this.#stopTimer()
    else this.#timer?.refresh()
    try {
      pending.resolve(this.#sequenceFrom(message, pending.subject))
    } catch (error) {
      pending.reject(error)
    }
  }

  /** The sequence in an acknowledgement. Throws the error that it is instead. */
  #sequenceFrom({ data, headers }: Msg, subject: string): number {
    const { NoRespondersError, ProtocolError } = this.#client.core.errors
    if (data.length === 0 && headers?.code === NO_RESPONDERS) throw new NoRespondersError(subject)
    const { seq, error } = JSON.parse(Buffer.from(data).toString())
    if (error !== undefined) throw new this.#client.jetstream.JetStreamApiError(error)
    if (Number.isSafeInteger(seq)) return seq
    throw new ProtocolError('an acknowledgement has no sequence')
  }

  /** A permission that is missing is reported for the connection, and not for the message. */
  async #watch(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'error') this.#fail(status.error)
    }
  }

  #fail(error: unknown): void {
    this.#stopTimer()
    const all = [...this.#pending.values()]
    this.#pending.clear()
    for (const { reject } of all) reject(error)
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
