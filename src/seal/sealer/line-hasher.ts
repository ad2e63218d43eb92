import { createHash, type Hash } from 'node:crypto'
import { NEWLINE } from '../../base/bytes'
import { entryOf, HASH_BYTES } from '../tree/hashes'

/**
 * Makes the entries of the tree from a log's text: the SHA-256 of each line without its newline. A line may come in
 * pieces of any size; the last one counts once its newline has come.
 */
export class LineHasher {
  #entries = Buffer.allocUnsafeSlow(HASH_BYTES * 1_024)
  #count = 0
  /** The line that has not ended in the chunks so far. */
  #begun: Hash | undefined

  /** Lines that have ended. */
  get count(): number {
    return this.#count
  }

  /** The entries so far, 32 bytes each; valid until the next {@link push} or {@link clear}. */
  get entries(): Buffer {
    return this.#entries.subarray(0, this.#count * HASH_BYTES)
  }

  /** The entry of a line that has ended, as a view; valid as {@link entries} are. */
  entryAt(index: number): Buffer {
    return this.#entries.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)
  }

  /** @param linesMax lines that are taken from the chunk at most. Returns how many bytes of it were taken. */
  push(chunk: Buffer, linesMax: number = Number.POSITIVE_INFINITY): number {
    let from = 0
    for (let lines = 0; lines < linesMax; lines++) {
      const end = chunk.indexOf(NEWLINE, from)
      if (end < 0) {
        if (from < chunk.length) {
          this.#begun ??= createHash('sha256')
          this.#begun.update(chunk.subarray(from))
        }
        return chunk.length
      }
      this.#add(chunk.subarray(from, end))
      from = end + 1
    }
    return from
  }

  /** Forgets a line that has begun: what comes next is the beginning of another one. */
  cut(): void {
    this.#begun = undefined
  }

  /** Forgets all lines but the first ones. */
  clear(count = 0): void {
    this.#count = count
    this.#begun = undefined
  }

  #add(rest: Buffer): void {
    const entry = this.#begun?.update(rest).digest() ?? entryOf(rest)
    this.#begun = undefined
    const at = this.#count * HASH_BYTES
    if (at === this.#entries.length) {
      this.#entries = Buffer.concat([this.#entries], 2 * this.#entries.length)
    }
    entry.copy(this.#entries, at)
    this.#count++
  }
}
