import type { StreamInfo } from '@nats-io/jetstream'
import type { MsgHdrs } from '@nats-io/transport-node'
import { linesSince } from '../stream/line-time'
import type { Message, StoredMessage } from '../stream/message'
import { fieldsOf, messageFrom, messageId } from '../stream/message-fields'
import type { ReadFrom, StreamOptions, Tail, UnopenedStream } from '../stream/stream'
import { StreamError } from '../stream/stream-error'
import { type CheckedStreamOptions, checkStreamOptions } from '../stream/stream-options'
import { runInWindow } from '../stream/window'
import { connectNats, type NatsSession, parseNatsServers } from './nats-client'
import { natsError } from './nats-errors'
import { loadNats, type NatsClient } from './nats-modules'
import { findNatsStream } from './nats-setup'

/** Room for the headers, which count into the server's limit. */
const HEADER_BYTES = 1_024
/** How much older than its message's arrival a line may be said to be: clocks differ. */
const CLOCKS_MS = 60_000
/** How many messages are asked for at once when reading. */
const READ_AHEAD = 1_000

/** Where a message is to stand: right after this sequence and this message. */
interface Place {
  readonly subject: string
  readonly after: number
  readonly before: Message | undefined
}

/** A stream of JetStream, which is still to be opened. */
export function newNatsStream(url: string, options: StreamOptions): UnopenedStream {
  const checked = checkStreamOptions(options)
  return new NatsStream(loadNats(), parseNatsServers(url), checked)
}

/** A stream of JetStream. Its positions are stream sequences. */
class NatsStream implements UnopenedStream {
  readonly name: string
  readonly #client: NatsClient
  readonly #servers: readonly URL[]
  readonly #options: CheckedStreamOptions
  #session: NatsSession | undefined
  #subject: string | StreamError = ''
  #maxBodyBytes = 0
  #isClosed = false

  constructor(client: NatsClient, servers: readonly URL[], options: CheckedStreamOptions) {
    this.#client = client
    this.#servers = servers
    this.#options = options
    this.name = `stream ${options.stream} of ${servers.map(({ host }) => host).join(',')}`
  }

  get maxBodyBytes(): number {
    return this.#maxBodyBytes
  }

