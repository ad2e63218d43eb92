import { createHash } from 'node:crypto'
import type { Message, StoredMessage } from '../../../src/ship/stream/message'

/** When line 0 was written, in ms since 1970; each line is a second younger than the one before it. */
export const START_MS = 1_795_316_400_000

export const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest()

export const lineText = (index: number) =>
  `{"event":"started","ts_unix_ms":${START_MS + index * 1_000},"request_id":"${String(index).padStart(32, '0')}","pid":${index + 1}}`

/** Lines with these bodies, as a shipper sends them. */
export function messagesOf(
  bodies: readonly (string | Buffer)[],
  from = 0,
  prev?: Buffer,
): Message[] {
  let last = prev
  return bodies.map((text, offset) => {
    const body = Buffer.from(text)
    const message = {
      ...{ kind: 'line' as const, index: from + offset, origin: '-' },
      ...{ sha256: sha256(body), prev: last, body },
    }
    last = message.sha256
    return message
  })
}

/** Lines of a log, from one index on. */
export function lines(from: number, count: number): Message[] {
  const bodies = Array.from({ length: count }, (_, offset) => lineText(from + offset))
  return messagesOf(bodies, from, from === 0 ? undefined : sha256(lineText(from - 1)))
}

/** All that reading gives. */
export async function collected(messages: AsyncIterable<StoredMessage>): Promise<StoredMessage[]> {
  const all: StoredMessage[] = []
  for await (const message of messages) all.push(message)
  return all
}
