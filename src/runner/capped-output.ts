import { constants } from 'node:buffer'
import type { Readable } from 'node:stream'
import { ByteStore } from './byte-store'

/** How to treat one output of a command. */
export interface OutputRules {
  /** Bytes that are kept or handed on; the rest is only counted. */
  readonly cap: number
  /** Total at which `onApproach` is called; 0 for never. */
  readonly warnAt: number
  onApproach(total: number): void
  onCap(total: number): void
  /** Takes the output in place of keeping it; nothing more is read while its promise is pending. */
  readonly listener: ((chunk: Buffer) => unknown) | undefined
  onListenerError(error: unknown): void
}

/**
 * One output of a command. Beyond its cap it is still read, so that the command never blocks on it,
 * and counted.
 */
export class CappedOutput {
  readonly #stream: Readable
  readonly #rules: OutputRules
  readonly #store = new ByteStore()
  #taken = 0
  #total = 0
  #isHeard: boolean
  #delivery: Promise<void> = Promise.resolve()
  #delivering = 0

  constructor(stream: Readable, rules: OutputRules) {
    this.#stream = stream
    this.#rules = rules
    this.#isHeard = rules.listener !== undefined
    // A pipe that breaks ends; that is all there is to know.
    stream.on('error', () => undefined)
    stream.on('data', (chunk: Buffer) => this.#take(chunk))
  }

  /** Bytes read so far, including those beyond the cap. */
  get total(): number {
    return this.#total
  }

  /** Whether bytes were cut at the cap. */
  get isTruncated(): boolean {
    return this.#total > this.#taken
  }

  /** Whether the listener is busy with a chunk. */
  get isDelivering(): boolean {
    return this.#delivering > 0
  }

  /** Resolves when the listener has taken all that it was given so far. Never rejects. */
  get delivered(): Promise<void> {
    return this.#delivery
  }

  /** The kept bytes, as one buffer. Asked for once. */
  kept(): Buffer {
    return this.#store.take()
  }

  /** Stops reading; a process that still writes gets EPIPE. */
  letGo(): void {
    this.#stream.destroy()
  }

  #take(chunk: Buffer): void {
    const { cap, warnAt, onApproach, onCap, listener } = this.#rules
    const before = this.#total
    this.#total += chunk.length
    if (warnAt > 0 && before < warnAt && this.#total >= warnAt) onApproach(this.#total)
    const room = listener === undefined ? Math.min(cap, constants.MAX_LENGTH) : cap
    const part = chunk.subarray(0, Math.max(room - this.#taken, 0))
    this.#taken += part.length
    if (listener === undefined) this.#store.add(part)
    else if (this.#isHeard && part.length > 0) this.#deliver(listener, part)
    if (before < cap && this.#total >= cap) onCap(this.#total)
  }

  #deliver(listener: (chunk: Buffer) => unknown, part: Buffer): void {
    this.#delivering++
    this.#stream.pause()
    this.#delivery = this.#delivery.then(async () => {
      try {
        if (this.#isHeard) await listener(part)
      } catch (error) {
        this.#isHeard = false
        this.#rules.onListenerError(error)
      }
      this.#delivering--
      if (this.#delivering === 0) this.#goOn()
    })
  }

  /**
   * Takes all that has gathered meanwhile as one chunk: a flowing stream would hand it on piece by piece, and a
   * listener that is slow per chunk would fall behind a command that writes little at a time.
   */
  #goOn(): void {
    // With its length: without, Node 26 returns the first piece alone. It comes as an event, too.
    const { readableLength } = this.#stream
    if (readableLength > 0) this.#stream.read(readableLength)
    // Nothing beyond the cap is handed on.
    if (this.#delivering === 0) this.#stream.resume()
  }
}
