import type { StreamConfig, StreamInfo } from '@nats-io/jetstream'
import { StreamError } from '../stream/stream-error'
import type { CheckedStreamOptions } from '../stream/stream-options'
import type { NatsClient, NatsSession } from './nats-client'
import { natsError } from './nats-errors'

/** A stream that lines can be appended to, and the subject that they are published to. */
export interface FoundStream {
  readonly info: StreamInfo
  readonly subject: string
}

/** Finds the stream and checks that it suits, or makes it. */
export async function findNatsStream(
  client: NatsClient,
  session: NatsSession,
  options: CheckedStreamOptions,
  name: string,
): Promise<FoundStream> {
  const info = await infoOf(client, session, options, name)
  const unfit = unfitness(info.config)
  if (unfit !== undefined) {
    throw new StreamError('refused', `${name} ${unfit}: ship to another stream`)
  }
  return { info, subject: subjectOf(info.config, options, name) }
}

async function infoOf(
  client: NatsClient,
  session: NatsSession,
  options: CheckedStreamOptions,
  name: string,
): Promise<StreamInfo> {
  const { streams } = session.manager
  try {
    return await streams.info(options.stream)
  } catch (thrown) {
    const error = natsError(client, name, thrown)
    if (error.kind !== 'missing' || !options.create) throw error
  }
  if (options.subject === undefined) {
    throw new StreamError('usage', `${name}: to make it, name its subject with --subject`)
  }
  // Nothing in it may be deleted before its time, and when it is full the shipper waits.
  return await streams.add({
    name: options.stream,
    subjects: [options.subject],
    storage: client.jetstream.StorageType.File,
    discard: client.jetstream.DiscardPolicy.New,
    deny_delete: true,
    deny_purge: true,
  })
}

/** Why no line can be shipped to a stream of this configuration. */
function unfitness(config: StreamConfig): string | undefined {
  if (config.mirror !== undefined) return 'is a mirror'
  if (config.no_ack === true) return 'acknowledges nothing (no_ack)'
  if (config.max_msgs_per_subject > 0) return 'keeps few messages per subject'
  return undefined
}

function subjectOf(config: StreamConfig, options: CheckedStreamOptions, name: string): string {
  if (options.subject !== undefined) return options.subject
  const [only, ...others] = config.subjects
  if (only !== undefined && others.length === 0 && !/[*>]/.test(only)) return only
  const text = `${name} takes ${config.subjects.join(', ')}: name the subject with --subject`
  throw new StreamError('usage', text)
}
