import { createHash, type Hash, hash } from 'node:crypto'
import { NEWLINE } from '../../base/bytes'

/** A line of the log, without its newline. */
export interface CutLine {
  /** Undefined if it is longer than the limit. */
  readonly body: Buffer | undefined
  readonly bytes: number
  readonly sha256: Buffer
}

/** The SHA-256 of bytes. */
export function sha256Of(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer')
}

/**
 * Cuts a log's text into lines, in constant memory: of a line above the limit only the length and the hash are kept.
 * A line may come in pieces of any size; it counts once its newline has come.
 */
export class LineCutter {
  readonly #maxBytes: number
  #pieces: Buffer[] = []
  #bytes = 0
  /** Of a line that is too long already. */
  #hash: Hash | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @param chunk is copied: it may be overwritten later */
  push(chunk: Buffer, onLine: (line: CutLine, endInChunk: number) => void): void {
    const own = Buffer.from(chunk)
    let from = 0
    for (let end = own.indexOf(NEWLINE); end >= 0; end = own.indexOf(NEWLINE, from)) {
      onLine(this.#end(own.subarray(from, end)), end + 1)
      from = end + 1
    }
    if (from < own.length) this.#add(own.subarray(from))
  }

  #clear(): void {
    this.#pieces = []
    this.#bytes = 0
    this.#hash = undefined
  }

  #add(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#hash === undefined && this.#bytes > this.#maxBytes) {
      this.#hash = createHash('sha256')
      for (const each of this.#pieces.splice(0)) this.#hash.update(each)
    }
    if (this.#hash === undefined) this.#pieces.push(piece)
    else this.#hash.update(piece)
  }

  #end(rest: Buffer): CutLine {
    if (this.#bytes === 0 && rest.length <= this.#maxBytes) {
      return { body: rest, bytes: rest.length, sha256: sha256Of(rest) }
    }
    this.#add(rest)
    const bytes = this.#bytes
    const body = this.#hash === undefined ? Buffer.concat(this.#pieces) : undefined
    const sha256 = body === undefined ? this.#hash?.digest() : sha256Of(body)
    this.#clear()
    return { body, bytes, sha256: sha256 ?? Buffer.alloc(0) }
  }
}
