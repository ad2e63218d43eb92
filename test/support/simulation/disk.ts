import { constants } from 'node:fs'
import { constants as osConstants } from 'node:os'
import type { Random } from '../random'
import { FileNode, FolderNode, type SimulatedNode } from './inodes'

/** The system calls that the drainer makes. */
export type Call =
  | 'open'
  | 'write'
  | 'fdatasync'
  | 'fsync'
  | 'stat'
  | 'fstat'
  | 'read'
  | 'close'
  | 'mkdir'
  | 'chmod'
  | 'fchmod'

/** How a call fails. */
export interface Fault {
  readonly code: string
  /** Of a write: the part of its bytes that the file takes all the same. */
  readonly part?: number
  /** Of a write that takes a part: there is room again for the rest. */
  readonly isBrief?: boolean
  /** Of a sync: the part of the waiting bytes that reaches the disk; without it they go on waiting. */
  readonly kept?: number
}

/** Code that runs between a call and its effect, and between its effect and its return. */
export interface Interference {
  before(call: Call, fd: number): Fault | undefined
  after(call: Call): void
}

interface Description {
  readonly node: SimulatedNode
  /** The thread that has opened it. */
  readonly owner: string
  seenErrors: number
}

interface StatOptions {
  readonly bigint?: boolean
  readonly throwIfNoEntry?: boolean
}

const FIRST_FD = 20
const DEVICE = 2_049n
const FIRST_INO = 2n ** 60n

/** The owner of the descriptors that take the numbers of closed ones. */
const CANARY = 'canary'

/**
 * A file system in memory with the functions of `node:fs` that this package calls, and with what Linux
 * does to files: what is written waits in the page cache for a sync, new names wait for a sync of their
 * folder, a failed writeback is reported once to each open description and its bytes are never written
 * again, and a file lives as long as it has a name or a descriptor.
 */
export class SimulatedDisk {
  readonly root = new FolderNode(FIRST_INO, 0o755)
  /** Every log there ever was, oldest first. */
  readonly files: FileNode[] = []
  /** The file that was written to last, and whether that was a newline alone. */
  lastWrite: { readonly node: FileNode; readonly isNewline: boolean } | undefined
  /** Calls on numbers that are not open: a descriptor was closed twice, or used after its end. */
  badDescriptors = 0
  /** Calls on descriptors that somebody else has got in a number that was ours. */
  touchedCanaries = 0
  /** When a sync of a file has failed, in calls. */
  readonly failedSyncs: number[] = []
  /** When a call has reported a broken disk, in calls. */
  readonly breakages: number[] = []
  owner = 'test'
  umask = 0o022
  /** The calls and faults so far, for the reader of a failure. */
  readonly trace: string[] = []
  calls = 0
  #nextIno = FIRST_INO
  #rejectNextWrite: string | undefined
  readonly #descriptions = new Map<number, Description>()
  readonly #interference: Interference

  constructor(interference: Interference) {
    this.#interference = interference
  }

