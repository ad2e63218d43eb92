import { openStream } from '../../../src/ship/open-stream'
import type { StoredMessage } from '../../../src/ship/stream/message'

/** All messages of a stream. Throws unless each one follows the one before it, by its index and its hash. */
export async function messagesOf(to: string, stream: string): Promise<StoredMessage[]> {
  const opened = await openStream(to, { stream })
  try {
    const messages: StoredMessage[] = []
    let last: StoredMessage | undefined
    for await (const message of opened.read()) {
      messages.push(message)
      if (message.kind === 'checkpoint') continue
      const isNext = last === undefined || message.index === last.index + 1
      const isLinked = last === undefined || message.prev?.equals(last.sha256) === true
      if (!isNext || !isLinked) throw new Error(`${message.index} follows ${last?.index}`)
      last = message
    }
    return messages
  } finally {
    await opened.close()
  }
}

/** A stream's messages as text: lines as they are, markers as they are. */
export async function shippedLines(to: string, stream: string): Promise<string[]> {
  const messages = await messagesOf(to, stream)
  return messages.map(({ body }) => body.toString())
}
