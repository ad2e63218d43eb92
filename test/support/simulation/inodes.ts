import type { Random } from '../random'

/*
 * The files and folders of the simulated disk. Each has two states: the one that the kernel shows (the page
 * cache), and the one that a power cut would leave.
 */

/** Whether a byte of the page cache is on the disk, waits to be written, or never will be. */
const DURABLE = 0
const DIRTY = 1
const LOST = 2

const FIRST_BYTES = 4096
/** A page is written as a whole: its lost bytes are dirty again when another byte of it changes. */
const PAGE_BYTES = 512

/** Keeps count of names, so that a file knows when its last one is gone. */
abstract class Node {
  links = 0
  constructor(
    readonly ino: bigint,
    public mode: number,
  ) {}
}

export class FileNode extends Node {
  readonly kind = 'file'
  size = 0
  /** Failed writebacks so far, and whether any description has reported the last one. */
  errors = 0
  isErrorSeen = true
  #bytes = Buffer.alloc(FIRST_BYTES)
  #states = new Uint8Array(FIRST_BYTES)

  /** The contents that every reader sees. */
  get content(): Buffer {
    return this.#bytes.subarray(0, this.size)
  }

  /** The contents that are on the disk for certain; all other bytes are 0. */
  get durableContent(): Buffer {
    const image = Buffer.from(this.content)
    for (let at = 0; at < this.size; at++) if (this.#states[at] !== DURABLE) image[at] = 0
    return image
  }

  append(bytes: Uint8Array): void {
    const end = this.size + bytes.length
    if (end > this.#bytes.length) this.#grow(end * 2)
    this.#bytes.set(bytes, this.size)
    for (let at = this.size - (this.size % PAGE_BYTES); at < this.size; at++) {
      if (this.#states[at] === LOST) this.#states[at] = DIRTY
    }
    this.#states.fill(DIRTY, this.size, end)
    this.size = end
  }

  truncate(): void {
    this.size = 0
  }

  /** All dirty bytes reach the disk. */
  writeBack(): void {
    this.#settleDirty(this.size, DURABLE)
  }

  /**
   * A failed writeback: the first `kept` of the dirty bytes reach the disk. The rest is marked clean, so that
   * nobody will write it again, and stays readable. The next sync of each description reports it.
   */
  failWriteBack(kept: number): void {
    this.#settleDirty(kept, LOST)
    this.errors++
    this.isErrorSeen = false
  }

  /** A power cut: `kept` of the dirty bytes have reached the disk; the others read as zeros. */
  cutPower(kept: number): void {
    this.#settleDirty(kept, LOST)
    const image = this.durableContent
    let size = this.size
    while (size > 0 && this.#states[size - 1] !== DURABLE) size--
    this.#bytes.set(image)
    this.#states.fill(DURABLE)
    this.size = size
  }

  /** The number of bytes that wait to be written. */
  get dirtyBytes(): number {
    let count = 0
    for (let at = 0; at < this.size; at++) if (this.#states[at] === DIRTY) count++
    return count
  }

  #settleDirty(kept: number, others: number): void {
    let left = kept
    for (let at = 0; at < this.size; at++) {
      if (this.#states[at] === DIRTY) this.#states[at] = left-- > 0 ? DURABLE : others
    }
  }

  #grow(length: number): void {
    const bytes = Buffer.alloc(length)
    const states = new Uint8Array(length)
    bytes.set(this.#bytes)
    states.set(this.#states)
    this.#bytes = bytes
    this.#states = states
  }
}

/** A change of a folder's entries that is not synced yet: the name that goes and the one that comes. */
interface Change {
  readonly removed: string | undefined
  readonly added: string | undefined
  readonly node: SimulatedNode
}

export class FolderNode extends Node {
  readonly kind = 'folder'
  readonly entries = new Map<string, SimulatedNode>()
  readonly durableEntries = new Map<string, SimulatedNode>()
  #pending: Change[] = []

  add(name: string, node: SimulatedNode): void {
    this.#change({ removed: undefined, added: name, node })
    node.links++
  }

  remove(name: string, node: SimulatedNode): void {
    this.#change({ removed: name, added: undefined, node })
    node.links--
  }

  rename(from: string, to: string, node: SimulatedNode): void {
    this.#change({ removed: from, added: to, node })
  }

  sync(): void {
    for (const change of this.#pending) apply(change, this.durableEntries)
    this.#pending = []
  }

  /** A power cut: some of the changes have reached the disk, in order. */
  cutPower(random: Random): void {
    this.#pending.length = random.below(this.#pending.length + 1)
    this.sync()
    this.entries.clear()
    for (const [name, node] of this.durableEntries) this.entries.set(name, node)
  }

  #change(change: Change): void {
    apply(change, this.entries)
    this.#pending.push(change)
  }
}

export type SimulatedNode = FileNode | FolderNode

function apply({ removed, added, node }: Change, entries: Map<string, SimulatedNode>): void {
  if (removed !== undefined) entries.delete(removed)
  if (added !== undefined) entries.set(added, node)
}