  /** Numbers that are open, of this owner or of all but the canaries. */
  openDescriptors(owner?: string): number[] {
    const open = [...this.#descriptions].filter(([, of]) => of.owner !== CANARY)
    return open.filter(([, of]) => owner === undefined || of.owner === owner).map(([fd]) => fd)
  }

  /** Closes the descriptors of an owner, as Node does at a thread's end, and opens canaries in their numbers. */
  replaceByCanaries(owner: string): void {
    for (const fd of this.openDescriptors(owner)) {
      const node = new FileNode(++this.#nextIno, 0o600)
      this.#descriptions.set(fd, { node, owner: CANARY, seenErrors: node.errors })
    }
  }

  /** The functions that take the place of those in `node:fs`. */
  readonly functions = {
    openSync: (path: string, flags: number, mode = 0o666): number => {
      this.#enter('open')
      const fd = this.#open(path, flags, mode)
      this.#interference.after('open')
      return fd
    },
    writeSync: (fd: number, bytes: string | Uint8Array): number => {
      const fault = this.#fault('write', fd)
      const written = this.#write(fd, Buffer.from(bytes), fault)
      this.#interference.after('write')
      return written
    },
    fdatasyncSync: (fd: number): void => this.#sync('fdatasync', fd),
    fsyncSync: (fd: number): void => this.#sync('fsync', fd),
    statSync: (path: string, options: StatOptions = {}): unknown => this.#stat(path, options),
    // It has no links.
    lstatSync: (path: string, options: StatOptions = {}): unknown => this.#stat(path, options),
    readlinkSync: (path: string): never => {
      this.#enter('stat')
      const isThere = this.find(path) !== undefined
      this.#interference.after('stat')
      throw errorOf(isThere ? 'EINVAL' : 'ENOENT', 'readlink')
    },
    fstatSync: (fd: number, options: StatOptions = {}): unknown => {
      this.#enter('fstat', fd)
      const stats = statsOf(this.#describe(fd, 'fstat').node, options)
      this.#interference.after('fstat')
      return stats
    },
    readSync: (fd: number, to: Buffer, offset: number, length: number, at: bigint): number => {
      this.#enter('read', fd)
      const { content } = this.#fileOf(fd, 'read')
      const count = content.copy(to, offset, Number(at), Number(at) + length)
      this.#interference.after('read')
      return count
    },
    closeSync: (fd: number): void => {
      const fault = this.#fault('close', fd)
      this.#describe(fd, 'close')
      this.#descriptions.delete(fd)
      this.#interference.after('close')
      // Linux frees the number whatever close returns.
      if (fault !== undefined) throw this.#injected(fault.code, 'close')
    },
    mkdirSync: (path: string, mode: number): void => {
      this.#enter('mkdir')
      const { folder, name } = this.#parentOf(path, 'mkdir')
      if (folder.entries.has(name)) throw errorOf('EEXIST', 'mkdir')
      folder.add(name, new FolderNode(++this.#nextIno, mode & ~this.umask))
      this.#interference.after('mkdir')
    },
    chmodSync: (path: string, mode: number): void => {
      this.#enter('chmod')
      const node = this.find(path)
      if (node === undefined) throw errorOf('ENOENT', 'chmod')
      node.mode = mode
      this.#interference.after('chmod')
    },
    fchmodSync: (fd: number, mode: number): void => {
      this.#enter('fchmod', fd)
      this.#describe(fd, 'fchmod').node.mode = mode
      this.#interference.after('fchmod')
    },
  }

  #stat(path: string, options: StatOptions): unknown {
    this.#enter('stat')
    const node = this.find(path)
    this.#interference.after('stat')
    if (node !== undefined) return statsOf(node, options)
    if (options.throwIfNoEntry === false) return undefined
    throw errorOf('ENOENT', 'stat')
  }

  /** The file or folder at the path. */
  find(path: string): SimulatedNode | undefined {
    let node: SimulatedNode | undefined = this.root
    for (const name of path.split('/').filter(Boolean)) {
      node = node?.kind === 'folder' ? node.entries.get(name) : undefined
    }
    return node
  }

  /** The folder of a path that has one. */
  folderOf(path: string): { folder: FolderNode; name: string } | undefined {
    const cut = path.lastIndexOf('/')
    const folder = this.find(path.slice(0, cut))
    return folder?.kind === 'folder' ? { folder, name: path.slice(cut + 1) } : undefined
  }

  /** Makes a new file in a folder. */
  createFile(folder: FolderNode, name: string, mode: number): FileNode {
    const file = new FileNode(++this.#nextIno, mode & ~this.umask)
    folder.add(name, file)
    this.files.push(file)
    return file
  }

  /** Whether a power cut now would leave the file a name. */
  hasDurableName(file: FileNode, folder = this.root): boolean {
    for (const node of folder.durableEntries.values()) {
      if (node === file) return true
      if (node.kind === 'folder' && this.hasDurableName(file, node)) return true
    }
    return false
  }

  /** A power cut: synced data stays, and by chance more. */
  cutPower(random: Random): void {
    this.#descriptions.clear()
    for (const file of this.files) {
      file.cutPower(random.below(file.dirtyBytes + 1))
      file.links = 0
    }
    this.#cutPower(random, this.root)
  }

  #cutPower(random: Random, folder: FolderNode): void {
    folder.cutPower(random)
    for (const node of folder.entries.values()) {
      if (node.kind === 'folder') this.#cutPower(random, node)
      else node.links++
    }
  }

  #fault(call: Call, fd = -1): Fault | undefined {
    this.calls++
    this.trace.push(`${this.owner}: ${call} ${fd < 0 ? '' : fd}`)
    if (call !== 'write') this.#rejectNextWrite = undefined
    const fault = this.#interference.before(call, fd)
    if (fault !== undefined) this.trace.push(`  fails: ${JSON.stringify(fault)}`)
    return fault
  }

  #enter(call: Call, fd = -1): void {
    const fault = this.#fault(call, fd)
    if (fault !== undefined) throw this.#injected(fault.code, call)
  }

  #open(path: string, flags: number, mode: number): number {
    let node = this.find(path)
    if (node === undefined) {
      if ((flags & constants.O_CREAT) === 0) throw errorOf('ENOENT', 'open')
      const { folder, name } = this.#parentOf(path, 'open')
      node = this.createFile(folder, name, mode)
    } else if ((flags & constants.O_EXCL) !== 0) {
      throw errorOf('EEXIST', 'open')
    }
    let fd = FIRST_FD
    while (this.#descriptions.has(fd)) fd++
    // The next open reports an error that no description has reported yet.
    const seenErrors = node.kind === 'file' && !node.isErrorSeen ? node.errors - 1 : errorsOf(node)
    this.#descriptions.set(fd, { node, owner: this.owner, seenErrors })
    return fd
  }

  #write(fd: number, bytes: Buffer, fault: Fault | undefined): number {
    const node = this.#fileOf(fd, 'write')
    // A short count says that an error comes next.
    const rejected = this.#rejectNextWrite
    this.#rejectNextWrite = undefined
    if (rejected !== undefined) throw this.#injected(rejected, 'write')
    const taken = fault === undefined ? bytes.length : Math.floor(bytes.length * (fault.part ?? 0))
    if (fault !== undefined && taken === 0) throw this.#injected(fault.code, 'write')
    if (taken < bytes.length && !fault?.isBrief) this.#rejectNextWrite = fault?.code
    node.append(bytes.subarray(0, taken))
    this.lastWrite = { node, isNewline: bytes.length === 1 }
    return taken
  }

  #sync(call: 'fdatasync' | 'fsync', fd: number): void {
    const fault = this.#fault(call, fd)
    const description = this.#describe(fd, call)
    const { node } = description
    if (node.kind === 'folder') {
      if (fault === undefined) node.sync()
    } else if (fault === undefined) {
      node.writeBack()
    } else if (fault.kept !== undefined) {
      node.failWriteBack(Math.floor(node.dirtyBytes * fault.kept))
    }
    const hasNews = node.kind === 'file' && description.seenErrors < node.errors
    if (hasNews) {
      description.seenErrors = node.errors
      node.isErrorSeen = true
    }
    const isFailed = fault !== undefined || hasNews
    if (isFailed && node.kind === 'file') this.failedSyncs.push(this.calls)
    this.#interference.after(call)
    if (isFailed) throw this.#injected(fault?.code ?? 'EIO', call)
  }

