import type { Redis } from 'ioredis'
import { linesSince, lineTime } from '../stream/line-time'
import type { Message, StoredMessage } from '../stream/message'
import { fieldsOf, messageFrom } from '../stream/message-fields'
import type { ReadFrom, StreamOptions, Tail, UnopenedStream } from '../stream/stream'
import { StreamError } from '../stream/stream-error'
import { type CheckedStreamOptions, checkStreamOptions } from '../stream/stream-options'
import { runInWindow } from '../stream/window'
import { connectRedis, endRedis, loadRedis, parseRedisUrl, type RedisServer } from './redis-client'
import { redisError } from './redis-errors'
import { idsAfter, partsOf, START_ID } from './redis-ids'
import { APPEND_SCRIPT } from './redis-script'

/** The field that has the line. */
const LINE = 'line'
/** What one script adds at most: it holds everybody up. */
const SCRIPT_MESSAGES = 256
const SCRIPT_BYTES = 1_048_576
/** How many messages are read at once. */
const READ_MESSAGES = 256
/** The server's own default (proto-max-bulk-len). */
const BODY_BYTES_MAX = 536_870_912
/** How far lines may stand out of the order of their times. */
const DISORDER_MS = 60_000
/** How many messages are looked at to find one with a time. */
const TIMED_WITHIN = 64

type Entry = [id: Buffer, fields: Buffer[]]

/** A stream of Redis, which is still to be opened. */
export function newRedisStream(url: string, options: StreamOptions): UnopenedStream {
  const checked = checkStreamOptions(options)
  if (checked.subject !== undefined) {
    throw new StreamError('usage', 'a stream of Redis has no subject: leave --subject out')
  }
  const server = parseRedisUrl(url)
  return new RedisStream(loadRedis(), server, checked)
}

/** A stream of Redis. Its positions are ids. */
class RedisStream implements UnopenedStream {
  readonly name: string
  readonly #client: typeof import('ioredis')
  readonly #server: RedisServer
  readonly #options: CheckedStreamOptions
  #redis: Redis | undefined
  #maxBodyBytes = BODY_BYTES_MAX
  #isClosed = false

  constructor(
    client: typeof import('ioredis'),
    server: RedisServer,
    options: CheckedStreamOptions,
  ) {
    this.#client = client
    this.#server = server
    this.#options = options
    this.name = `stream ${options.stream} of ${server.host}:${server.port}`
  }

  get maxBodyBytes(): number {
    return this.#maxBodyBytes
  }

