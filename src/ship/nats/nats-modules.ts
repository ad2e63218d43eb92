import { loadClient } from '../stream/load-client'

const PACKAGES = '@nats-io/transport-node @nats-io/jetstream'

/** The client's two modules. */
export interface NatsClient {
  readonly core: typeof import('@nats-io/transport-node')
  readonly jetstream: typeof import('@nats-io/jetstream')
}

/** The client's modules. Throws a {@link StreamError} if they are not installed. */
export function loadNats(): NatsClient {
  return loadClient(
    () => ({
      core: require('@nats-io/transport-node'),
      jetstream: require('@nats-io/jetstream'),
    }),
    PACKAGES,
  )
}
