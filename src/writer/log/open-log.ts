import {
  type BigIntStats,
  chmodSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { REASON_NOT_A_FILE, REASON_UNLINKED } from '../ring/failure-word'
import { OPEN_DESCRIPTOR, OPEN_FOLDER, OPEN_PROBE } from '../ring/memory-map'
import type { LogFileOptions, Notice } from '../ring/messages'
import { at, Refusal, unlessCode } from './attempt'
import { distrustFile, distrustFolder } from './file-trust'
import type { OpenDescriptors } from './open-descriptors'

/** The log, opened. */
export interface OpenedLog {
  readonly fd: number
  /**
   * The error probe: a second description of the same file, opened before anything is written through
   * `fd` and never synced meanwhile. An error of the disk that a sync of `fd` has reported, and so used
   * up, is still reported by a sync of this one.
   */
  readonly probe: number
  readonly device: bigint
  readonly inode: bigint
  /** Bytes. */
  readonly size: bigint
}

const PERMISSION_BITS = 0o777
/** Append only, never through a link, never hanging on a FIFO, never a controlling terminal. */
export const OPEN_FLAGS =
  constants.O_RDWR |
  constants.O_APPEND |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK |
  constants.O_NOCTTY
/** How often the folder or file may vanish between two of our calls before that is a failure. */
export const VANISHED_ATTEMPTS_MAX = 8

/** Opens the log at its path, with all that must be true of it before a line may count as durable. */
export class LogFileOpener {
  readonly #options: LogFileOptions
  readonly #descriptors: OpenDescriptors
  readonly #onNotice: (notice: Notice) => void
  /** What was told of last, so that one state of the file is told of once. */
  #told = ''

  constructor(
    options: LogFileOptions,
    descriptors: OpenDescriptors,
    onNotice: (notice: Notice) => void,
  ) {
    this.#options = options
    this.#descriptors = descriptors
    this.#onNotice = onNotice
  }

  /** Opens the path, creating what is missing; throws a {@link Refusal} or the kernel's error. */
  open(): OpenedLog {
    for (let attempt = 0; attempt < VANISHED_ATTEMPTS_MAX; attempt++) {
      // Not there: the file's folder was deleted since the file was opened.
      const opened = unlessCode(['ENOENT'], () => this.#tryOpen())
      if (opened !== undefined) return opened
    }
    throw new Refusal(REASON_UNLINKED)
  }

  /** The same, once; undefined when the file has vanished meanwhile. */
  #tryOpen(): OpenedLog | undefined {
    const { fd, isCreated } = this.#openDescriptor()
    let opened: OpenedLog | undefined
    try {
      const stats = at('open', () => this.#check(fd, isCreated))
      at('folder', () => this.#syncFolders())
      const probe = at('open', () => this.#openProbe(stats))
      const { dev: device, ino: inode, size } = stats
      if (probe !== undefined) opened = { fd, probe, device, inode, size }
      return opened
    } finally {
      if (opened === undefined) this.#close()
    }
  }

  /** Opens the path once more; undefined when it is not this file any more. */
  #openProbe({ dev, ino }: BigIntStats): number | undefined {
    const open = () => this.#descriptors.open(OPEN_PROBE, this.#options.path, PROBE_FLAGS)
    const probe = unlessCode(['ENOENT', 'ELOOP'], open)
    if (probe === undefined) return undefined
    const opened = fstatSync(probe, { bigint: true })
    return opened.dev === dev && opened.ino === ino ? probe : undefined
  }

  #close(): void {
    this.#descriptors.close(OPEN_PROBE)
    this.#descriptors.close(OPEN_DESCRIPTOR)
  }

  #check(fd: number, isCreated: boolean) {
    const { fileMode } = this.#options
    const stats = fstatSync(fd, { bigint: true })
    if (!stats.isFile()) throw new Refusal(REASON_NOT_A_FILE)
    if (isCreated && permissionBits(stats.mode) !== fileMode) fchmodSync(fd, fileMode)
    this.#checkTrust(isCreated ? [] : distrustFile(stats, fileMode))
    return stats
  }

  /** Refuses a file that others could tamper with, or tells of it. */
  #checkTrust(reasons: readonly number[] = []): void {
    const { path, dirMode, onUnsafeFile } = this.#options
    const all = [...reasons, ...distrustFolder(dirname(path), dirMode)]
    if (all[0] !== undefined && onUnsafeFile === 'fail') throw new Refusal(all[0])
    const told = all.join()
    if (told !== this.#told && all.length > 0) {
      this.#onNotice({ kind: 'unsafe-file', reasons: all })
    }
    this.#told = told
  }

  #openDescriptor(): { fd: number; isCreated: boolean } {
    const { path, fileMode } = this.#options
    const create = OPEN_FLAGS | constants.O_CREAT | constants.O_EXCL
    const open = (flags: number) => this.#descriptors.open(OPEN_DESCRIPTOR, path, flags, fileMode)
    for (let attempt = 0; attempt < VANISHED_ATTEMPTS_MAX; attempt++) {
      const existing = at('open', () => unlessCode(['ENOENT', 'ENOTDIR'], () => open(OPEN_FLAGS)))
      if (existing !== undefined) return { fd: existing, isCreated: false }
      at('folder', () => this.#ensureFolder(dirname(path)))
      const created = at('open', () => {
        if (this.#options.onUnsafeFile === 'fail') this.#checkTrust()
        return unlessCode(['EEXIST', 'ENOENT'], () => open(create))
      })
      if (created !== undefined) return { fd: created, isCreated: true }
    }
    throw new Refusal(REASON_UNLINKED)
  }

  /** Makes a folder and those above it with the configured mode, whatever the umask. */
  #ensureFolder(folder: string): void {
    const { dirMode } = this.#options
    const make = () => {
      mkdirSync(folder, dirMode)
      return true
    }
    const parent = dirname(folder)
    let isMade = unlessCode(['EEXIST', 'ENOENT'], make)
    if (isMade === undefined && parent !== folder && !isPresent(folder)) {
      this.#ensureFolder(parent)
      isMade = unlessCode(['EEXIST'], make)
    }
    if (isMade && permissionBits(statSync(folder).mode) !== dirMode) chmodSync(folder, dirMode)
  }

  /**
   * Makes the file's name durable, and those of all folders above it: whoever made one of them, this
   * drainer or another, may have failed or died before it could sync its entry.
   */
  #syncFolders(): void {
    const { path, syncMethod } = this.#options
    if (syncMethod === 'none') return
    for (const folder of foldersAbove(path)) {
      // One above that we may not even read is one that we have not made.
      const ignored = folder === dirname(path) ? [] : ['EACCES', 'EPERM', 'ERR_ACCESS_DENIED']
      unlessCode(ignored, () => this.#syncFolder(folder))
    }
  }

  #syncFolder(folder: string): void {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY
    const fd = this.#descriptors.open(OPEN_FOLDER, folder, flags)
    try {
      // Some file systems (FUSE, 9p, CIFS) cannot sync a folder, and say so: there is no more to do.
      unlessCode(['EINVAL', 'ENOTSUP'], () => fsyncSync(fd))
    } finally {
      this.#descriptors.close(OPEN_FOLDER)
    }
  }
}

const PROBE_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Asked before a chmod: the umask seldom takes bits away, and the permission model has no fchmod. */
function permissionBits(mode: number | bigint): number {
  return Number(mode) & PERMISSION_BITS
}

function isPresent(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

function foldersAbove(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [parent, ...foldersAbove(parent)]
}
