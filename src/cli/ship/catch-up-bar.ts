import { ByteProgress } from '../shared/byte-progress'

/** A log with less that was not read is followed closely. */
const BEHIND_BYTES = 1024 * 1024

/** A bar on a terminal's standard error while a shipper catches up: at its start, and after an outage. */
export class CatchUpBar {
  #bar: ByteProgress | undefined
  #totalBytes = 0
  #unreadBytes = 0

  /** Shows how much was not read yet. */
  tell(unreadBytes: number): void {
    const before = this.#unreadBytes
    this.#unreadBytes = unreadBytes
    if (unreadBytes < BEHIND_BYTES) {
      this.clear()
      this.#bar = undefined
    } else if (this.#bar === undefined || unreadBytes >= this.#totalBytes) {
      // It does not get less yet: the server is away, or compressed files, whose text nobody has measured, come first.
      this.clear()
      this.#totalBytes = unreadBytes
      this.#bar = new ByteProgress(unreadBytes)
    } else this.#bar.advance(before - unreadBytes)
  }

  /** Clears the line for something else. */
  clear(): void {
    this.#bar?.stop()
  }
}
