import type { Redis } from 'ioredis'
import { loadClient } from '../stream/load-client'
import { StreamError } from '../stream/stream-error'
import { type CheckedStreamOptions, parseServerUrl } from '../stream/stream-options'

const PROTOCOLS = ['redis:', 'rediss:']
const INSTEAD = 'put it into REDIS_PASSWORD'
const DEFAULT_PORT = 6379

/** A server, a user and a database. */
export interface RedisServer {
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly db: number
  readonly tls?: Record<string, never>
}

/** The client's module. Throws a {@link StreamError} if it is not installed. */
export function loadRedis(): typeof import('ioredis') {
  return loadClient(() => require('ioredis'), 'ioredis')
}

/** The server that a URL names; its path is the number of the database. */
export function parseRedisUrl(url: string): RedisServer {
  const { protocol, host, hostname, port, username, pathname } = parseServerUrl(
    url,
    PROTOCOLS,
    INSTEAD,
  )
  const db = /^\/?(\d{0,4})$/.exec(pathname)?.[1]
  if (db === undefined) {
    throw new StreamError('usage', `the URL of ${host} has a path that is no database's number`)
  }
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? DEFAULT_PORT : Number(port),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    db: Number(db),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  }
}

/** Connects once. Without a reconnect of the client's own, what is in flight fails as soon as the connection does. */
export async function connectRedis(
  client: typeof import('ioredis'),
  server: RedisServer,
  { timeoutMs, client: own }: CheckedStreamOptions,
): Promise<Redis> {
  const password = process.env.REDIS_PASSWORD
  const redis = new client.Redis({
    ...server,
    ...(password === undefined || password === '' ? {} : { password }),
    connectionName: 'x0x-exec-audit-ship',
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    retryStrategy: () => null,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    ...own,
  })
  // Each command rejects with the error, too.
  let problem: Error | undefined
  redis.on('error', (error: Error) => {
    problem = error
  })
  try {
    await redis.connect()
    return redis
  } catch (thrown) {
    endRedis(redis)
    throw problem ?? thrown
  }
}

/** Ends a connection. One that has ended already would arm a timer for nothing. */
export function endRedis(redis: Redis): void {
  if (redis.status !== 'end' && redis.status !== 'close') redis.disconnect()
}