  get #key(): string {
    return this.#options.stream
  }

  /** Finds the stream, or makes it. */
  async open(): Promise<void> {
    await this.#ask(async (redis) => {
      if (this.#options.create) await this.#create(redis)
      await this.#lastId(redis)
      this.#maxBodyBytes = await bodyBytesMax(redis)
    })
  }

  async tail(): Promise<Tail> {
    return await this.#ask(async (redis) => {
      const position = await this.#lastId(redis)
      const message = await this.#lastMessage(redis, position)
      return { position, message, wasUsed: position !== START_ID }
    })
  }

  async append(messages: readonly Message[], after: string): Promise<string> {
    const ids = idsAfter(after, messages, this.name)
    const scripts = [...this.#scripts(messages, ids, after)]
    const size = Math.max(1, Math.floor(this.#options.inFlight / SCRIPT_MESSAGES))
    return await this.#ask(async (redis) => {
      const failed = await runInWindow(size, scripts, async (script) => {
        await redis.eval(APPEND_SCRIPT, 1, this.#key, ...script)
      })
      if (failed !== undefined) throw failed.failure
      return ids.at(-1) ?? after
    })
  }

  async *read({ position, sinceMs }: ReadFrom = {}): AsyncGenerator<StoredMessage> {
    const from = position === undefined ? START_ID : partsOf(position).join('-')
    if (sinceMs === undefined) yield* this.#readFrom(from)
    else yield* linesSince(this.#readFrom(from, sinceMs - DISORDER_MS), sinceMs)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#redis !== undefined) this.#end(this.#redis)
  }

  /** An empty stream: a group of consumers has one made, and leaves it there. */
  async #create(redis: Redis): Promise<void> {
    if ((await redis.exists(this.#key)) === 1) return
    const group = 'x0x-exec-audit-create'
    await redis.xgroup('CREATE', this.#key, group, '$', 'MKSTREAM')
    await redis.xgroup('DESTROY', this.#key, group)
  }

  /** The last id there has ever been: it outlives a trim. */
  async #lastId(redis: Redis): Promise<string> {
    const info = await redis.xinfo('STREAM', this.#key)
    const id = Array.isArray(info) ? info[info.indexOf('last-generated-id') + 1] : undefined
    if (typeof id === 'string') return id
    throw new StreamError('refused', `${this.name}: no last-generated-id; use Redis 5 or newer`)
  }

  /** The last message that is no checkpoint: checkpoints are few, and never many in a row. */
  async #lastMessage(redis: Redis, last: string): Promise<StoredMessage | undefined> {
    for (let end = last; ; ) {
      const entries = await redis.xrevrangeBuffer(this.#key, end, '-', 'COUNT', 2)
      for (const entry of entries) {
        const message = this.#messageFrom(entry)
        if (message.kind !== 'checkpoint') return message
        end = `(${message.position}`
      }
      if (entries.length === 0) return undefined
    }
  }

  /** The arguments of each script: a few messages that fit together, after the one before. */
  *#scripts(
    messages: readonly Message[],
    ids: readonly string[],
    after: string,
  ): Generator<(string | Buffer)[]> {
    let script: (string | Buffer)[] = [after, '']
    let count = 0
    let bytes = 0
    for (const [offset, message] of messages.entries()) {
      this.#checkSize(message.body)
      if (count > 0 && (count === SCRIPT_MESSAGES || bytes + message.body.length > SCRIPT_BYTES)) {
        yield script
        script = [ids[offset - 1] ?? after, messages[offset - 1]?.sha256.toString('hex') ?? '']
        count = 0
        bytes = 0
      }
      const fields = [LINE, message.body, ...fieldsOf(message).flat()]
      script.push(ids[offset] ?? '', String(fields.length), ...fields)
      count++
      bytes += message.body.length
    }
    if (count > 0) yield script
  }

  /** @param aboutMs the time of lines to begin near, by a search that halves */
  async *#readFrom(from: string, aboutMs?: number): AsyncGenerator<StoredMessage> {
    const ask = <Answer>(each: (redis: Redis) => Promise<Answer>) => this.#ask(each)
    const last = await ask((redis) => this.#lastId(redis))
    let next = aboutMs === undefined ? from : await ask((redis) => this.#find(redis, last, aboutMs))
    const [high] = partsOf(next)
    if (high < partsOf(from)[0]) next = from
    for (;;) {
      const start = next
      const entries = await ask((redis) =>
        redis.xrangeBuffer(this.#key, start, last, 'COUNT', READ_MESSAGES),
      )
      for (const entry of entries) {
        const message = this.#messageFrom(entry)
        yield message
        next = `(${message.position}`
      }
      if (entries.length === 0) return
    }
  }

  /** An id before which each line is older than the time, or has none. */
  async #find(redis: Redis, last: string, timeMs: number): Promise<string> {
    let low = 0
    let high = partsOf(last)[0]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const entries = await redis.xrangeBuffer(this.#key, `${middle}-0`, '+', 'COUNT', TIMED_WITHIN)
      const times = entries.flatMap((entry) => lineTime(this.#messageFrom(entry)) ?? [])
      // Without a time there the search keeps to the safe side: the older one.
      if (times[0] !== undefined && times[0] < timeMs) low = middle + 1
      else high = middle
    }
    return `${low}-0`
  }

  #messageFrom([id, fields]: Entry): StoredMessage {
    const position = id.toString('latin1')
    const where = `message ${position} in ${this.name}`
    const values = new Map<string, Buffer>()
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const [name, value] = [fields[i], fields[i + 1]]
      if (name !== undefined && value !== undefined) values.set(name.toString('latin1'), value)
    }
    const field = (name: string) => values.get(name)?.toString()
    const message = messageFrom(field, values.get(LINE) ?? Buffer.alloc(0), position, where)
    const [high] = partsOf(position)
    if (high === message.index + (message.kind === 'checkpoint' ? 0 : 1)) return message
    const text = `${where} says that it is line ${message.index}, which its id does not`
    throw new StreamError('foreign', `${text}: find out who writes to the stream`)
  }

  #checkSize({ length }: Buffer): void {
    if (length <= this.#maxBodyBytes) return
    const text = `${this.name}: a body of ${length} bytes is above ${this.#maxBodyBytes}`
    throw new StreamError('usage', `${text}: append a marker in its place`)
  }

  async #ask<Answer>(ask: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    const redis = await this.#connect()
    try {
      return await ask(redis)
    } catch (thrown) {
      const error = redisError(this.name, thrown)
      // A connection that does not answer is ended: its answers could come at any time.
      if (error.kind === 'unreachable') this.#end(redis)
      throw error
    }
  }

  #end(redis: Redis): void {
    if (this.#redis === redis) this.#redis = undefined
    endRedis(redis)
  }

  async #connect(): Promise<Redis> {
    if (this.#isClosed) throw new StreamError('usage', `${this.name} is closed`)
    if (this.#redis?.status === 'ready') return this.#redis
    try {
      this.#redis = await connectRedis(this.#client, this.#server, this.#options)
      return this.#redis
    } catch (thrown) {
      throw redisError(this.name, thrown)
    }
  }
}

/** The longest bulk that the server takes, as far as it says so. */
async function bodyBytesMax(redis: Redis): Promise<number> {
  try {
    const [, value] = await redis.config('GET', 'proto-max-bulk-len')
    return Math.min(BODY_BYTES_MAX, Number(value ?? BODY_BYTES_MAX))
  } catch {
    // A user that may not ask gets the default: a server with less ends the connection, and says why in its log.
    return BODY_BYTES_MAX
  }
}
