import { lstatSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf } from '../../base/describe'

const PREFIX = '.x0x-exec-audit-doctor-'

/** The commands' user, and their working folder, as far as they are known. */
export interface Commands {
  readonly user?: string | undefined
  readonly folder?: string | undefined
}

/** The log's seal, as far as it was named. */
export interface SealPaths {
  readonly folder?: string | undefined
  readonly key?: string | undefined
}

/** The subject of the examination: the place where the log is, or will be. */
export class Subject {
  readonly hasLog: boolean
  readonly path: string
  /** The log's folder. */
  readonly folder: string
  #scratch: string | undefined
  #thrown: unknown

  /**
   * @param log its path, absolute; undefined to look at the machine alone
   * @param commands who runs the commands that are audited, and where
   * @param onScratch called with the folder that the checks make, before anything is put into it
   */
  constructor(
    log: string | undefined,
    readonly commands: Commands,
    readonly onScratch: (folder: string) => void,
    readonly seal?: SealPaths | undefined,
  ) {
    this.hasLog = log !== undefined
    this.path = log ?? join(process.cwd(), 'exec.log')
    this.folder = dirname(this.path)
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

  /** The folder on the way to the log that does not let this user in; undefined if all of them do. */
  get closedFolder(): string | undefined {
    try {
      lstatSync(this.path, { throwIfNoEntry: false })
      return undefined
    } catch (thrown) {
      return codeOf(thrown) === 'EACCES' ? this.nearestFolder : undefined
    }
  }

  /** A folder of our own beside the log, made once. Throws the system's error, the same one each time. */
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

  /** Why nothing can be tried in a folder of our own beside the log; undefined if it can be. */
  get hindrance(): string | undefined {
    const { closedFolder } = this
    if (closedFolder !== undefined) return closedText(closedFolder)
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

export function closedText(folder: string): string {
  return `${folder} does not let this user in`
}

/** A folder of our own in another. Throws the system's error. */
export function makeScratch(parent: string): string {
  return mkdtempSync(join(parent, PREFIX))
}

/** A path behind a closed folder cannot be seen, and counts as missing. */
function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch (thrown) {
    if (codeOf(thrown) === 'EACCES') return false
    throw thrown
  }
}
