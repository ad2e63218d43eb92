import { createHash } from 'node:crypto'

/*
 * RFC 6962, section 2.1, as it is written there: by recursion over lists, with nothing of the product in it.
 */

const sha256 = (...parts: Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export const plainLeaf = (entry: Uint8Array) => sha256(Buffer.of(0), entry)

/** The trees over the beginnings of one list of leaves; subtrees are hashed once. */
export class PlainTree {
  readonly #known = new Map<string, Buffer>()

  constructor(private readonly leaves: readonly Buffer[]) {}

  /** MTH(D[from:to]). */
  root(from: number, to: number): Buffer {
    const key = `${from}:${to}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const n = to - from
    let root: Buffer
    if (n === 0) root = sha256()
    else if (n === 1) root = this.leaves[from] ?? sha256()
    else {
      const k = split(n)
      root = sha256(Buffer.of(1), this.root(from, from + k), this.root(from + k, to))
    }
    this.#known.set(key, root)
    return root
  }

  /** PATH(m, D[from:to]). */
  path(m: number, from: number, to: number): Buffer[] {
    const n = to - from
    if (n <= 1) return []
    const k = split(n)
    return m < k
      ? [...this.path(m, from, from + k), this.root(from + k, to)]
      : [...this.path(m - k, from + k, to), this.root(from, from + k)]
  }

  /** PROOF(m, D[n]). */
  consistency(m: number, n: number): Buffer[] {
    return this.#subproof(m, 0, n, true)
  }

  #subproof(m: number, from: number, to: number, isWhole: boolean): Buffer[] {
    const n = to - from
    if (m === n) return isWhole ? [] : [this.root(from, to)]
    const k = split(n)
    return m <= k
      ? [...this.#subproof(m, from, from + k, isWhole), this.root(from + k, to)]
      : [...this.#subproof(m - k, from + k, to, false), this.root(from, from + k)]
  }
}

function split(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}
