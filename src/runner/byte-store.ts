const BLOCK_BYTES_MIN = 4 * 1024
const BLOCK_BYTES_MAX = 1024 * 1024

/**
 * Bytes that come in pieces and are wanted in one. They are copied into blocks: a piece of one byte that
 * is kept as a buffer of its own costs some hundred.
 */
export class ByteStore {
  #blocks: Buffer[] = []
  /** Unused bytes at the end of the last block. */
  #room = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  add(piece: Uint8Array): void {
    let rest = piece
    while (rest.length > 0) {
      const block = this.#room > 0 ? this.#blocks.at(-1) : undefined
      if (block === undefined) {
        this.#grow(rest.length)
        continue
      }
      const part = rest.subarray(0, this.#room)
      block.set(part, block.length - this.#room)
      this.#room -= part.length
      this.#length += part.length
      rest = rest.subarray(part.length)
    }
  }

  /** All bytes, as one buffer. The store is empty afterwards. */
  take(): Buffer {
    const all = Buffer.concat(this.#blocks, this.#length)
    this.#blocks = []
    this.#room = 0
    this.#length = 0
    return all
  }

  /** A block as large as what there is, so that at most half of the memory is unused. */
  #grow(wanted: number): void {
    const bytes = Math.max(this.#length, wanted, BLOCK_BYTES_MIN)
    const block = Buffer.allocUnsafeSlow(Math.min(bytes, BLOCK_BYTES_MAX))
    this.#blocks.push(block)
    this.#room = block.length
  }
}
