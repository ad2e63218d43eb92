import { openCheckpoint, parseCheckpoint } from '../seal/note/checkpoint'
import { parseNote } from '../seal/note/note'
import { parseVerifierKey } from '../seal/note/verifier-key'
import { SealError } from '../seal/seal-error'
import type { KeptCheckpoint } from '../seal/verify/anchors'
import { openStream } from './open-stream'
import type { StreamOptions } from './stream/stream'

/**
 * The checkpoint of the greatest size in a stream that one of the keys has signed: what a seal was, by the word of
 * somebody else. Notes that none has signed are passed over. It reads the whole stream.
 * @param keys verifier keys of the log. With none, signatures are not checked
 * @throws SealError if there is none, or for a key that is none; StreamError
 */
export async function newestCheckpoint(
  url: string,
  options: StreamOptions,
  keys: readonly string[],
): Promise<KeptCheckpoint> {
  const known = keys.map(parseVerifierKey)
  const sizeOf = (note: Buffer, where: string): number | undefined => {
    try {
      const claimed = parseCheckpoint(parseNote(note, where).text, where)
      const key = known.find(({ name }) => name === claimed.origin)
      if (known.length === 0) return claimed.size
      return key === undefined ? undefined : openCheckpoint(note, key, where).size
    } catch (thrown) {
      if (thrown instanceof SealError) return undefined
      throw thrown
    }
  }
  const stream = await openStream(url, options)
  try {
    let newest: (KeptCheckpoint & { readonly size: number }) | undefined
    for await (const { kind, body, position } of stream.read()) {
      if (kind !== 'checkpoint') continue
      const name = `${stream.name}, at ${position}`
      const size = sizeOf(body, name)
      if (size === undefined || size < (newest?.size ?? 0)) continue
      newest = { name, note: body, size }
    }
    if (newest !== undefined) return { name: newest.name, note: newest.note }
    throw new SealError(
      `${stream.name} has no checkpoint that is signed by the key; ship the log with --seal`,
    )
  } finally {
    await stream.close()
  }
}
