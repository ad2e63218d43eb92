import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, textOf } from '../base/describe'
import { SealError } from './seal-error'
import { HASH_BYTES } from './tree/hashes'
import { type ReadTile, TILE_WIDTH, type Tile, tilePath } from './tree/tiles'

/*
 * What stands in a seal's folder, besides its tiles.
 */

/** The newest signed checkpoint. */
export const CHECKPOINT_FILE = 'checkpoint'
/** Each checkpoint that was signed, one note after the other. */
export const CHECKPOINTS_FILE = 'checkpoints'
/** The last checkpoint that witnesses have cosigned. */
export const WITNESSED_FILE = 'checkpoint.witnessed'
/** Where ranges of lines are. */
export const SEGMENTS_FILE = 'segments'
/** Why and from what a seal was begun again; its hash is entry 0. */
export const REANCHOR_FILE = 'reanchor'
/** The machine's boot in which a sync of the log has failed. */
export const FAILED_SYNC_FILE = 'failed-sync'

/** Reads the tiles of a seal's folder, as wide as they are asked for: also out of one that has grown since. */
export function tilesIn(folder: string): ReadTile {
  return (tile) => {
    const bytes = readTile(folder, tile) ?? readTile(folder, { ...tile, width: TILE_WIDTH })
    if (bytes !== undefined) return bytes.subarray(0, tile.width * HASH_BYTES)
    throw new SealError(`${join(folder, tilePath(tile))} is not there`)
  }
}

function readTile(folder: string, tile: Tile): Buffer | undefined {
  const file = join(folder, tilePath(tile))
  try {
    return readFileSync(file)
  } catch (thrown) {
    const code = codeOf(thrown)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new SealError(`cannot read ${file}: ${textOf(thrown)}`)
  }
}
