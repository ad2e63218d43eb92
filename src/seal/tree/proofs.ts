import { Frontier, subtreesOf } from './frontier'
import { nodeOf } from './hashes'

/*
 * Proofs of RFC 6962, section 2.1, and their checks of RFC 9162, sections 2.1.3.2 and 2.1.4.2. Indexes and sizes go
 * up to 2^53, so they are halved by division and not by shifts.
 */

/** The hash of a complete subtree: that of 2^level leaves from index * 2^level on. */
export type ReadNode = (level: number, index: number) => Buffer

/** The largest power of two below n, and its exponent; n is at least 2. */
function splitOf(n: number): { readonly size: number; readonly level: number } {
  let [size, level] = [1, 0]
  for (; size * 2 < n; level++) size *= 2
  return { size, level }
}

/** The root of the leaves from `start` to before `end`, in a range that RFC 6962 splits off. */
function rangeRoot(readNode: ReadNode, start: number, end: number): Buffer {
  const count = end - start
  if (count === 1) return readNode(0, start)
  const { size, level } = splitOf(count)
  if (size * 2 === count) return readNode(level + 1, start / count)
  return nodeOf(rangeRoot(readNode, start, start + size), rangeRoot(readNode, start + size, end))
}

/** The root of a tree's first `size` leaves. */
export function rootAt(readNode: ReadNode, size: number): Buffer {
  return frontierAt(readNode, size).root()
}

/** The right-hand edge of a tree's first `size` leaves. */
export function frontierAt(readNode: ReadNode, size: number): Frontier {
  const roots = subtreesOf(size).map(({ level, index }) => readNode(level, index))
  return new Frontier(undefined, size, roots)
}

/** The proof that the leaf at `index` is in the tree of `size` leaves, the leaf's sibling first. */
export function inclusionProof(readNode: ReadNode, index: number, size: number): Buffer[] {
  const proof: Buffer[] = []
  let [start, end] = [0, size]
  while (end - start > 1) {
    const middle = start + splitOf(end - start).size
    if (index < middle) {
      proof.unshift(rangeRoot(readNode, middle, end))
      end = middle
    } else {
      proof.unshift(rangeRoot(readNode, start, middle))
      start = middle
    }
  }
  return proof
}

/** The proof that the tree of `size` leaves begins with that of `oldSize`; empty if either is 0 or they are equal. */
export function consistencyProof(readNode: ReadNode, oldSize: number, size: number): Buffer[] {
  if (oldSize === 0 || oldSize === size) return []
  const proof: Buffer[] = []
  let [start, end] = [0, size]
  // The old tree's end lies within the range, and is not the range's end, until it is.
  while (oldSize < end) {
    const middle = start + splitOf(end - start).size
    if (oldSize <= middle) {
      proof.unshift(rangeRoot(readNode, middle, end))
      end = middle
    } else {
      proof.unshift(rangeRoot(readNode, start, middle))
      start = middle
    }
  }
  // Only if the rest is the whole old tree is its hash known to who checks the proof.
  if (start > 0) proof.unshift(rangeRoot(readNode, start, end))
  return proof
}

/** The root that a proof of inclusion leads to; undefined if it has not the length that it must have. */
export function rootFromInclusion(
  leaf: Buffer,
  index: number,
  size: number,
  proof: readonly Buffer[],
): Buffer | undefined {
  if (index < 0 || index >= size) return undefined
  let [first, last] = [index, size - 1]
  let hash = leaf
  for (const sibling of proof) {
    if (last === 0) return undefined
    if (first % 2 === 1 || first === last) {
      hash = nodeOf(sibling, hash)
      while (first % 2 === 0 && first !== 0) [first, last] = [first / 2, Math.floor(last / 2)]
    } else {
      hash = nodeOf(hash, sibling)
    }
    ;[first, last] = [Math.floor(first / 2), Math.floor(last / 2)]
  }
  return last === 0 ? hash : undefined
}

/** The size and root of a tree. */
export interface TreeHead {
  readonly size: number
  readonly root: Buffer
}

/** Whether a proof shows that the newer tree begins with the older one. */
export function isConsistent(old: TreeHead, head: TreeHead, proof: readonly Buffer[]): boolean {
  if (old.size > head.size) return false
  if (old.size === head.size) return proof.length === 0 && old.root.equals(head.root)
  if (old.size === 0) return proof.length === 0
  let [first, last] = [old.size - 1, head.size - 1]
  while (first % 2 === 1) [first, last] = [(first - 1) / 2, Math.floor(last / 2)]
  const hashes = first === 0 ? [old.root, ...proof] : proof
  const [start, ...siblings] = hashes
  if (start === undefined) return false
  let [oldRoot, newRoot] = [start, start]
  for (const sibling of siblings) {
    if (last === 0) return false
    if (first % 2 === 1 || first === last) {
      oldRoot = nodeOf(sibling, oldRoot)
      newRoot = nodeOf(sibling, newRoot)
      while (first % 2 === 0 && first !== 0) [first, last] = [first / 2, Math.floor(last / 2)]
    } else {
      newRoot = nodeOf(newRoot, sibling)
    }
    ;[first, last] = [Math.floor(first / 2), Math.floor(last / 2)]
  }
  return last === 0 && oldRoot.equals(old.root) && newRoot.equals(head.root)
}
