import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  DiscardPolicy,
  type JetStreamManager,
  jetstreamManager,
  StorageType,
} from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { itWithTool } from '../tool'
import type { Engine, StartOptions } from './engine'
import { TestServer } from './test-server'

function config(folder: string, port: number, options: StartOptions): string {
  const { maxMessageBytes, password } = options
  return [
    `listen: "127.0.0.1:${port}"`,
    `jetstream { store_dir: ${JSON.stringify(join(folder, 'store'))} }`,
    ...(maxMessageBytes === undefined ? [] : [`max_payload: ${maxMessageBytes}`]),
    ...(password === undefined
      ? []
      : [`authorization { user: shipper, password: ${JSON.stringify(password)} }`]),
    '',
  ].join('\n')
}

async function manage<Answer>(
  { address }: TestServer,
  ask: (manager: JetStreamManager) => Promise<Answer>,
): Promise<Answer> {
  const connection = await connect({ servers: address })
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
  start: (options = {}) =>
    TestServer.start({
      program: 'nats-server',
      args(folder, port) {
        const path = join(folder, 'nats.conf')
        writeFileSync(path, config(folder, port, options))
        return ['-c', path]
      },
      ready: /Server is ready/,
    }),
  url: (address) => `nats://${address}`,
  subject: (subject) => ({ subject }),
  credentials: (pass) => ({ user: 'shipper', pass }),
  position: (index) => String(index + 1),
  async make(server, stream, { maxBytes = -1 } = {}) {
    await manage(server, ({ streams }) =>
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
    await manage(server, ({ streams }) => streams.update(stream, { max_bytes: -1 }))
  },
  async addForeign(server, stream) {
    await manage(server, (manager) => manager.jetstream().publish(stream, 'foreign'))
  },
  async purge(server, stream) {
    await manage(server, ({ streams }) => streams.purge(stream))
  },
  async trim(server, stream, keep) {
    await manage(server, ({ streams }) => streams.purge(stream, { keep }))
  },
  async remove(server, stream) {
    await manage(server, ({ streams }) => streams.delete(stream))
  },
}
