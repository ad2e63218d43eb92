import { SealError } from '../seal-error'
import { HASH_BYTES, nodeOf } from './hashes'
import type { ReadNode } from './proofs'

/*
 * Tiles of C2SP tlog-tiles: files of up to 256 consecutive hashes of a tree level that is a multiple of 8. The
 * levels between are computed from them.
 */

/** Levels of the tree per tile, and the hashes of a full one. */
export const TILE_HEIGHT = 8
export const TILE_WIDTH = 2 ** TILE_HEIGHT
const LEVEL_MAX = 63

/** A tile: the `width` hashes from index * 256 on of the tree's level `level` * 8. */
export interface Tile {
  /** 0 to 63. */
  readonly level: number
  readonly index: number
  /** 1 to 256; below 256 the tile is partial. */
  readonly width: number
}

/** The tile's path below the seal's folder, such as `tile/0/x001/234.p/17`. */
export function tilePath({ level, index, width }: Tile): string {
  const partial = width < TILE_WIDTH ? `.p/${width}` : ''
  return `tile/${level}/${indexPath(index)}${partial}`
}

function indexPath(index: number): string {
  const last = String(index % 1_000).padStart(3, '0')
  let path = last
  for (let rest = Math.floor(index / 1_000); rest > 0; rest = Math.floor(rest / 1_000)) {
    path = `x${String(rest % 1_000).padStart(3, '0')}/${path}`
  }
  return path
}

const PATH = /^tile\/(\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/

/** The tile that a path names; undefined if it is none in its one spelling. */
export function parseTilePath(path: string): Tile | undefined {
  const [, level, digits, width] = PATH.exec(path) ?? []
  if (level === undefined || digits === undefined) return undefined
  const index = Number(digits.replaceAll(/[x/]/g, ''))
  const tile = { level: Number(level), index, width: Number(width ?? TILE_WIDTH) }
  return tilePath(tile) === path && tile.level <= LEVEL_MAX ? tile : undefined
}

/** The hashes of a level of tiles in a tree of `size` leaves. */
function hashesAt(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level)
}

/** The tile of a place in a tree of `size` leaves, as wide as it is there; undefined if it is empty. */
export function tileIn(size: number, level: number, index: number): Tile | undefined {
  const width = Math.min(TILE_WIDTH, hashesAt(level, size) - index * TILE_WIDTH)
  return width > 0 ? { level, index, width } : undefined
}

/** The rightmost tile of each level of a tree: full, or partial. */
export function rightmostTiles(size: number): readonly Tile[] {
  const tiles: Tile[] = []
  for (let level = 0; hashesAt(level, size) > 0; level++) {
    const index = Math.ceil(hashesAt(level, size) / TILE_WIDTH) - 1
    const tile = tileIn(size, level, index)
    if (tile !== undefined) tiles.push(tile)
  }
  return tiles
}

/** A hash of a tile, by its place in it. */
export function hashIn(tile: Buffer, place: number): Buffer {
  return tile.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES)
}

/** The root of `count` consecutive hashes of a tile, a power of two of them. */
function rootOfHashes(tile: Buffer, first: number, count: number): Buffer {
  if (count === 1) return hashIn(tile, first)
  const half = count / 2
  return nodeOf(rootOfHashes(tile, first, half), rootOfHashes(tile, first + half, half))
}

/** Reads the bytes of a tile; throws a {@link SealError} that names a tile which is not there. */
export type ReadTile = (tile: Tile) => Buffer

/** Throws if these are not the bytes of so wide a tile. */
export function checkTileBytes(tile: Tile, bytes: Buffer): void {
  const expected = tile.width * HASH_BYTES
  if (bytes.length === expected) return
  throw new SealError(
    `${tilePath(tile)}: expected ${expected} bytes, got ${bytes.length}: the tile is damaged`,
  )
}

/** Reads the nodes of a tree of `size` leaves out of its tiles. */
export function nodesFrom(readTile: ReadTile, size: number): ReadNode {
  return (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT)
    const count = 2 ** (level % TILE_HEIGHT)
    const first = index * count
    const tile = tileIn(size, tileLevel, Math.floor(first / TILE_WIDTH))
    const place = first % TILE_WIDTH
    if (tile === undefined || place + count > tile.width) {
      throw new SealError(`a tree of ${size} leaves has no node ${index} of level ${level}`)
    }
    const bytes = readTile(tile)
    checkTileBytes(tile, bytes)
    return rootOfHashes(bytes, place, count)
  }
}
