import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const PREFIX = '.x0x-exec-audit-doctor-'

/** What is examined: where the log is, or will be. */
export class Subject {
  /** The log's folder. */
  readonly folder: string
  #scratch: string | undefined
  #thrown: unknown

  /**
   * @param path the log, absolute
   * @param onScratch told of the folder that the checks make, before anything is put into it
   */
  constructor(
    readonly path: string,
    readonly onScratch: (folder: string) => void,
  ) {
    this.folder = dirname(path)
  }

  /** Whether the log's folder is there; the others are not made, so nothing can be tried in them. */
  get hasFolder(): boolean {
    return isFolder(this.folder)
  }

  /** The log's folder, or the nearest one above it that exists: what is on its disk is on the log's. */
  get nearestFolder(): string {
    let folder = this.folder
    while (!isFolder(folder) && dirname(folder) !== folder) folder = dirname(folder)
    return folder
  }

  /** A folder of our own beside the log, made once. Throws the system's error, each time the same. */
  scratch(): string {
    if (this.#thrown !== undefined) throw this.#thrown
    try {
      this.#scratch ??= makeScratch(this.folder)
    } catch (thrown) {
      this.#thrown = thrown
      throw thrown
    }
    this.onScratch(this.#scratch)
    return this.#scratch
  }

  /** Why nothing can be tried in a folder of our own beside the log; undefined where it can be. */
  get hindrance(): string | undefined {
    if (!this.hasFolder) return `${this.folder} is not there`
    try {
      this.scratch()
      return undefined
    } catch {
      return `no file can be made in ${this.folder}`
    }
  }

  /** Removes what {@link scratch} has made. Throws the system's error. */
  clean(): void {
    if (this.#scratch !== undefined) rmSync(this.#scratch, { recursive: true, force: true })
    this.#scratch = undefined
  }
}

export function makeScratch(parent: string = tmpdir()): string {
  return mkdtempSync(join(parent, PREFIX))
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
