import type { FileIdentity, LogFile } from '../../follow/log-file'
import { entryOf, leafOf } from '../tree/hashes'
import { hashedLines } from './hashed-lines'

/** The leaf of a line without characters: it tells nothing of the file that it stands in. */
export const BLANK_LEAF = leafOf(entryOf(new Uint8Array()))

/**
 * The files of which lines were sealed, by the first of these that is not blank. Their names and numbers are
 * believed only as long as all their lines are blank, since both change.
 */
export class KnownFiles {
  /** Leaves, in hex. */
  readonly #marks = new Set<string>()
  /** The numbers of files whose lines were all blank so far. */
  readonly #blank = new Set<string>()

  /**
   * Notes lines of a file that were sealed.
   * @param offset where the first of them begins in the file's text
   * @param leaves theirs, in order; read only as far as they are needed
   */
  add(file: FileIdentity, offset: number, leaves: Iterable<Buffer>): void {
    const numbers = numbersOf(file)
    if (offset === 0) this.#blank.add(numbers)
    if (!this.#blank.has(numbers)) return
    for (const leaf of leaves) {
      if (leaf.equals(BLANK_LEAF)) continue
      this.#marks.add(leaf.toString('hex'))
      this.#blank.delete(numbers)
      return
    }
  }

  /** Whether lines of this file were sealed. It is read from its start, and stands anywhere after. */
  async has(file: LogFile): Promise<boolean> {
    await file.seek(0)
    for await (const { entry } of hashedLines(file)) {
      const leaf = leafOf(entry)
      if (!leaf.equals(BLANK_LEAF)) return this.#marks.has(leaf.toString('hex'))
    }
    return this.#blank.has(numbersOf(file))
  }
}

function numbersOf({ device, inode }: FileIdentity): string {
  return `${device}:${inode}`
}
