import { type FileHandle, lstat, open, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { codeOf } from '../../base/describe'
import { SealError } from '../seal-error'
import { SEGMENTS_FILE, tilesIn } from '../seal-files'
import { HASH_BYTES } from '../tree/hashes'
import { checkTileBytes, type ReadTile, TILE_WIDTH, tilePath } from '../tree/tiles'
import {
  appendDurably,
  makeFolder,
  replaceAllUnsynced,
  replaceFile,
  syncFolder,
} from './durable-file'
import { currentSegments, formatSegment, parseSegment, type Segment } from './segments'
import type { TileData } from './tile-builder'

const WRITABLE_BY_OTHERS = 0o022
/** Tiles that are written and then synced at the same time; each takes a descriptor. */
const TILES_AT_ONCE = 64

/** The sealer's folder: checkpoint, tiles, segments. */
export class SealFolder {
  readonly #folders = new Set<string>()

  /** Throws a SealError for a tile that is missing. */
  readonly readTile: ReadTile

  /** @param path absolute */
  constructor(readonly path: string) {
    this.readTile = tilesIn(path)
  }

  /** Throws a SealError if the folder is no folder of this user's that only this user can write to. */
  async check(): Promise<void> {
    const stats = await lstat(this.path).catch((thrown: unknown) => {
      if (codeOf(thrown) !== 'ENOENT') throw thrown
      throw new SealError(`${this.path} is not there; make it with: x0x-exec-audit seal init`)
    })
    if (stats.isSymbolicLink()) {
      throw new SealError(`${this.path} is a symbolic link; name the folder itself`)
    }
    if (!stats.isDirectory()) throw new SealError(`${this.path} is no folder; name another one`)
    const own = process.geteuid?.()
    if (own !== undefined && stats.uid !== own) {
      throw new SealError(
        `${this.path} belongs to the user ${stats.uid}, and the sealer is ${own}; run it as the folder's owner, or chown it`,
      )
    }
    if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
      throw new SealError(
        `${this.path} can be written by others; if nobody did: chmod go-w ${this.path}`,
      )
    }
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /** A file's bytes; undefined if there is none. */
  async read(name: string): Promise<Buffer | undefined> {
    try {
      return await readFile(this.file(name))
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT') return undefined
      throw thrown
    }
  }

  replace(name: string, content: Uint8Array): Promise<void> {
    return replaceFile(this.file(name), content)
  }

  append(name: string, content: string): Promise<void> {
    return appendDurably(this.file(name), content)
  }

  /** The ranges of the lines before `size`. */
  async segments(size: number): Promise<Segment[]> {
    const lines = (await this.read(SEGMENTS_FILE))?.toString().split('\n') ?? []
    const written = lines.map(parseSegment).filter((segment) => segment !== undefined)
    return currentSegments(written, size)
  }

  /** A torn line is ended first: what follows it is a line of its own. */
  async addSegments(segments: readonly Segment[]): Promise<void> {
    if (segments.length === 0) return
    const isTorn = await endsTorn(this.file(SEGMENTS_FILE))
    await this.append(SEGMENTS_FILE, `${isTorn ? '\n' : ''}${segments.map(formatSegment).join('')}`)
  }

  /** Writes tiles, and syncs them and their folders. */
  async writeTiles(tiles: readonly TileData[]): Promise<void> {
    const touched = new Set<string>()
    for (let i = 0; i < tiles.length; i += TILES_AT_ONCE) {
      const some = tiles.slice(i, i + TILES_AT_ONCE)
      for (const tile of some) {
        const folder = dirname(this.file(tilePath(tile)))
        if (!this.#folders.has(folder)) await makeFolder(folder)
        this.#folders.add(folder)
        touched.add(folder)
      }
      await replaceAllUnsynced(
        some.map((tile) => ({ path: this.file(tilePath(tile)), content: tile.bytes })),
      )
    }
    for (const folder of touched) await syncFolder(folder)
    if (this.#folders.size > 1_000) this.#folders.clear()
  }

  /** Removes the partial tiles of those that are full now. */
  async removePartials(full: readonly TileData[]): Promise<void> {
    for (const { level, index } of full) {
      const folder = dirname(this.file(tilePath({ level, index, width: 1 })))
      this.#folders.delete(folder)
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** The leaf of a line of a tree of `size` leaves; tiles are read once if lines are asked for in their order. */
  leavesOf(size: number): (index: number) => Buffer {
    let current: { readonly index: number; readonly bytes: Buffer } | undefined
    return (line) => {
      const index = Math.floor(line / TILE_WIDTH)
      if (current?.index !== index) {
        const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH)
        const tile = { level: 0, index, width }
        current = { index, bytes: this.readTile(tile) }
        checkTileBytes(tile, current.bytes)
      }
      const at = (line % TILE_WIDTH) * HASH_BYTES
      return current.bytes.subarray(at, at + HASH_BYTES)
    }
  }
}

async function endsTorn(path: string): Promise<boolean> {
  let handle: FileHandle
  try {
    handle = await open(path)
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return false
    throw thrown
  }
  try {
    const { size } = await handle.stat()
    if (size === 0) return false
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
    return buffer.toString() !== '\n'
  } finally {
    await handle.close()
  }
}
