import { SealError } from '../seal-error'
import { EMPTY_ROOT, nodeOf } from './hashes'

/**
 * Takes each node that becomes complete: the subtree of 2^level leaves whose first one is
 * index * 2^level. Leaves are of level 0.
 */
export type TakeNode = (level: number, index: number, hash: Buffer) => void

/**
 * A tree's right-hand edge: the roots of its complete subtrees, one for each 1 in the binary size. It is all
 * that appending and the root need, so that a tree of any size is extended in constant memory.
 */
export class Frontier {
  #size: number
  /** The largest subtree first. */
  readonly #roots: Buffer[]
  readonly #takeNode: TakeNode | undefined

  /** @param roots those of a tree of `size` leaves, the largest subtree first; {@link subtreesOf} names them */
  constructor(takeNode?: TakeNode, size = 0, roots: readonly Buffer[] = []) {
    if (roots.length !== countOnes(size)) {
      throw new SealError(
        `a tree of ${size} leaves has ${countOnes(size)} complete subtrees, not ${roots.length}`,
      )
    }
    this.#takeNode = takeNode
    this.#size = size
    this.#roots = [...roots]
  }

  /** Leaves so far. */
  get size(): number {
    return this.#size
  }

  /** Appends a leaf, which must not change afterwards. */
  append(leaf: Buffer): void {
    this.appendSubtree(0, leaf)
  }

  /** Appends a complete subtree of 2^level leaves by its root; the size must be a multiple of that. */
  appendSubtree(level: number, root: Buffer): void {
    const leaves = 2 ** level
    let [hash, above, index] = [root, level, this.#size / leaves]
    this.#takeNode?.(above, index, hash)
    while (index % 2 === 1) {
      hash = nodeOf(this.#roots.pop() ?? EMPTY_ROOT, hash)
      index = (index - 1) / 2
      this.#takeNode?.(++above, index, hash)
    }
    this.#roots.push(hash)
    this.#size += leaves
  }

  root(): Buffer {
    const { length } = this.#roots
    let hash = this.#roots[length - 1] ?? EMPTY_ROOT
    for (let i = length - 2; i >= 0; i--) hash = nodeOf(this.#roots[i] ?? EMPTY_ROOT, hash)
    return hash
  }
}

/** A complete subtree: that of 2^level leaves from index * 2^level on. */
export interface Subtree {
  readonly level: number
  readonly index: number
}

/** The complete subtrees of a tree, the largest first. */
export function subtreesOf(size: number): readonly Subtree[] {
  const found: Subtree[] = []
  let [level, index] = [0, size]
  for (; index > 0; level++) {
    if (index % 2 === 1) found.unshift({ level, index: index - 1 })
    index = Math.floor(index / 2)
  }
  return found
}

function countOnes(size: number): number {
  return subtreesOf(size).length
}
