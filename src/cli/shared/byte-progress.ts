import type { SingleBar } from 'cli-progress'
import { newBar } from './bar'

const SHOWN_AFTER_MS = 500
const MB = 1e6

/** A bar over the bytes of large inputs, with MB/s, if standard error is a terminal; nothing otherwise. */
export class ByteProgress {
  readonly #totalBytes: number
  readonly #stream: NodeJS.WriteStream
  readonly #startMs = performance.now()
  #bar: SingleBar | undefined
  #doneBytes = 0

  /** @param totalBytes 0 if it is unknown: then there is no bar */
  constructor(totalBytes: number, stream: NodeJS.WriteStream = process.stderr) {
    this.#totalBytes = totalBytes
    this.#stream = stream
  }

  /** Advances by the bytes that were read since the last call. */
  advance(bytes: number): void {
    this.#doneBytes += bytes
    if (this.#stream.isTTY !== true || this.#totalBytes === 0) return
    const elapsedMs = performance.now() - this.#startMs
    // Work that ends before anyone looks needs no bar.
    if (elapsedMs < SHOWN_AFTER_MS) return
    this.#bar ??= this.#start()
    const speed = (this.#doneBytes / MB / (elapsedMs / 1_000)).toFixed(0)
    this.#bar.update(Math.min(this.#doneBytes, this.#totalBytes), { speed })
  }

  /** Clears the bar; it comes back as the work advances. */
  stop(): void {
    this.#bar?.stop()
    this.#bar = undefined
  }

  #start(): SingleBar {
    const format = '{bar} {percentage}%  {speed} MB/s  {eta_formatted} left'
    // The cursor is not hidden: it would stay so when the user interrupts.
    const bar = newBar(this.#stream, format, null)
    bar.start(this.#totalBytes, 0, { speed: '0' })
    return bar
  }
}
