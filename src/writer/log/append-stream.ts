import { SonicBoom } from 'sonic-boom'

/** Larger than any group, so that sonic-boom never cuts one. */
const UNLIMITED_WRITE = Number.MAX_SAFE_INTEGER

/**
 * sonic-boom over an open file: it appends the bytes before it returns, and reports exactly what happened.
 * After an error the file is not written through it again: sonic-boom would write the rejected bytes in
 * front of the next ones.
 */
export class AppendStream {
  readonly #stream: SonicBoom
  #error: unknown
  #lastWriteBytes = 0

  constructor(fd: number) {
    this.#stream = new SonicBoom({
      fd,
      sync: true,
      contentMode: 'buffer',
      minLength: 0,
      maxWrite: UNLIMITED_WRITE,
      // A regular file is never busy. If one is, that is an error like any other, and not a reason to
      // sleep and try again for ever.
      retryEAGAIN: () => false,
    })
    this.#stream.on('error', (error) => {
      this.#error = error
    })
    this.#stream.on('write', (bytes) => {
      this.#lastWriteBytes = bytes
    })
  }

  /** Appends the bytes; returns whether it was one `write(2)`. Throws the kernel's error. */
  append(bytes: Buffer): boolean {
    this.#error = undefined
    this.#lastWriteBytes = 0
    // sonic-boom's types know only the text mode.
    Reflect.apply(this.#stream.write, this.#stream, [bytes])
    if (this.#error !== undefined) throw this.#error
    return this.#lastWriteBytes === bytes.length
  }
}
