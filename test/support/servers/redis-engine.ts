import { Redis } from 'ioredis'
import { itWithTool } from '../tool'
import type { Engine, StartOptions } from './engine'
import { TestServer } from './test-server'

function settings(port: number, { maxMessageBytes, password, certificate }: StartOptions) {
  return [
    ...(certificate === undefined
      ? ['--port', String(port)]
      : [
          ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no'],
          ...['--tls-cert-file', certificate.path, '--tls-key-file', certificate.keyPath],
          ...['--tls-ca-cert-file', certificate.path],
        ]),
    ...(maxMessageBytes === undefined ? [] : ['--proto-max-bulk-len', String(maxMessageBytes)]),
    ...(password === undefined ? [] : ['--requirepass', password]),
  ]
}

async function manage(
  { port }: TestServer,
  ask: (redis: Redis) => Promise<unknown>,
): Promise<void> {
  const redis = new Redis({ port, host: '127.0.0.1' })
  try {
    await ask(redis)
  } finally {
    redis.disconnect()
  }
}

/** Redis, with each write synced before its reply. */
export const REDIS: Engine = {
  name: 'Redis',
  it: itWithTool('redis-server'),
  start: (options = {}) =>
    TestServer.start({
      program: 'redis-server',
      args: (folder, port) => [
        ...['--bind', '127.0.0.1', '--dir', folder, '--save', ''],
        ...['--appendonly', 'yes', '--appendfsync', 'always'],
        ...settings(port, options),
      ],
      ready: /Ready to accept connections/,
    }),
  url: (address) => `redis://${address}`,
  secureUrl: (address) => `rediss://${address}`,
  subject: () => ({}),
  credentials: (password) => ({ password }),
  position: (index) => `${index + 1}-0`,
  async make(server, stream, { maxBytes } = {}) {
    await manage(server, async (redis) => {
      await redis.xgroup('CREATE', stream, 'made', '$', 'MKSTREAM')
      if (maxBytes === undefined) return
      const used = /used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]
      await redis.config('SET', 'maxmemory', Number(used) + maxBytes)
    })
  },
  enlarge: (server) => manage(server, (redis) => redis.config('SET', 'maxmemory', 0)),
  addForeign: (server, stream) => manage(server, (redis) => redis.xadd(stream, '*', 'a', 'b')),
  purge: (server, stream) => manage(server, (redis) => redis.xtrim(stream, 'MAXLEN', 0)),
  trim: (server, stream, keep) => manage(server, (redis) => redis.xtrim(stream, 'MAXLEN', keep)),
  remove: (server, stream) => manage(server, (redis) => redis.del(stream)),
}
