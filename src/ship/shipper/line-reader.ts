import type { LogFile } from '../../follow/log-file'
import { type CutLine, LineCutter } from './line-cutter'

/** Reads a file's lines one after the other, from its position on. */
export class LineReader {
  readonly #maxBytes: number
  #chunks: AsyncGenerator<Buffer, void> | undefined
  #cutter: LineCutter
  #lines: CutLine[] = []

  constructor(
    readonly file: LogFile,
    maxBytes: number,
  ) {
    this.#maxBytes = maxBytes
    this.#cutter = new LineCutter(maxBytes)
  }

  /** The next lines, as many as are at hand; none at the end of the file. */
  async take(linesMax: number): Promise<readonly CutLine[]> {
    while (this.#lines.length === 0) {
      this.#chunks ??= this.file.chunks()
      const { value, done } = await this.#chunks.next()
      if (done || value === undefined) {
        // A line that has only begun is read again.
        this.file.keep()
        this.#chunks = undefined
        this.#cutter = new LineCutter(this.#maxBytes)
        return []
      }
      this.#cutter.push(value, (line) => this.#lines.push(line))
    }
    return this.#lines.splice(0, linesMax)
  }

  async close(): Promise<void> {
    await this.#chunks?.return()
    await this.file.close()
  }
}
