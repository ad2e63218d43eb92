import { Frontier } from '../../../src/seal/tree/frontier'
import { HASH_BYTES } from '../../../src/seal/tree/hashes'
import type { ReadNode } from '../../../src/seal/tree/proofs'
import {
  nodesFrom,
  type ReadTile,
  TILE_HEIGHT,
  type Tile,
  tileIn,
  tilePath,
} from '../../../src/seal/tree/tiles'

/** A tree of leaves with its tiles, in memory. */
export class TiledTree {
  readonly #levels: Buffer[][] = []
  readonly #frontier = new Frontier((level, index, hash) => {
    if (level % TILE_HEIGHT !== 0) return
    const hashes = this.#levels[level / TILE_HEIGHT] ?? []
    this.#levels[level / TILE_HEIGHT] = hashes
    hashes[index] = hash
  })

  constructor(leaves: Iterable<Buffer>) {
    for (const leaf of leaves) this.#frontier.append(leaf)
  }

  get size(): number {
    return this.#frontier.size
  }

  root(): Buffer {
    return this.#frontier.root()
  }

  /** The bytes of a tile. */
  readonly readTile: ReadTile = ({ level, index, width }: Tile) => {
    const hashes = this.#levels[level] ?? []
    return Buffer.concat(hashes.slice(index * 256, index * 256 + width))
  }

  /** The nodes of the tree's first `size` leaves, out of its tiles. */
  nodes(size = this.size): ReadNode {
    return nodesFrom(this.readTile, size)
  }

  /** Each tile of the tree, as a path and its bytes. */
  files(): ReadonlyMap<string, Buffer> {
    const files = new Map<string, Buffer>()
    for (const [level, hashes] of this.#levels.entries()) {
      for (let index = 0; index * 256 < hashes.length; index++) {
        const tile = tileIn(this.size, level, index)
        if (tile === undefined) continue
        const bytes = this.readTile(tile)
        if (bytes.length === tile.width * HASH_BYTES) files.set(tilePath(tile), bytes)
      }
    }
    return files
  }
}