  /** Finds the stream, or makes it. */
  async open(): Promise<void> {
    await this.#ask(async (session) => {
      const found = await findNatsStream(this.#client, session, this.#options, this.name)
      this.#subject = found.subject
      this.#note(session, found.info)
    })
  }

  async tail(): Promise<Tail> {
    return await this.#ask(async (session) => {
      const info = await session.manager.streams.info(this.#options.stream)
      this.#note(session, info)
      const { last_seq } = info.state
      const message = await this.#lastMessage(session, info)
      return { position: String(last_seq), message, wasUsed: last_seq > 0 }
    })
  }

  async append(messages: readonly Message[], after: string): Promise<string> {
    const start = sequenceFrom(after)
    const subject = this.#subject
    if (subject instanceof StreamError) throw subject
    return await this.#ask(async (session) => {
      for (const { body } of messages) this.#checkSize(body)
      const { inFlight } = this.#options
      const failed = await runInWindow(inFlight, messages.entries(), async ([offset, message]) => {
        const place = { subject, after: start + offset, before: messages[offset - 1] }
        await this.#publish(session, message, place)
      })
      if (failed !== undefined) throw failed.failure
      return String(start + messages.length)
    })
  }

  async *read({ position, sinceMs }: ReadFrom = {}): AsyncGenerator<StoredMessage> {
    const all = this.#readFrom(position === undefined ? 1 : sequenceFrom(position), sinceMs)
    yield* sinceMs === undefined ? all : linesSince(all, sinceMs)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#session?.connection.close()
    this.#session = undefined
  }

  /** The last message that is no checkpoint: checkpoints are few, and never many in a row. */
  async #lastMessage(session: NatsSession, info: StreamInfo): Promise<StoredMessage | undefined> {
    const { first_seq, last_seq, messages } = info.state
    for (let seq = last_seq; messages > 0 && seq >= first_seq; seq--) {
      const stored = await session.manager.streams.getMessage(this.#options.stream, { seq })
      if (stored === null) continue
      const message = this.#messageFrom(stored.seq, stored.header, Buffer.from(stored.data))
      if (message.kind !== 'checkpoint') return message
    }
    return undefined
  }

  /**
   * The sequence alone would not do with many in flight: if somebody else appends one message, then the first of ours is
   * refused, and the second one finds the sequence that it expects. So each also names the one before it.
   */
  async #publish(
    { publisher }: NatsSession,
    message: Message,
    { subject, after, before }: Place,
  ): Promise<void> {
    const headers = this.#client.core.headers()
    for (const [name, value] of fieldsOf(message)) headers.set(name, value)
    headers.set('Nats-Msg-Id', messageId(message))
    headers.set('Nats-Expected-Stream', this.#options.stream)
    headers.set('Nats-Expected-Last-Sequence', String(after))
    // Of the first one the sequence says enough, and a server that was restarted may have forgotten its id.
    if (before !== undefined) headers.set('Nats-Expected-Last-Msg-Id', messageId(before))
    const seq = await publisher.publish(subject, message.body, headers)
    if (seq === after + 1) return
    // The server knows the id of a message that it has stored elsewhere, and has stored nothing.
    const text = `${this.name}: line ${message.index} is stored at ${seq}, not at ${after + 1}; read the tail again`
    throw new StreamError('fenced', text)
  }

  async *#readFrom(first: number, sinceMs: number | undefined): AsyncGenerator<StoredMessage> {
    const session = await this.#connect()
    try {
      const { state } = await session.manager.streams.info(this.#options.stream)
      if (state.messages === 0 || first > state.last_seq) return
      const { DeliverPolicy } = this.#client.jetstream
      const start =
        sinceMs === undefined
          ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: first }
          : {
              deliver_policy: DeliverPolicy.StartTime,
              opt_start_time: new Date(Math.max(0, sinceMs - CLOCKS_MS)).toISOString(),
            }
      const consumer = await session.jetstream.consumers.get(this.#options.stream, start)
      if ((await consumer.info()).num_pending === 0) return
      for await (const { seq, headers, data, info } of await consumer.consume({
        max_messages: READ_AHEAD,
      })) {
        if (seq > state.last_seq) return
        if (seq >= first) yield this.#messageFrom(seq, headers, Buffer.from(data))
        if (seq === state.last_seq || info.pending === 0) return
      }
    } catch (thrown) {
      throw this.#failed(session, thrown)
    }
  }

  #messageFrom(seq: number, headers: MsgHdrs | undefined, body: Buffer): StoredMessage {
    const field = (name: string) => (headers?.has(name) ? headers.get(name) : undefined)
    return messageFrom(field, body, String(seq), `message ${seq} in ${this.name}`)
  }

  #checkSize({ length }: Buffer): void {
    if (length <= this.#maxBodyBytes) return
    const text = `${this.name}: a body of ${length} bytes is above ${this.#maxBodyBytes}`
    throw new StreamError('usage', `${text}: append a marker in its place`)
  }

  /** What the server and the stream allow, as they say now. */
  #note({ connection }: NatsSession, { config }: StreamInfo): void {
    const limits = [connection.info?.max_payload ?? 0, config.max_msg_size]
    this.#maxBodyBytes = Math.min(...limits.filter((limit) => limit > 0)) - HEADER_BYTES
  }

  async #ask<Answer>(ask: (session: NatsSession) => Promise<Answer>): Promise<Answer> {
    const session = await this.#connect()
    try {
      return await ask(session)
    } catch (thrown) {
      throw this.#failed(session, thrown)
    }
  }

  async #connect(): Promise<NatsSession> {
    if (this.#isClosed) throw new StreamError('usage', `${this.name} is closed`)
    if (this.#session?.connection.isClosed() === false) return this.#session
    try {
      this.#session = await connectNats(this.#client, this.#servers, this.#options)
      return this.#session
    } catch (thrown) {
      throw natsError(this.#client, this.name, thrown)
    }
  }

  /** The error. A connection that does not answer is ended: its answers could come at any time. */
  #failed(session: NatsSession, thrown: unknown): StreamError {
    const error = natsError(this.#client, this.name, thrown)
    if (error.kind !== 'unreachable') return error
    if (this.#session === session) this.#session = undefined
    void session.connection.close().catch(() => undefined)
    return error
  }
}

function sequenceFrom(position: string): number {
  if (/^(0|[1-9]\d{0,14})$/.test(position)) return Number(position)
  throw new RangeError(`position: expected a stream sequence, got ${JSON.stringify(position)}`)
}
