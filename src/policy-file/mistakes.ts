import { PolicyFileError, type PolicyFileMistake } from './errors'
import { isTable, parse } from './toml'

/** From the document down, such as `['exec', 'allow', 0, 'agent_id']`. */
export type KeyPath = readonly (string | number)[]

/** The mistakes of one file, so that all can be fixed at once. */
export class Mistakes {
  readonly #path: string
  readonly #lines: readonly string[]
  readonly #found: PolicyFileMistake[] = []
  /** What the first lines of the file say, by their number; undefined if they end within a value. */
  readonly #parsed = new Map<number, unknown>()

  constructor(path: string, text: string) {
    this.#path = path
    this.#lines = text.split(/\r?\n/)
  }

  get count(): number {
    return this.#found.length
  }

  add(key: KeyPath, problem: string): void {
    this.#found.push({ line: this.#lineOf(key), key: textOf(key), problem })
  }

  /** Throws one error for all of them, if there is any. */
  throwIfAny(): void {
    const sorted = this.#found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
    const [first] = sorted
    if (first === undefined) return
    const { problem, ...place } = first
    throw new PolicyFileError('POLICY_FILE_INVALID', this.#path, problem, {
      ...place,
      mistakes: sorted,
    })
  }

  /** The line, from 1, at which the key's statement begins; if the file has no such key, its table's. */
  #lineOf(key: KeyPath): number | undefined {
    if (key.length === 0) return undefined
    if (!this.#hasAfter(this.#lines.length, key)) return this.#lineOf(key.slice(0, -1))
    // The parser keeps no places. So this is the least number of lines after which the file has the key.
    let without = 0
    let within = this.#lines.length
    while (within - without > 1) {
      const middle = Math.floor((within + without) / 2)
      if (this.#hasAfter(middle, key)) within = middle
      else without = middle
    }
    return within
  }

  /** Whether the first lines, and what follows of the value in which they end, have the key. */
  #hasAfter(count: number, key: KeyPath): boolean {
    for (let lines = count; lines <= this.#lines.length; lines++) {
      const document = this.#parse(lines)
      if (document !== undefined) return has(document, key)
    }
    return false
  }

  #parse(count: number): unknown {
    if (!this.#parsed.has(count)) {
      this.#parsed.set(count, parsedOrNot(this.#lines.slice(0, count).join('\n')))
    }
    return this.#parsed.get(count)
  }
}

function parsedOrNot(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}

function has(document: unknown, key: KeyPath): boolean {
  let value = document
  for (const part of key) {
    const isThere = Array.isArray(value) || isTable(value) ? Object.hasOwn(value, part) : false
    if (!isThere) return false
    value = Reflect.get(Object(value), part)
  }
  return true
}

/** As in `exec.allow[0].agent_id`. */
function textOf(key: KeyPath): string {
  return key
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`
      return index === 0 ? part : `.${part}`
    })
    .join('')
}
