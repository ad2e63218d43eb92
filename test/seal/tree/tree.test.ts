import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Frontier, subtreesOf } from '../../../src/seal/tree/frontier'
import { EMPTY_ROOT, entryOf, leafOf } from '../../../src/seal/tree/hashes'
import {
  consistencyProof,
  frontierAt,
  inclusionProof,
  isConsistent,
  rootAt,
  rootFromInclusion,
} from '../../../src/seal/tree/proofs'
import { refusal } from '../../support/refusal'
import { PlainTree, plainLeaf } from '../../support/seal/plain-tree'
import { TiledTree } from '../../support/seal/tiled-tree'

const SIZE_MAX = 1_100

/** From Go's sumdb/tlog, over the rows of the golden file. */
const GOLDEN_ROOTS: readonly (readonly [lines: number, root: string])[] = [
  [1, 'uGIx8VvNenUo+wRJkib1+kSNZN8AmiW0S0yXU5RFk84='],
  [2, 'ATq/2ycwPbhI4UY7nOSH3y9Nch+zvkhPxeNT+sY+uH4='],
  [3, 'pbeWwwzQatO2g6EgtbO2Ml43tTrV6bMjjD8wO1T1eD8='],
  [255, 'UzjfngEkIjAHVLDPoWU9E1kJH0nKSxpeIuj0OkuiZZQ='],
  [256, 'W01zf1jTIpCDJPcgLQRYqnpMruoqw/aMETBFQVin3v4='],
  [257, 'CsbwsVUsA7y7kedMoOvTCn5Pc8mKefw+zF2261Jh6R4='],
  [400, '0YPQjRnDiAT1dxg1hpgqAsjnZoUznS5XwTBD4BRIPV8='],
]

const entries = Array.from({ length: SIZE_MAX }, (_, i) => entryOf(Buffer.from(`line ${i}`)))
const leaves = entries.map(leafOf)
const plain = new PlainTree(entries.map(plainLeaf))
const tree = new TiledTree(leaves)

const areSame = (a: readonly Buffer[], b: readonly Buffer[]) =>
  Buffer.concat(a).equals(Buffer.concat(b))

describe('the tree', () => {
  it('has the roots that Go computes for the golden lines', () => {
    const rows = readFileSync(join(__dirname, '../../fixtures/exec-audit.jsonl'), 'utf8').split(
      '\n',
    )
    const roots = GOLDEN_ROOTS.map(([lines]) => {
      const frontier = new Frontier()
      for (const row of rows.slice(0, lines)) frontier.append(leafOf(entryOf(Buffer.from(row))))
      return [frontier.size, frontier.root().toString('base64')]
    })
    expect(roots).toEqual(GOLDEN_ROOTS)
  })

  it(`has the root of RFC 6962 at each size from 0 to ${SIZE_MAX}: appended, and read out of tiles`, () => {
    const frontier = new Frontier()
    const wrong: number[] = []
    for (let size = 0; size <= SIZE_MAX; size++) {
      const expected = plain.root(0, size)
      const roots = [frontier.root(), rootAt(tree.nodes(), size), rootAt(tree.nodes(size), size)]
      if (!roots.every((root) => root.equals(expected))) wrong.push(size)
      const leaf = leaves[size]
      if (leaf !== undefined) frontier.append(leaf)
    }
    expect(wrong).toEqual([])
    expect(frontier.size).toBe(SIZE_MAX)
    expect(plain.root(0, 0)).toEqual(EMPTY_ROOT)
  })

  it('goes on from a right-hand edge that was read out of tiles', () => {
    for (const size of [0, 1, 255, 256, 257, 511, 512, 1_023, 1_024]) {
      const frontier = frontierAt(tree.nodes(size), size)
      for (const leaf of leaves.slice(size)) frontier.append(leaf)
      expect(frontier.root()).toEqual(plain.root(0, SIZE_MAX))
    }
  })

  it('keeps one hash per complete subtree', () => {
    expect(subtreesOf(11)).toEqual([
      { level: 3, index: 0 },
      { level: 1, index: 4 },
      { level: 0, index: 10 },
    ])
    expect(subtreesOf(2 ** 53 - 1)).toHaveLength(53)
    expect(refusal(() => new Frontier(undefined, 3, [EMPTY_ROOT]))).toBe(
      'SealError: a tree of 3 leaves has 2 complete subtrees, not 1',
    )
  })
})

