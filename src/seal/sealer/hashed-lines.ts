import { type LogFile, RefusedFileError } from '../../follow/log-file'
import { LineHasher } from './line-hasher'

/** The entries of a file's lines from its position on, with where each line ends; as far as it can be unpacked. */
export async function* hashedLines(
  file: LogFile,
): AsyncGenerator<{ entry: Buffer; end: number }, void> {
  const hasher = new LineHasher()
  let at = file.position
  try {
    for await (const chunk of file.chunks()) {
      for (let used = 0; used < chunk.length; ) {
        used += hasher.push(chunk.subarray(used), 1)
        if (hasher.count === 0) break
        yield { entry: Buffer.from(hasher.entries), end: at + used }
        hasher.clear()
      }
      at += chunk.length
    }
  } catch (thrown) {
    if (!(thrown instanceof RefusedFileError)) throw thrown
  }
}
