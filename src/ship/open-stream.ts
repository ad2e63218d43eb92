import { newNatsStream } from './nats/nats-stream'
import { newRedisStream } from './redis/redis-stream'
import type { Stream, StreamOptions, UnopenedStream } from './stream/stream'
import { StreamError } from './stream/stream-error'

/**
 * Opens a stream that is there, or makes it with `create`. The client's package must be installed:
 * `@nats-io/transport-node` and `@nats-io/jetstream`, or `ioredis`. Throws a {@link StreamError}.
 * @param url `nats://HOST:4222` or `tls://HOST:4222` for NATS, several of one cluster with commas between them;
 * `redis://HOST:6379` or `rediss://HOST:6379`, and `/N` for a database, for Redis. No password may stand in it
 */
export async function openStream(url: string, options: StreamOptions): Promise<Stream> {
  const stream = newStream(url, options)
  try {
    await stream.open()
    return stream
  } catch (thrown) {
    await stream.close()
    throw thrown
  }
}

function newStream(url: string, options: StreamOptions): UnopenedStream {
  const [scheme] = url.split(':', 1)
  if (scheme === 'nats' || scheme === 'tls') return newNatsStream(url, options)
  if (scheme === 'redis' || scheme === 'rediss') return newRedisStream(url, options)
  throw new StreamError(
    'usage',
    'expected a URL as nats://HOST:PORT, tls://HOST:PORT, redis://HOST:PORT or rediss://HOST:PORT',
  )
}
