const LINES = 8_192
/** Longer ones are not kept, so that those that are take 32 MiB at most. */
const LINE_LENGTH_MAX = 4_096

/**
 * The last lines. If other processes append too, a writer whose worker died writes its last group
 * again (at least once): that puts the same lines there twice, not farther apart than a few groups.
 *
 * A good log never asks for a line, so the index is made by the first question, and dropped when none has come
 * for as many lines as there are in it: a line costs the same few steps however many are asked for.
 */
export class RecentLines {
  readonly #lines: string[] = []
  #next = 0
  /** How often each line is among them. */
  #index: Map<string, number> | undefined
  #unasked = 0
  #steps = 0

  /** Lines that were looked at so far: the work of the questions. */
  get steps(): number {
    return this.#steps
  }

  add(line: string): void {
    if (line.length > LINE_LENGTH_MAX) return
    const old = this.#lines[this.#next]
    this.#lines[this.#next] = line
    this.#next = (this.#next + 1) % LINES
    if (this.#index === undefined) return
    if (++this.#unasked > LINES) {
      this.#index = undefined
      return
    }
    if (old !== undefined) this.#count(this.#index, old, -1)
    this.#count(this.#index, line, 1)
  }

  has(line: string): boolean {
    this.#unasked = 0
    this.#index ??= this.#indexed()
    this.#steps++
    return this.#index.has(line)
  }

  #indexed(): Map<string, number> {
    const index = new Map<string, number>()
    for (const line of this.#lines) this.#count(index, line, 1)
    return index
  }

  #count(index: Map<string, number>, line: string, change: number): void {
    this.#steps++
    const times = (index.get(line) ?? 0) + change
    if (times === 0) index.delete(line)
    else index.set(line, times)
  }
}
