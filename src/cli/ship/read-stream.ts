import { once } from 'node:events'
import { openStream } from '../../ship/open-stream'
import type { ShipNote } from '../../ship/shipper/line-source'
import type { StoredMessage } from '../../ship/stream/message'
import type { StreamOptions } from '../../ship/stream/stream'

const NEWLINE = Buffer.from('\n')
/** Of lines that are written at once. */
const WRITE_BYTES = 64 * 1024

/**
 * Writes a stream's lines to standard output. Markers, and lines that do not follow each other, are notes.
 * @param sinceMs older lines are left out
 * @returns false if a line is missing, or one was put in
 */
export async function readStream(
  url: string,
  options: StreamOptions,
  sinceMs: number | undefined,
  onNote: (note: ShipNote) => void,
): Promise<boolean> {
  const stream = await openStream(url, options)
  const chain = new Chain(sinceMs === undefined)
  try {
    let some: Buffer[] = []
    let bytes = 0
    for await (const message of stream.read(sinceMs === undefined ? {} : { sinceMs })) {
      if (message.kind === 'checkpoint') continue
      for (const note of chain.notesOn(message)) onNote({ kind: 'gap', message: note })
      if (message.kind !== 'line') continue
      some.push(message.body, NEWLINE)
      bytes += message.body.length + 1
      if (bytes < WRITE_BYTES) continue
      await write(Buffer.concat(some))
      some = []
      bytes = 0
    }
    await write(Buffer.concat(some))
    return chain.isWhole
  } finally {
    await stream.close()
  }
}

async function write(bytes: Buffer): Promise<void> {
  if (!process.stdout.write(bytes)) await once(process.stdout, 'drain')
}

/** Whether each message follows the one before it. */
class Chain {
  isWhole = true
  readonly #isAll: boolean
  #last: StoredMessage | undefined

  /** @param isAll whether none was left out on purpose */
  constructor(isAll: boolean) {
    this.#isAll = isAll
  }

  notesOn(message: StoredMessage): string[] {
    const last = this.#last
    this.#last = message
    const notes: string[] = []
    if (message.kind !== 'line') {
      notes.push(`in place of the line ${message.index}: ${message.body.toString()}`)
    }
    if (last === undefined) return notes
    const isNext = message.kind === 'gap' || message.index === last.index + 1
    const isBroken = isNext ? message.prev?.equals(last.sha256) !== true : this.#isAll
    if (!isBroken) return notes
    this.isWhole = false
    return [
      `the line ${message.index}, at ${message.position}, does not follow the line ${last.index}, at ${last.position}`,
      ...notes,
    ]
  }
}
