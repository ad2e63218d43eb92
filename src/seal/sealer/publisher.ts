import { constants } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { codeOf } from '../../base/describe'
import { type Checkpoint, formatCheckpoint, openCheckpoint } from '../note/checkpoint'
import type { Signer } from '../note/signer'
import { SealError } from '../seal-error'
import { CHECKPOINT_FILE, CHECKPOINTS_FILE } from '../seal-files'
import { rootAt } from '../tree/proofs'
import { nodesFrom } from '../tree/tiles'
import { replaceFile } from './durable-file'
import type { SealFolder } from './seal-folder'
import type { Segment } from './segments'
import { TileBuilder, type TileData } from './tile-builder'

const LAST_FILE_MODE = 0o600
/** More than the end of `checkpoints` that a kill can tear. */
const HISTORY_TAIL_BYTES = 64 * 1024
const REANCHOR =
  'restore the newer one, or begin anew with: x0x-exec-audit seal reanchor --reason TEXT'

/**
 * Extends the tree and signs it. The order is what makes a kill or a power cut harmless: tiles and segments are
 * synced before anything is signed, and what was signed is kept beside the key before it is published.
 */
export class Publisher {
  readonly #folder: SealFolder
  readonly #signer: Signer
  readonly #lastFile: string
  #tree: TileBuilder
  /** The checkpoint as it was last written. */
  #written: Buffer
  /** What is left to do until the note signed last is published. */
  readonly #steps: (() => Promise<void>)[] = []

  private constructor(
    folder: SealFolder,
    signer: Signer,
    lastFile: string,
    tree: TileBuilder,
    written: Buffer,
  ) {
    this.#folder = folder
    this.#signer = signer
    this.#lastFile = lastFile
    this.#tree = tree
    this.#written = written
  }

  /**
   * Goes on with a seal that is there. @param lastFile the note signed last, which stands beside the key
   * @throws SealError if a signature, a root or the note signed last does not fit
   */
  static async open(folder: SealFolder, signer: Signer, lastFile: string): Promise<Publisher> {
    const path = folder.file(CHECKPOINT_FILE)
    const written = await folder.read(CHECKPOINT_FILE)
    if (written === undefined) {
      throw new SealError(`${path} is missing; begin with: x0x-exec-audit seal init`)
    }
    const checkpoint = openCheckpoint(written, signer.key, path)
    const lastBytes = await readLast(lastFile)
    if (lastBytes === undefined) {
      throw new SealError(
        `${lastFile}, the note signed last, is missing; if ${path} is the newest one: cp ${path} ${lastFile}`,
      )
    }
    const last = openCheckpoint(lastBytes, signer.key, lastFile)
    checkRoot(folder, checkpoint, path)
    checkRoot(folder, last, `${path} does not extend ${lastFile}`)
    const isBehind = last.size > checkpoint.size
    await repairHistory(folder.file(CHECKPOINTS_FILE), [written, lastBytes])
    const tree = new TileBuilder(Math.max(last.size, checkpoint.size), folder.readTile)
    const publisher = new Publisher(folder, signer, lastFile, tree, written)
    // A kill came between the two.
    if (isBehind) publisher.#publish(lastBytes, [], { isKept: true })
    await publisher.flush()
    return publisher
  }

