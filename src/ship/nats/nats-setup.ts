import type { StreamConfig, StreamInfo } from '@nats-io/jetstream'
import { StreamError } from '../stream/stream-error'
import type { CheckedStreamOptions } from '../stream/stream-options'
import type { NatsSession } from './nats-client'
import { natsError } from './nats-errors'
import type { NatsClient } from './nats-modules'

/** A stream, and the subject that lines are published to, or why they cannot be. */
export interface FoundStream {
  readonly info: StreamInfo
  readonly subject: string | StreamError
}

/** Finds the stream, or makes it. One that only collects what is in others can be read, and no more. */
export async function findNatsStream(
  client: NatsClient,
  session: NatsSession,
  options: CheckedStreamOptions,
  name: string,
): Promise<FoundStream> {
  const info = await infoOf(client, session, options, name)
  const unfit = unfitness(info.config)
  if (unfit === undefined) return { info, subject: subjectOf(info.config, options, name) }
  const error = new StreamError('refused', `${name} ${unfit}: ship to another stream`)
  return { info, subject: error }
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
  if (config.sources !== undefined) return 'collects other streams'
  if (config.no_ack === true) return 'acknowledges nothing (no_ack)'
  if (config.max_msgs_per_subject > 0) return 'keeps few messages per subject'
  return undefined
}

function subjectOf(
  { subjects }: StreamConfig,
  options: CheckedStreamOptions,
  name: string,
): string | StreamError {
  const [only = '', ...others] = subjects
  const subject = options.subject ?? (others.length === 0 && !/[*>]/.test(only) ? only : undefined)
  if (subjects.some((pattern) => takes(pattern, subject))) return subject ?? only
  const text = `${name} takes ${subjects.join(', ')}: name one subject of these with --subject`
  return new StreamError('usage', text)
}

/** Whether a subject is one of a pattern: `*` stands for one of its words, `>` for the rest of them. */
function takes(pattern: string, subject: string | undefined): boolean {
  if (subject === undefined) return false
  const words = subject.split('.')
  const expected = pattern.split('.')
  const rest = expected.indexOf('>')
  if (rest < 0 ? words.length !== expected.length : words.length <= rest) return false
  return expected.every((word, index) => word === '>' || word === '*' || word === words[index])
}
