import type { Random } from '../random'
import type { SimulatedDisk } from './disk'
import type { FileNode, FolderNode } from './inodes'
import { FOREIGN } from './invariants'
import type { SimulatedEvent } from './writer'

type Action = 'rename' | 'rotate' | 'delete' | 'cut' | 'append' | 'write back' | 'lose' | 'folder'

const ACTIONS: readonly [Action, ...Action[]] = [
  'rename',
  'rotate',
  'delete',
  'cut',
  'append',
  'append',
  'write back',
  'lose',
  'folder',
]

/** Other processes, and the kernel behind everyone's back. */
export class OtherProcesses {
  /** When they have touched the files, in calls of the disk. */
  readonly touchedAt: number[] = []
  events: readonly SimulatedEvent[] = []
  readonly #disk: SimulatedDisk
  readonly #path: string
  readonly #random: Random
  #names = 0

  constructor(disk: SimulatedDisk, path: string, random: Random) {
    this.#disk = disk
    this.#path = path
    this.#random = random
  }

  /** Does something to the log, if it is there. */
  act(): void {
    const place = this.#disk.folderOf(this.#path)
    const file = this.#disk.find(this.#path)
    if (place === undefined || file?.kind !== 'file') return
    this.touchedAt.push(this.#disk.calls)
    const action = this.#random.pick(ACTIONS)
    this.#disk.trace.push(`  another process: ${action}`)
    this.#do(action, place.folder, place.name, file)
  }

  /** Dies in the middle of a line. */
  tear(): void {
    const file = this.#disk.find(this.#path)
    if (file?.kind !== 'file') return
    this.touchedAt.push(this.#disk.calls)
    file.append(Buffer.from(`${FOREIGN}${++this.#names}`))
  }

  #do(action: Action, folder: FolderNode, name: string, file: FileNode): void {
    const newName = `${name}.${++this.#names}`
    switch (action) {
      case 'rename':
        folder.rename(name, newName, file)
        return
      case 'rotate':
        folder.rename(name, newName, file)
        this.#disk.createFile(folder, name, 0o600)
        return
      case 'delete':
        folder.remove(name, file)
        return
      case 'cut':
        this.#truncate(file)
        return
      case 'append':
        file.append(Buffer.from(`${FOREIGN}${this.#names}}\n`))
        return
      case 'write back':
        file.writeBack()
        return
      case 'lose':
        file.failWriteBack(this.#random.below(file.dirtyBytes + 1))
        return
      case 'folder':
        this.#takeFolder(folder)
    }
  }

  #truncate(file: FileNode): void {
    const { content } = file
    for (const event of this.events) {
      if (event.line !== '' && content.includes(event.line)) event.isTruncated = true
    }
    file.truncate()
  }

  /** Moves the folder away, or deletes it with all that is in it. */
  #takeFolder(folder: FolderNode): void {
    const path = this.#path.slice(0, this.#path.lastIndexOf('/'))
    const above = this.#disk.folderOf(path)
    if (above === undefined) return
    if (this.#random.chance(0.5)) {
      above.folder.rename(above.name, `${above.name}.${this.#names}`, folder)
      return
    }
    for (const [name, node] of [...folder.entries]) folder.remove(name, node)
    above.folder.remove(above.name, folder)
  }
}
