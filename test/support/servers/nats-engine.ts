import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  DiscardPolicy,
  type JetStreamManager,
  jetstreamManager,
  StorageType,
} from '@nats-io/jetstream'
import { type ConnectionOptions, connect } from '@nats-io/transport-node'
import { itWithTool } from '../tool'
import type { Engine, StartOptions } from './engine'
import { TestServer } from './test-server'

/** JetStream with more lines in its configuration. */
export function startNats(settings: readonly string[]): Promise<TestServer> {
  return TestServer.start({
    program: 'nats-server',
    args(folder, port) {
      const path = join(folder, 'nats.conf')
      const store = JSON.stringify(join(folder, 'store'))
      const all = [`listen: "127.0.0.1:${port}"`, `jetstream { store_dir: ${store} }`, ...settings]
      writeFileSync(path, all.join('\n'))
      return ['-c', path]
    },
    ready: /Server is ready/,
  })
}

function settingsOf({ maxMessageBytes, password, certificate }: StartOptions): string[] {
  return [
    ...(maxMessageBytes === undefined ? [] : [`max_payload: ${maxMessageBytes}`]),
    ...(password === undefined
      ? []
      : [`authorization { user: shipper, password: ${JSON.stringify(password)} }`]),
    ...(certificate === undefined
      ? []
      : [`tls { cert_file: "${certificate.path}", key_file: "${certificate.keyPath}" }`]),
  ]
}

/** What an administrator does, on a connection of its own. */
export async function manageNats<Answer>(
  { address }: Pick<TestServer, 'address'>,
  ask: (manager: JetStreamManager) => Promise<Answer>,
  options: ConnectionOptions = {},
): Promise<Answer> {
  const connection = await connect({ servers: address, ...options })
  try {
    return await ask(await jetstreamManager(connection))
  } finally {
    await connection.close()
  }
}

/** NATS with JetStream; each stream takes the subject of its own name. */
export const NATS: Engine = {
  name: 'JetStream',
  it: itWithTool('nats-server'),
  start: (options = {}) => startNats(settingsOf(options)),
  url: (address) => `nats://${address}`,
  secureUrl: (address) => `tls://${address}`,
  subject: (subject) => ({ subject }),
  credentials: (pass) => ({ user: 'shipper', pass }),
  position: (index) => String(index + 1),
  async make(server, stream, { maxBytes = -1 } = {}) {
    await manageNats(server, ({ streams }) =>
      streams.add({
        name: stream,
        subjects: [stream],
        storage: StorageType.File,
        discard: DiscardPolicy.New,
        max_bytes: maxBytes,
      }),
    )
  },
  async enlarge(server, stream) {
    await manageNats(server, ({ streams }) => streams.update(stream, { max_bytes: -1 }))
  },
  async addForeign(server, stream) {
    await manageNats(server, (manager) => manager.jetstream().publish(stream, 'foreign'))
  },
  async purge(server, stream) {
    await manageNats(server, ({ streams }) => streams.purge(stream))
  },
  async trim(server, stream, keep) {
    await manageNats(server, ({ streams }) => streams.purge(stream, { keep }))
  },
  async remove(server, stream) {
    await manageNats(server, ({ streams }) => streams.delete(stream))
  },
}