  #injected(code: string, call: Call): Error {
    if (BROKEN.includes(code)) this.breakages.push(this.calls)
    return errorOf(code, call)
  }

  #describe(fd: number, call: Call): Description {
    const description = this.#descriptions.get(fd)
    if (description?.owner === CANARY) this.touchedCanaries++
    if (description !== undefined) return description
    this.badDescriptors++
    this.trace.push('  not open')
    throw errorOf('EBADF', call)
  }

  #fileOf(fd: number, call: Call): FileNode {
    const { node } = this.#describe(fd, call)
    if (node.kind === 'file') return node
    throw errorOf('EISDIR', call)
  }

  #parentOf(path: string, call: Call): { folder: FolderNode; name: string } {
    const found = this.folderOf(path)
    if (found === undefined) throw errorOf('ENOENT', call)
    return found
  }
}

function errorsOf(node: SimulatedNode): number {
  return node.kind === 'file' ? node.errors : 0
}

function statsOf(node: SimulatedNode, { bigint }: StatOptions): unknown {
  const isFile = () => node.kind === 'file'
  const size = node.kind === 'file' ? node.size : 0
  const { ino, mode, links } = node
  if (!bigint) return { dev: Number(DEVICE), ino: Number(ino), mode, nlink: links, size, isFile }
  return {
    dev: DEVICE,
    ino,
    mode: BigInt(mode),
    nlink: BigInt(links),
    uid: 0n,
    size: BigInt(size),
    isFile,
  }
}

const BROKEN = ['EIO', 'EROFS']
const ERRNOS = new Map(Object.entries(osConstants.errno))

/** The error that Node throws for an errno. */
function errorOf(code: string, syscall: string): Error {
  const errno = -(ERRNOS.get(code) ?? 0)
  return Object.assign(new Error(`${code}: simulated, ${syscall}`), { code, errno, syscall })
}
