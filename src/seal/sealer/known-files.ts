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
  /** The numbers of files whose lines were all blank so far, and how many these were. */
  readonly #blank = new Map<string, number>()
  /** How many lines such files had whose numbers another file has now. */
  readonly #replaced = new Set<number>()

  /**
   * Notes lines of a file that were sealed.
   * @param offset where the first of them begins in the file's text
   * @param leaves theirs, in order; read only as far as they are needed
   */
  add(file: FileIdentity, offset: number, leaves: Iterable<Buffer>): void {
    const numbers = numbersOf(file)
    let count = this.#blank.get(numbers)
    if (offset === 0) {
      if (count !== undefined) this.#replaced.add(count)
      count = 0
    }
    if (count === undefined) return
    for (const leaf of leaves) {
      if (!leaf.equals(BLANK_LEAF)) {
        this.#marks.add(leaf.toString('hex'))
        this.#blank.delete(numbers)
        return
      }
      count++
    }
    this.#blank.set(numbers, count)
  }

  /** Whether lines of this file were sealed. It is read from its start, and stands anywhere after. */
  async has(file: LogFile): Promise<boolean> {
    let count = 0
    await file.seek(0)
    for await (const { entry } of hashedLines(file)) {
      const leaf = leafOf(entry)
      if (!leaf.equals(BLANK_LEAF)) return this.#marks.has(leaf.toString('hex'))
      count++
    }
    return this.#blank.has(numbersOf(file)) || (file.isPacked && this.#hadLines(count))
  }

  /** Whether a sealed file consisted of this many blank lines. Packing has given it another inode since. */
  #hadLines(count: number): boolean {
    return this.#replaced.has(count) || [...this.#blank.values()].includes(count)
  }
}

function numbersOf({ device, inode }: FileIdentity): string {
  return `${device}:${inode}`
}
