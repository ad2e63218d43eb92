import { entryOf, leafOf } from '../../../src/seal/tree/hashes'
import {
  checkTileBytes,
  nodesFrom,
  parseTilePath,
  rightmostTiles,
  type Tile,
  tileIn,
  tilePath,
} from '../../../src/seal/tree/tiles'
import { refusal } from '../../support/refusal'
import { TiledTree } from '../../support/seal/tiled-tree'

const PATHS: readonly (readonly [Tile, string])[] = [
  [{ level: 0, index: 0, width: 256 }, 'tile/0/000'],
  [{ level: 0, index: 999, width: 1 }, 'tile/0/999.p/1'],
  [{ level: 1, index: 1_000, width: 255 }, 'tile/1/x001/000.p/255'],
  // The specification's own.
  [{ level: 0, index: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
  [{ level: 63, index: 2 ** 53 - 1, width: 256 }, 'tile/63/x009/x007/x199/x254/x740/991'],
]

describe('the paths of tiles', () => {
  it('are those of tlog-tiles, both ways', () => {
    expect(PATHS.map(([tile]) => tilePath(tile))).toEqual(PATHS.map(([, path]) => path))
    expect(PATHS.map(([, path]) => parseTilePath(path))).toEqual(PATHS.map(([tile]) => tile))
  })

  it('have one spelling', () => {
    const others = ['tile/0/0', 'tile/00/000', 'tile/64/000', 'tile/0/x000/001', 'tile/0/000.p/256']
    const strange = ['tile/0/000.p/0', 'tile/0/000.p/01', 'tile/entries/000', 'tile/0/000/', '000']
    expect([...others, ...strange].map(parseTilePath)).toEqual(Array(10).fill(undefined))
  })
})

describe('the tiles of a tree', () => {
  it("are as many and as wide as in the specification's example of 70,000 leaves", () => {
    expect(rightmostTiles(70_000)).toEqual([
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ])
    expect(rightmostTiles(256)).toEqual([
      { level: 0, index: 0, width: 256 },
      { level: 1, index: 0, width: 1 },
    ])
    expect(rightmostTiles(0)).toEqual([])
    expect(tileIn(70_000, 0, 272)).toEqual({ level: 0, index: 272, width: 256 })
    expect(tileIn(70_000, 0, 274)).toBe(undefined)
  })

  it('are refused if they are damaged, and asked for no more than they hold', () => {
    const tree = new TiledTree([
      leafOf(entryOf(Buffer.from('a'))),
      leafOf(entryOf(Buffer.from('b'))),
    ])
    const tile = { level: 0, index: 0, width: 2 }
    expect(refusal(() => checkTileBytes(tile, tree.readTile(tile).subarray(1)))).toBe(
      'SealError: tile/0/000.p/2: expected 64 bytes, got 63: the tile is damaged',
    )
    expect(refusal(() => tree.nodes()(0, 2))).toBe(
      'SealError: a tree of 2 leaves has no node 2 of level 0',
    )
    expect(refusal(() => nodesFrom(() => Buffer.alloc(1), 2)(1, 0))).toBe(
      'SealError: tile/0/000.p/2: expected 64 bytes, got 1: the tile is damaged',
    )
  })
})
