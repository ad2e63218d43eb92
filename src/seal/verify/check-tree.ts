import { SealError } from '../seal-error'
import { Frontier } from '../tree/frontier'
import { HASH_BYTES } from '../tree/hashes'
import type { TreeHead } from '../tree/proofs'
import {
  hashIn,
  type ReadTile,
  rightmostTiles,
  TILE_HEIGHT,
  TILE_WIDTH,
  type Tile,
  tileIn,
  tilePath,
} from '../tree/tiles'

/** What the tiles of a tree are worth against its signed root. */
export interface TreeCheck {
  /** Tiles of the lowest level whose hashes are not those that were signed, by their indexes. */
  readonly badTiles: ReadonlySet<number>
  /** What is wrong, a tile per entry. */
  readonly problems: readonly string[]
}

/** Reads all tiles of a tree once, computes its root, and names those that do not lead to it. */
export function checkTree(head: TreeHead, readTile: ReadTile): TreeCheck {
  return new TreeReader(head, readTile).check()
}

class TreeReader {
  readonly #head: TreeHead
  readonly #readTile: ReadTile
  readonly #problems = new Map<string, string>()
  readonly #badTiles = new Set<number>()
  /** Tiles whose own hashes lead to another one than the tile above has: those below, and those above. */
  readonly #below = new Set<string>()
  readonly #above = new Set<string>()
  readonly #suspects = new Set<number>()
  /** The last tile that was read of each level above the lowest. */
  readonly #upper = new Map<number, { readonly path: string; readonly bytes: Buffer | undefined }>()

  constructor(head: TreeHead, readTile: ReadTile) {
    this.#head = head
    this.#readTile = readTile
  }

  check(): TreeCheck {
    const frontier = new Frontier((level, index, hash) => {
      if (level > 0 && level % TILE_HEIGHT === 0) this.#compare(level / TILE_HEIGHT, index, hash)
    })
    const tiles = Math.ceil(this.#head.size / TILE_WIDTH)
    let isKnown = true
    for (let index = 0; index < tiles; index++) {
      isKnown &&= this.#appendTile(frontier, index)
      // Behind a part whose root is unknown no hash leads to the tree's.
      if (!isKnown) this.#badTiles.add(index)
    }
    const isWhole = frontier.size === this.#head.size
    const isRoot = isWhole && frontier.root().equals(this.#head.root)
    if (isRoot) for (const path of this.#above) this.#report(path, 'it was changed')
    else this.#blameBelow(isWhole)
    return { badTiles: this.#badTiles, problems: [...this.#problems.values()] }
  }

  /** False if the tile cannot be read, and its root neither. */
  #appendTile(frontier: Frontier, index: number): boolean {
    const tile = tileIn(this.#head.size, 0, index)
    if (tile === undefined) return false
    const bytes = this.#read(tile)
    if (bytes !== undefined) {
      for (let place = 0; place < tile.width; place++) frontier.append(hashIn(bytes, place))
      return true
    }
    this.#badTiles.add(index)
    const root = tile.width === TILE_WIDTH ? this.#hashAbove(1, index) : undefined
    if (root !== undefined) frontier.appendSubtree(TILE_HEIGHT, root)
    return root !== undefined
  }

  /** The root is another one: of the tiles at fault those below are named, which others lead to. */
  #blameBelow(isWhole: boolean): void {
    for (const path of this.#below) this.#report(path, 'it was changed')
    for (const index of this.#suspects) this.#badTiles.add(index)
    if (this.#problems.size > 0) return
    const [last] = rightmostTiles(this.#head.size)
    if (last === undefined || !isWhole) return
    // No tile lies above a partial one, nor is it known which of those that fit each other is wrong.
    this.#badTiles.add(last.index)
    const above = rightmostTiles(this.#head.size).slice(1).map(tilePath)
    const others = above.length === 0 ? '' : `, or ${above.join(', or ')}`
    this.#report(tilePath(last), `it was changed${others}: the root is another one`)
  }

  /** Compares a node that was computed with the one in the tile of its level. */
  #compare(level: number, index: number, hash: Buffer): void {
    const stored = this.#hashAbove(level, index)
    if (stored === undefined || stored.equals(hash)) return
    const tile = tileIn(this.#head.size, level, Math.floor(index / TILE_WIDTH))
    if (tile !== undefined) this.#above.add(tilePath(tile))
    const below = tileIn(this.#head.size, level - 1, index)
    // Of a wrong tile all those above it are wrong, too: the lowest one is it.
    if (below === undefined || level > 1) return
    this.#below.add(tilePath(below))
    this.#suspects.add(index)
  }

  #hashAbove(level: number, index: number): Buffer | undefined {
    const tile = tileIn(this.#head.size, level, Math.floor(index / TILE_WIDTH))
    if (tile === undefined) return undefined
    const path = tilePath(tile)
    const known = this.#upper.get(level)
    const bytes = known?.path === path ? known.bytes : this.#read(tile)
    this.#upper.set(level, { path, bytes })
    return bytes === undefined ? undefined : hashIn(bytes, index % TILE_WIDTH)
  }

  #read(tile: Tile): Buffer | undefined {
    const path = tilePath(tile)
    try {
      const bytes = this.#readTile(tile)
      const expected = tile.width * HASH_BYTES
      if (bytes.length === expected) return bytes
      this.#report(path, `it has ${bytes.length} bytes instead of ${expected}`)
    } catch (thrown) {
      if (!(thrown instanceof SealError)) throw thrown
      this.#report(path, thrown.message)
    }
    return undefined
  }

  #report(path: string, why: string): void {
    if (!this.#problems.has(path)) this.#problems.set(path, `${path}: ${why}`)
  }
}
