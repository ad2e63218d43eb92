import { type ConsumerMessages, jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Redis } from 'ioredis'

/** Reads a stream as it grows. */
export interface StreamConsumer {
  /** Ends the connection. */
  stop(): Promise<void>
}

/** Called for each message of a stream, as soon as the server shows it. */
type OnMessage = () => void

/** Reads a stream of JetStream, which shows what it has stored. */
export async function consumeNats(
  port: number,
  stream: string,
  onMessage: OnMessage,
): Promise<StreamConsumer> {
  const connection = await connect({ servers: `127.0.0.1:${port}` })
  const consumer = await jetstream(connection).consumers.get(stream)
  const messages: ConsumerMessages = await consumer.consume({ callback: onMessage })
  return {
    async stop() {
      messages.stop()
      await connection.close()
    },
  }
}

/** Reads a stream of Redis, which shows what it has synced. */
export async function consumeRedis(
  port: number,
  stream: string,
  onMessage: OnMessage,
): Promise<StreamConsumer> {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => null })
  let isStopped = false
  const ended = readOn(redis, stream, onMessage).catch((thrown: unknown) => {
    if (!isStopped) throw thrown
  })
  return {
    async stop() {
      isStopped = true
      redis.disconnect()
      await ended
    },
  }
}

async function readOn(redis: Redis, stream: string, onMessage: OnMessage): Promise<void> {
  for (let last = '0'; ; ) {
    const found = await redis.xread('BLOCK', 0, 'STREAMS', stream, last)
    for (const [id] of found?.[0]?.[1] ?? []) {
      onMessage()
      last = id
    }
  }
}
