import type { Checkpoint } from '../note/checkpoint'
import { HASH_BYTES } from '../tree/hashes'
import { hashIn, type ReadTile, TILE_WIDTH, tileIn } from '../tree/tiles'

/** One tree of a seal: the current one, or one that was kept when the seal was begun again. */
export interface SealTree {
  readonly checkpoint: Checkpoint
  readonly readTile: ReadTile
  /** Its tiles of the lowest level that are missing or were changed, by their indexes. */
  readonly badTiles: ReadonlySet<number>
  /** Leaves before its first line: 1 in a tree that continues another one, else 0. */
  readonly leadingLeaves: number
}

/** Where a line's hash stands. */
export interface SealedPlace {
  readonly origin: string
  /** In the tree of that origin. */
  readonly index: number
}

interface Part extends SealTree {
  /** The number of the part's first line, over all trees. */
  readonly first: number
  readonly lines: number
}

/**
 * The hashes of all sealed lines, over the trees of a seal, the oldest first. Lines are numbered from 0 on; in a seal that was
 * never begun again the number is the index in the tree.
 */
export class SealedLines {
  readonly count: number
  readonly #parts: readonly Part[]
  /** The tile that was read last, and the lines that it holds. */
  #tile: Buffer | undefined
  #from = 0
  #to = 0
  /** The place of the line `from` in the tile. */
  #placeOfFrom = 0

  constructor(trees: readonly SealTree[]) {
    let count = 0
    this.#parts = trees.map((tree) => {
      const lines = Math.max(0, tree.checkpoint.size - tree.leadingLeaves)
      const part = { ...tree, first: count, lines }
      count += lines
      return part
    })
    this.count = count
  }

  /** Where the trees that were given up end: the number of the line behind each. */
  get endsOfOldTrees(): readonly number[] {
    return this.#parts.slice(0, -1).map(({ first, lines }) => first + lines)
  }

  placeOf(line: number): SealedPlace {
    const part = this.#partOf(line)
    if (part === undefined) return { origin: '', index: line }
    return { origin: part.checkpoint.origin, index: line - part.first + part.leadingLeaves }
  }

  /** The number of the line with this index in a tree. @param tree its place, the oldest is 0; default: the newest */
  numberOf(index: number, tree = this.#parts.length - 1): number {
    const part = this.#parts[tree]
    return part === undefined ? index : part.first + index - part.leadingLeaves
  }

  /**
   * Whether the line has this leaf. A leaf that cannot be read, since its tile is damaged, is any line's: the tile
   * itself is reported.
   */
  isAt(line: number, leaf: Buffer): boolean {
    if (line >= this.count) return false
    if (line < this.#from || line >= this.#to) this.#load(line)
    if (this.#tile === undefined) return true
    const start = (line - this.#from + this.#placeOfFrom) * HASH_BYTES
    return this.#tile.compare(leaf, 0, HASH_BYTES, start, start + HASH_BYTES) === 0
  }

  /** A sealed line's leaf; undefined if there is none, or its tile is damaged. */
  leafAt(line: number): Buffer | undefined {
    if (line >= this.count) return undefined
    if (line < this.#from || line >= this.#to) this.#load(line)
    if (this.#tile === undefined) return undefined
    return hashIn(this.#tile, line - this.#from + this.#placeOfFrom)
  }

  #partOf(line: number): Part | undefined {
    return this.#parts.find(({ first, lines }) => line >= first && line < first + lines)
  }

  #load(line: number): void {
    const part = this.#partOf(line)
    if (part === undefined) return
    const index = line - part.first + part.leadingLeaves
    const tileIndex = Math.floor(index / TILE_WIDTH)
    const isBad = part.badTiles.has(tileIndex)
    const tile = isBad ? undefined : tileIn(part.checkpoint.size, 0, tileIndex)
    this.#tile = tile === undefined ? undefined : part.readTile(tile)
    const firstLine = part.first - part.leadingLeaves + tileIndex * TILE_WIDTH
    this.#from = Math.max(firstLine, part.first)
    this.#to = Math.min(firstLine + TILE_WIDTH, part.first + part.lines)
    this.#placeOfFrom = this.#from - firstLine
  }
}
