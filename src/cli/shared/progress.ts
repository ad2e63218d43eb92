import type { SingleBar } from 'cli-progress'
import { newBar } from './bar'

/** A bar with the time left, if standard error is a terminal; nothing otherwise. */
export class Progress {
  readonly #bar: SingleBar | undefined
  readonly #totalMs: number
  #doneMs = 0

  /** @param totalMs how long the whole is planned to take */
  constructor(totalMs: number, stream: NodeJS.WriteStream = process.stderr) {
    this.#totalMs = totalMs
    if (stream.isTTY !== true) return
    this.#bar = newBar(stream, '{bar} {percentage}%  {left} s left  {text}', true)
    this.#bar.start(totalMs, 0, { left: this.#leftSeconds(), text: '' })
  }

  /** Shows what is being done now. */
  tell(text: string): void {
    this.#bar?.update(this.#doneMs, { left: this.#leftSeconds(), text })
  }

  /** Advances by a part of the plan. */
  advance(ms: number): void {
    this.#doneMs = Math.min(this.#totalMs, this.#doneMs + ms)
    this.#bar?.update(this.#doneMs, { left: this.#leftSeconds() })
  }

  /** Clears the bar. */
  stop(): void {
    this.#bar?.stop()
  }

  #leftSeconds(): number {
    return Math.ceil((this.#totalMs - this.#doneMs) / 1_000)
  }
}
