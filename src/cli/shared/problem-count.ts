import type { AuditProblem, ProblemKind } from '../../format/records'
import { formatCount } from '../../toolkit/text/numbers'
import { quoteArgument } from './escape'
import { fileName, STDIN } from './log-input'

/** Counts the lines of a log that are no events, to report them in one line: `verify` has the details. */
export class ProblemCount {
  readonly #kinds = new Map<ProblemKind, number>()
  readonly #files = new Set<string>()
  #count = 0
  #first = ''

  /** @param isLineKnown false if the reading began in the middle of the file */
  add(file: string, { kind, line, offset }: AuditProblem, isLineKnown = true): void {
    this.#count++
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1)
    this.#files.add(file)
    if (this.#first === '') this.#first = `${fileName(file)}:${isLineKnown ? line : '?'}:${offset}`
  }

  /** Lines that are no events so far. */
  get count(): number {
    return this.#count
  }

  /** Reports them on standard error, if there are any, and begins anew. */
  tell(): void {
    if (this.#count > 0) process.stderr.write(`x0x-exec-audit: ${this.#text()}\n`)
    this.#count = 0
    this.#kinds.clear()
    this.#files.clear()
    this.#first = ''
  }

  #text(): string {
    const lines =
      this.#count === 1 ? '1 line is no event' : `${formatCount(this.#count)} lines are no events`
    const kinds = [...this.#kinds]
      .map(([kind, count]) => `${formatCount(count)} ${kind}`)
      .join(', ')
    const files = [...this.#files].map((file) => (isStdin(file) ? STDIN : quoteArgument(file)))
    const where = this.#count === 1 ? `at ${this.#first}` : `the first at ${this.#first}`
    return `${lines} (${kinds}), ${where}; see x0x-exec-audit verify ${files.join(' ')}`
  }
}

/** By its name on the command line, or by the one for people. */
function isStdin(file: string): boolean {
  return file === STDIN || file === fileName(STDIN)
}