describe('proofs of inclusion', () => {
  it(`are those of RFC 6962 for each index of each size up to 70, and lead to the root`, () => {
    const wrong: (readonly number[])[] = []
    for (let size = 1; size <= 70; size++) {
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(tree.nodes(size), index, size)
        const isExpected = areSame(proof, plain.path(index, 0, size))
        const root = rootFromInclusion(leaves[index] ?? EMPTY_ROOT, index, size, proof)
        if (!isExpected || root?.equals(plain.root(0, size)) !== true) wrong.push([index, size])
      }
    }
    expect(wrong).toEqual([])
  })

  it('lead to the root over several tiles', () => {
    for (const index of [0, 255, 256, 511, 1_023, 1_024, SIZE_MAX - 1]) {
      const proof = inclusionProof(tree.nodes(), index, SIZE_MAX)
      expect(proof).toEqual(plain.path(index, 0, SIZE_MAX))
      const root = rootFromInclusion(leaves[index] ?? EMPTY_ROOT, index, SIZE_MAX, proof)
      expect(root).toEqual(tree.root())
    }
  })

  it('lead nowhere if they are too short, too long, or of another index', () => {
    const size = 70
    const root = plain.root(0, size)
    const proof = inclusionProof(tree.nodes(size), 5, size)
    const leaf = leaves[5] ?? EMPTY_ROOT
    expect(rootFromInclusion(leaf, 5, size, proof.slice(1))).toBe(undefined)
    expect(rootFromInclusion(leaf, 5, size, [...proof, root])).toBe(undefined)
    expect(rootFromInclusion(leaf, size, size, proof)).toBe(undefined)
    expect(rootFromInclusion(leaf, 4, size, proof)).not.toEqual(root)
    expect(rootFromInclusion(leaves[6] ?? EMPTY_ROOT, 5, size, proof)).not.toEqual(root)
  })
})

describe('proofs of consistency', () => {
  const head = (size: number) => ({ size, root: plain.root(0, size) })

  it('are those of RFC 6962 for each pair of sizes up to 70, and hold', () => {
    const wrong: (readonly number[])[] = []
    for (let size = 1; size <= 70; size++) {
      for (let old = 1; old <= size; old++) {
        const proof = consistencyProof(tree.nodes(size), old, size)
        const isExpected = areSame(proof, plain.consistency(old, size))
        const isHeld = isConsistent(head(old), head(size), proof)
        if (!isExpected || !isHeld) wrong.push([old, size])
      }
    }
    expect(wrong).toEqual([])
  })

  it('hold over several tiles, and from the empty tree', () => {
    for (const old of [0, 1, 255, 256, 257, 1_000, 1_024, SIZE_MAX - 1, SIZE_MAX]) {
      const proof = consistencyProof(tree.nodes(), old, SIZE_MAX)
      expect(isConsistent(head(old), head(SIZE_MAX), proof)).toBe(true)
    }
  })

  it('do not hold for another tree, or another proof', () => {
    const other = { size: 70, root: plain.root(1, 71) }
    for (let old = 1; old <= 70; old++) {
      const proof = consistencyProof(tree.nodes(70), old, 70)
      const isOfOther = isConsistent(head(old), other, proof)
      const hasOtherOld = isConsistent({ size: old, root: plain.root(1, old + 1) }, head(70), proof)
      const isTooLong = isConsistent(head(old), head(70), [...proof, other.root])
      const isTooShort = proof.length > 0 && isConsistent(head(old), head(70), proof.slice(1))
      expect([isOfOther, hasOtherOld, isTooLong, isTooShort]).toEqual([false, false, false, false])
    }
    expect(isConsistent(head(70), head(69), [])).toBe(false)
    expect(isConsistent(head(0), head(70), [EMPTY_ROOT])).toBe(false)
  })
})
