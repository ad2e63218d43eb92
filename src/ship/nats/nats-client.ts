import { readFileSync } from 'node:fs'
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { textOf } from '../../base/describe'
import { StreamError } from '../stream/stream-error'
import { type CheckedStreamOptions, parseServerUrl } from '../stream/stream-options'
import type { NatsClient } from './nats-modules'
import { NatsPublisher } from './nats-publisher'

const PROTOCOLS = ['nats:', 'tls:']
const INSTEAD = 'put it into a credentials file, and name that with --creds FILE or NATS_CREDS'

/** A connection, and what is asked for over it. */
export interface NatsSession {
  readonly connection: NatsConnection
  readonly jetstream: JetStreamClient
  readonly manager: JetStreamManager
  readonly publisher: NatsPublisher
}

/** The servers of one cluster, separated by commas. */
export function parseNatsServers(url: string): URL[] {
  return url.split(',').map((each) => {
    const server = parseServerUrl(each, PROTOCOLS, INSTEAD)
    // A user without a password is a token, and as secret.
    if (server.username !== '') {
      throw new StreamError('usage', `the URL of ${server.host} has a user in it: ${INSTEAD}`)
    }
    return server
  })
}

/** Connects once. Without a reconnect of the client's own, what is in flight fails as soon as the connection does. */
export async function connectNats(
  client: NatsClient,
  servers: readonly URL[],
  options: CheckedStreamOptions,
): Promise<NatsSession> {
  const connection = await client.core.connect({
    servers: servers.map(({ host }) => host),
    name: 'x0x-exec-audit ship',
    timeout: options.timeoutMs,
    reconnect: false,
    noAsyncTraces: true,
    ...(servers.some(({ protocol }) => protocol === 'tls:') ? { tls: {} } : {}),
    ...credentials(client, options.creds ?? process.env.NATS_CREDS),
    ...options.client,
  })
  const settings = { timeout: options.timeoutMs }
  const manager = await client.jetstream.jetstreamManager(connection, {
    ...settings,
    checkAPI: false,
  })
  const inbox = client.core.createInbox(inboxPrefixOf(options))
  return {
    connection,
    manager,
    jetstream: client.jetstream.jetstream(connection, settings),
    publisher: new NatsPublisher(client, connection, inbox, options.timeoutMs),
  }
}

/** The client's own option, for users who may subscribe to inboxes of their own alone. */
function inboxPrefixOf({ client }: CheckedStreamOptions): string | undefined {
  return typeof client.inboxPrefix === 'string' ? client.inboxPrefix : undefined
}

function credentials({ core }: NatsClient, path: string | undefined) {
  if (path === undefined || path === '') return {}
  try {
    return { authenticator: core.credsAuthenticator(readFileSync(path)) }
  } catch (thrown) {
    const text = `the credentials file cannot be read: ${textOf(thrown)}`
    throw new StreamError('usage', text, { cause: thrown })
  }
}
