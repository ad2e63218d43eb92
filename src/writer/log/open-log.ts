import {
  type BigIntStats,
  chmodSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { codeOf } from '../../base/describe'
import { REASON_NOT_A_FILE, REASON_UNLINKED, type Stage } from '../ring/failure-word'
import { OPEN_DESCRIPTOR, OPEN_FOLDER, OPEN_PROBE } from '../ring/memory-map'
import type { LogFileOptions, Notice } from '../ring/messages'
import { sleep } from '../ring/wake-up'
import { at, Refusal, stageOf, unlessCode } from './attempt'
import { distrustFile, distrustFolder } from './file-trust'
import type { OpenDescriptors } from './open-descriptors'

/** The log, opened. */
export interface OpenedLog {
  readonly fd: number
  /**
   * The error probe: a second description of the file of `fd`, opened before anything is written through
   * `fd` and never synced meanwhile. A sync of `fd` that reports an error of the disk uses it up; a sync of
   * the probe still reports it.
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
/** How long another process may take from linking a new file to unlinking its temporary name. */
const LINK_MS = 20
/** The errors of a file system without hard links, and of the permission model. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'ERR_ACCESS_DENIED']
/** The errors of `readlink` for anything but a link, or for an entry that may not be read. */
const NOT_A_LINK = ['EINVAL', 'ENOENT', 'EACCES', 'EPERM', 'ERR_ACCESS_DENIED']
/** How often the folder or file may vanish between two of our calls before it is a failure. */
export const VANISHED_ATTEMPTS_MAX = 8

/** Opens the log at its path, and makes sure of all that a durable line depends on. */
export class LogFileOpener {
  readonly #options: LogFileOptions
  readonly #descriptors: OpenDescriptors
  readonly #onNotice: (notice: Notice) => void
  /** The reasons reported last, so that one state of the file is reported once. */
  #reported = ''

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
    let stage: Stage = 'open'
    for (let attempt = 0; attempt < VANISHED_ATTEMPTS_MAX; attempt++) {
      try {
        const opened = this.#tryOpen()
        if (opened !== undefined) return opened
      } catch (thrown) {
        // Not there: the file's folder was deleted since the file was opened.
        if (codeOf(thrown) !== 'ENOENT') throw thrown
        stage = stageOf(thrown) ?? stage
      }
    }
    return at(stage, () => {
      throw new Refusal(REASON_UNLINKED)
    })
  }

  /** Tries once; undefined if the file has vanished meanwhile. */
  #tryOpen(): OpenedLog | undefined {
    this.#descriptors.forgetIdentity()
    const { fd, isCreated } = this.#openDescriptor()
    let opened: OpenedLog | undefined
    try {
      const stats = at('open', () => this.#check(fd, isCreated))
      at('folder', () => this.#syncFolders())
      const probe = at('open', () => this.#openProbe(stats))
      const { dev: device, ino: inode, size } = stats
      if (probe === undefined) return undefined
      // Not before: until here the two descriptors may be of different files.
      this.#descriptors.identify({ device, inode })
      opened = { fd, probe, device, inode, size }
      return opened
    } finally {
      if (opened === undefined) this.#close()
    }
  }

  /** Opens the path once more; undefined if it is not this file any more. */
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
    let stats = fstatSync(fd, { bigint: true })
    if (!stats.isFile()) throw new Refusal(REASON_NOT_A_FILE)
    if (isCreated && permissionBits(stats.mode) !== fileMode) {
      // Some file systems (SMB, FUSE) refuse this, others ignore it, so the mode is read again.
      bestEffort(() => fchmodSync(fd, fileMode))
      stats = fstatSync(fd, { bigint: true })
    }
    if (stats.nlink > 1n) {
      // Another process may be linking a file that it has made, see #createForOthers.
      sleep(LINK_MS)
      stats = fstatSync(fd, { bigint: true })
    }
    this.#checkTrust(distrustFile(stats, fileMode))
    return stats
  }

  /** Refuses a file that others could tamper with, or warns about it. */
  #checkTrust(reasons: readonly number[] = []): void {
    const { path, dirMode, onUnsafeFile } = this.#options
    const all = [...reasons, ...distrustFolder(dirname(path), dirMode)]
    if (all[0] !== undefined && onUnsafeFile === 'fail') throw new Refusal(all[0])
    const reported = all.join()
    if (reported !== this.#reported && all.length > 0) {
      this.#onNotice({ kind: 'unsafe-file', reasons: all })
    }
    this.#reported = reported
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
        return unlessCode(['EEXIST', 'ENOENT'], () => this.#createForOthers() ?? open(create))
      })
      if (created !== undefined) return { fd: created, isCreated: true }
    }
    throw new Refusal(REASON_UNLINKED)
  }

  /**
   * Creates the file with its whole mode before it is linked at the path, if the umask would take bits
   * away: a follower of another user must never meet a file that it may not read. Returns undefined if
   * there is no need, no room for a longer name, or no links on the file system.
   */
  #createForOthers(): number | undefined {
    const { path, fileMode } = this.#options
    if ((fileMode & process.umask()) === 0) return undefined
    // Not by node:crypto, which would cost each worker half a megabyte; O_EXCL refuses a name that is taken.
    const temporaryPath = `${path}.${Math.random().toString(16).slice(2)}`
    const flags = OPEN_FLAGS | constants.O_CREAT | constants.O_EXCL
    const open = () => this.#descriptors.open(OPEN_DESCRIPTOR, temporaryPath, flags, fileMode)
    const fd = unlessCode(['ENAMETOOLONG'], open)
    if (fd === undefined) return undefined
    let isNamed = false
    try {
      bestEffort(() => fchmodSync(fd, fileMode))
      isNamed = unlessCode(NO_LINKS, () => tryLink(temporaryPath, path)) ?? false
    } finally {
      bestEffort(() => unlinkSync(temporaryPath))
      if (!isNamed) this.#descriptors.close(OPEN_DESCRIPTOR)
    }
    return isNamed ? fd : undefined
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
    if (isMade && permissionBits(statSync(folder).mode) !== dirMode) {
      bestEffort(() => chmodSync(folder, dirMode))
    }
  }

  /**
   * Makes the entries of the file and of all folders above it durable: the drainer that made one of them,
   * this or another, may have failed or died before it could sync its entry.
   */
  #syncFolders(): void {
    const { path, syncMethod } = this.#options
    if (syncMethod === 'none') return
    for (const folder of foldersOf(path)) {
      // We have not made a folder that we may not even read.
      const ignored = folder === dirname(path) ? [] : ['EACCES', 'EPERM', 'ERR_ACCESS_DENIED']
      unlessCode(ignored, () => this.#syncFolder(folder))
    }
  }

  #syncFolder(folder: string): void {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY
    const fd = this.#descriptors.open(OPEN_FOLDER, folder, flags)
    try {
      // Some file systems (FUSE, 9p, CIFS) cannot sync a folder, and say so: nothing more can be done.
      unlessCode(['EINVAL', 'ENOTSUP'], () => fsyncSync(fd))
    } finally {
      this.#descriptors.close(OPEN_FOLDER)
    }
  }
}

const PROBE_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Read before a chmod: the umask seldom takes bits away, and the permission model has no fchmod. */
function permissionBits(mode: number | bigint): number {
  return Number(mode) & PERMISSION_BITS
}

function isPresent(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

/** Links the file at `from` at `to`, too. */
function tryLink(from: string, to: string): boolean {
  linkSync(from, to)
  return true
}

/** Runs an action that may fail: nothing here depends on it. */
function bestEffort(action: () => void): void {
  try {
    action()
  } catch {
    // The caller checks the result.
  }
}

/** The folders whose entries lead to `path`: those above it and, behind symbolic links, the real ones. */
function foldersOf(path: string): ReadonlySet<string> {
  const folders = new Set<string>()
  const visit = (folder: string): void => {
    if (folders.has(folder)) return
    folders.add(folder)
    const parent = dirname(folder)
    const target = unlessCode(NOT_A_LINK, () => readlinkSync(folder))
    if (target !== undefined) visit(resolve(realpathSync(parent), target))
    visit(parent)
  }
  visit(dirname(path))
  return folders
}
