import { Frontier, subtreesOf } from '../tree/frontier'
import { HASH_BYTES, leafOf } from '../tree/hashes'
import {
  nodesFrom,
  type ReadTile,
  rightmostTiles,
  TILE_HEIGHT,
  TILE_WIDTH,
  type Tile,
} from '../tree/tiles'

/** A tile with its hashes. */
export interface TileData extends Tile {
  readonly bytes: Buffer
}

/** A growing tree with the tiles that it adds: its right-hand edge, which suffices for its root and for what comes. */
export class TileBuilder {
  readonly #frontier: Frontier
  /** The hashes of each level's right-hand tile. */
  readonly #edges: Buffer[] = []
  #full: TileData[] = []

  /** Goes on from a tree of this size, whose tiles can be read. */
  constructor(size: number, readTile: ReadTile) {
    const readNode = nodesFrom(readTile, size)
    const roots = subtreesOf(size).map(({ level, index }) => readNode(level, index))
    this.#frontier = new Frontier(
      (level, index, hash) => this.#take(level, index, hash),
      size,
      roots,
    )
    for (const tile of rightmostTiles(size)) readTile(tile).copy(this.#edgeAt(tile.level))
  }

  get size(): number {
    return this.#frontier.size
  }

  root(): Buffer {
    return this.#frontier.root()
  }

  /** Adds entries of 32 bytes each, and returns the tiles that are full now. */
  append(entries: Buffer): readonly TileData[] {
    this.#full = []
    for (let at = 0; at < entries.length; at += HASH_BYTES) {
      this.#frontier.append(leafOf(entries.subarray(at, at + HASH_BYTES)))
    }
    return this.#full
  }

  /** The tiles of the right-hand edge that are not full. */
  partialTiles(): readonly TileData[] {
    const partial = rightmostTiles(this.size).filter(({ width }) => width < TILE_WIDTH)
    return partial.map((tile) => {
      const edge = this.#edgeAt(tile.level)
      return { ...tile, bytes: Buffer.from(edge.subarray(0, tile.width * HASH_BYTES)) }
    })
  }

  #take(level: number, index: number, hash: Buffer): void {
    if (level % TILE_HEIGHT !== 0) return
    const tileLevel = level / TILE_HEIGHT
    const edge = this.#edgeAt(tileLevel)
    const place = index % TILE_WIDTH
    hash.copy(edge, place * HASH_BYTES)
    if (place < TILE_WIDTH - 1) return
    const tile = { level: tileLevel, index: (index - place) / TILE_WIDTH, width: TILE_WIDTH }
    this.#full.push({ ...tile, bytes: Buffer.from(edge) })
  }

  #edgeAt(level: number): Buffer {
    this.#edges[level] ??= Buffer.alloc(TILE_WIDTH * HASH_BYTES)
    return this.#edges[level]
  }
}
