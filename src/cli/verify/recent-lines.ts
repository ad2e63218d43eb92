const LINES = 8_192
/** Longer ones are not kept, so that those that are take 32 MiB at most. */
const LINE_LENGTH_MAX = 4_096

/**
 * The last lines. If other processes append too, a writer whose worker died writes its last group
 * again (at least once): that puts the same lines there twice, not farther apart than a few groups.
 */
export class RecentLines {
  readonly #lines: string[] = []
  #next = 0

  add(line: string): void {
    if (line.length > LINE_LENGTH_MAX) return
    this.#lines[this.#next] = line
    this.#next = (this.#next + 1) % LINES
  }

  has(line: string): boolean {
    return this.#lines.includes(line)
  }
}