  /**
   * Makes a seal: without lines, or with one entry in their place.
   * @throws SealError if there is one already, or this key has signed this origin already
   */
  static async begin(
    folder: SealFolder,
    signer: Signer,
    lastFile: string,
    entry?: Buffer,
  ): Promise<void> {
    const path = folder.file(CHECKPOINT_FILE)
    if ((await folder.read(CHECKPOINT_FILE)) !== undefined) {
      throw new SealError(`${path} is there already; seal with it, or name another folder`)
    }
    if (entry === undefined) await checkUnused(signer, lastFile)
    const tree = new TileBuilder(0, folder.readTile)
    tree.append(entry ?? Buffer.alloc(0))
    await folder.writeTiles(tree.partialTiles())
    const publisher = new Publisher(folder, signer, lastFile, tree, Buffer.alloc(0))
    const note = await signer.sign(publisher.#text())
    publisher.#publish(Buffer.from(note), [])
    await publisher.flush()
  }

  /** The checkpoint that is published. */
  get written(): Buffer {
    return this.#written
  }

  /** Lines that are signed. */
  get size(): number {
    return this.#tree.size
  }

  /**
   * Adds entries, and signs the tree with them. Once it resolves they count as sealed; {@link flush} publishes them.
   * @throws SealError if another one has changed the checkpoint
   */
  async sign(entries: Buffer, segments: readonly Segment[]): Promise<void> {
    const { size } = this.#tree
    try {
      const full = this.#tree.append(entries)
      await this.#folder.writeTiles([...full, ...this.#tree.partialTiles()])
      await this.#folder.addSegments(segments)
      await this.#checkWritten()
      this.#publish(Buffer.from(await this.#signed()), full)
    } catch (thrown) {
      this.#tree = new TileBuilder(size, this.#folder.readTile)
      throw thrown
    }
  }

  /** Publishes what was signed; what fails is done again by the next call. */
  async flush(): Promise<void> {
    for (let step = this.#steps[0]; step !== undefined; step = this.#steps[0]) {
      await step()
      this.#steps.shift()
    }
  }

  #text(): string {
    const { size } = this.#tree
    return formatCheckpoint({ origin: this.#signer.key.name, size, root: this.#tree.root() })
  }

  /** A signer that does not answer may do so later: that is no reason to end. */
  async #signed(): Promise<string> {
    try {
      return await this.#signer.sign(this.#text())
    } catch (thrown) {
      throw new Error(`cannot sign: ${thrown instanceof Error ? thrown.message : thrown}`)
    }
  }

  #publish(note: Buffer, full: readonly TileData[], { isKept = false } = {}): void {
    if (!isKept) this.#steps.push(() => replaceFile(this.#lastFile, note, LAST_FILE_MODE))
    this.#steps.push(
      () => this.#folder.append(CHECKPOINTS_FILE, note.toString()),
      async () => {
        await this.#folder.replace(CHECKPOINT_FILE, note)
        this.#written = note
      },
      () => this.#folder.removePartials(full),
    )
  }

  async #checkWritten(): Promise<void> {
    if ((await this.#folder.read(CHECKPOINT_FILE))?.equals(this.#written)) return
    throw new SealError(
      `${this.#folder.file(CHECKPOINT_FILE)} is not the one that was written last: somebody else has changed it; ${REANCHOR}`,
    )
  }
}

function checkRoot(folder: SealFolder, { size, root }: Checkpoint, what: string): void {
  let found: Buffer | undefined
  let why = ''
  try {
    found = rootAt(nodesFrom(folder.readTile, size), size)
  } catch (thrown) {
    if (!(thrown instanceof SealError)) throw thrown
    why = ` (${thrown.message})`
  }
  if (found?.equals(root)) return
  throw new SealError(
    `${what}: the tiles in ${folder.path} do not make its root of ${size} lines${why}; ${REANCHOR}`,
  )
}

async function readLast(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}

async function checkUnused({ key }: Signer, lastFile: string): Promise<void> {
  const bytes = await readLast(lastFile)
  if (bytes === undefined) return
  const isOwn = bytes.toString().startsWith(`${key.name}\n`)
  const { size } = isOwn ? openCheckpoint(bytes, key, lastFile) : { size: 0 }
  if (size === 0) return
  throw new SealError(
    `${lastFile}: this key has signed ${size} lines of ${key.name} already; make another key, or begin anew with: x0x-exec-audit seal reanchor`,
  )
}

/** Cuts off a note that a kill has torn, behind the last one known. */
async function repairHistory(path: string, known: readonly Buffer[]): Promise<void> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
  const handle = await open(path, flags, 0o640)
  try {
    const { size } = await handle.stat()
    const length = Math.min(size, HISTORY_TAIL_BYTES)
    const tail = Buffer.alloc(length)
    await handle.read(tail, 0, length, size - length)
    const ends = known.map((note) => {
      const at = tail.lastIndexOf(note)
      return at < 0 ? 0 : at + note.length
    })
    const end = Math.max(...ends)
    if (end > 0 && end < length) await handle.truncate(size - length + end)
  } finally {
    await handle.close()
  }
}
