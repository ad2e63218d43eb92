import { existsSync, readFileSync, realpathSync, statfsSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { dirname, join } from 'node:path'

/** The machine that figures depend on, besides the disk. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
}

/** The disk of a folder. Fields that the system does not report are 'unknown'. */
export interface Disk {
  readonly fileSystem: string
  readonly mountPoint: string
  readonly device: string
  /** The kernel's belief about the device: 'write back' is a volatile cache, which a sync flushes. */
  readonly writeCache: string
  readonly freeBytes: number
}

const UNKNOWN = 'unknown'
/** File systems in memory: their files are gone with the power, synced or not. */
const VOLATILE = ['tmpfs', 'ramfs', 'devtmpfs', 'hugetlbfs']

/** The kernel's own file systems: their entries are no real files, and none can be made. */
const PSEUDO = [
  'bpf',
  'cgroup',
  'cgroup2',
  'configfs',
  'debugfs',
  'devpts',
  'proc',
  'securityfs',
  'sysfs',
  'tracefs',
]

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? UNKNOWN,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.versions.node,
  }
}

/** The disk that holds a folder. Throws the system's error when there is no such folder. */
export function describeDisk(dir: string): Disk {
  const { bavail, bsize } = statfsSync(dir)
  const mount = mountAt(dir)
  return {
    fileSystem: mount?.fileSystem ?? UNKNOWN,
    mountPoint: mount?.mountPoint ?? UNKNOWN,
    device: mount?.source ?? UNKNOWN,
    writeCache: mount === undefined ? UNKNOWN : writeCacheOf(mount.number),
    freeBytes: bavail * bsize,
  }
}

/** Whether a file system forgets everything without power. */
export function isVolatile({ fileSystem }: Pick<Disk, 'fileSystem'>): boolean {
  return VOLATILE.includes(fileSystem)
}

/** Whether a file system is the kernel's own, so that no file can be made there. */
export function isPseudo({ fileSystem }: Pick<Disk, 'fileSystem'>): boolean {
  return PSEUDO.includes(fileSystem)
}

/** A mount, from a line of /proc/self/mountinfo. */
export interface Mount {
  /** Of the device: major:minor. */
  readonly number: string
  readonly mountPoint: string
  readonly fileSystem: string
  readonly source: string
  /** Of the mount and of the file system, such as `ro`. */
  readonly options: readonly string[]
}

/** The mount that a folder is on, if the system reports it. Throws if there is no such folder. */
export function mountAt(dir: string): Mount | undefined {
  const path = realpathSync(dir)
  const table = readOr('/proc/self/mountinfo')
  return table === undefined ? undefined : innermostMount(table, path)
}

/** The innermost mount that holds `path`; of several at one place the last, which hides the others. */
export function innermostMount(mountinfo: string, path: string): Mount | undefined {
  let best: Mount | undefined
  for (const line of mountinfo.trimEnd().split('\n')) {
    const mount = parseMount(line)
    const { mountPoint } = mount
    const folder = mountPoint.endsWith('/') ? mountPoint : `${mountPoint}/`
    const isInside = `${path}/`.startsWith(folder)
    if (isInside && mountPoint.length >= (best?.mountPoint.length ?? 0)) best = mount
  }
  return best
}

function parseMount(line: string): Mount {
  const [left = '', right = ''] = line.split(' - ')
  const [, , number = '', , mountPoint = '', own = ''] = left.split(' ')
  const [fileSystem = UNKNOWN, source = UNKNOWN, shared = ''] = right.split(' ')
  return {
    number,
    mountPoint: unescapeOctal(mountPoint),
    fileSystem,
    source: unescapeOctal(source),
    options: [...own.split(','), ...shared.split(',')],
  }
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}

/** The write cache of a device; that of its disk for a partition. */
function writeCacheOf(number: string): string {
  try {
    const block = realpathSync(join('/sys/dev/block', number))
    const disk = existsSync(join(block, 'partition')) ? dirname(block) : block
    return readOr(join(disk, 'queue/write_cache'))?.trim() ?? UNKNOWN
  } catch {
    return UNKNOWN
  }
}

function readOr(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
