import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { cpus, release, type } from 'node:os'
import { dirname, join } from 'node:path'
import { percentile } from '../harness/statistics'
import { formatNumber } from './table'

/** What the figures depend on. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly fileSystem: string
  /** The block device that holds the file system, such as `nvme0n1`. */
  readonly device: string
  /** What the kernel takes the device's cache for: `write back` must be flushed by a sync. */
  readonly writeCache: string
  readonly node: string
  /** One `write` and `fdatasync` of a 350 byte line, nearest-rank median. */
  readonly rawSyncP50Us: number
}

/** Describes the machine and the disk below `dir`, which is measured now. */
export function describeMachine(dir: string): Machine {
  const { fileSystem, number } = mountOf(dir)
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: cpus().length,
    kernel: `${type()} ${release()}`,
    fileSystem,
    ...deviceOf(number),
    node: process.versions.node,
    rawSyncP50Us: rawSyncP50Us(join(dir, 'raw')),
  }
}

export function machineLine(machine: Machine): string {
  const { cpu, cores, kernel, fileSystem, device, writeCache, node, rawSyncP50Us } = machine
  return `${cpu}, ${cores} cores, ${kernel}, ${fileSystem} on ${device} (cache: ${writeCache}), Node ${node}, raw write+fdatasync p50 ${formatNumber(rawSyncP50Us)} us`
}

interface Mount {
  readonly fileSystem: string
  /** The device's numbers, `major:minor`. */
  readonly number: string
}

const UNKNOWN_MOUNT: Mount = { fileSystem: 'unknown file system', number: '' }

/** The innermost mount that holds `dir`; only Linux tells. */
function mountOf(dir: string): Mount {
  const path = realpathSync(dir)
  const holding = textOf('/proc/self/mountinfo')
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , , , point = '']) => `${path}/`.startsWith(point === '/' ? '/' : `${point}/`))
    .sort(([, , , , a = ''], [, , , , b = '']) => a.length - b.length)
    .at(-1)
  if (holding === undefined) return UNKNOWN_MOUNT
  // Optional fields end with a dash; the type follows it.
  const fileSystem = holding[holding.indexOf('-') + 1] ?? UNKNOWN_MOUNT.fileSystem
  return { fileSystem, number: holding[2] ?? '' }
}

/** The disk of a device number: a partition's queue is that of the disk it lies on. */
function deviceOf(number: string): Pick<Machine, 'device' | 'writeCache'> {
  const entry = `/sys/dev/block/${number}`
  if (number === '' || !existsSync(entry)) return { device: 'no device', writeCache: 'unknown' }
  const own = realpathSync(entry)
  const disk = existsSync(join(own, 'queue')) ? own : dirname(own)
  const writeCache = textOf(join(disk, 'queue/write_cache')).trim()
  return { device: disk.split('/').at(-1) ?? number, writeCache: writeCache || 'unknown' }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** The median of one `write` and `fdatasync` of a line, in microseconds; `file` is removed again. */
export function rawSyncP50Us(file: string): number {
  const line = Buffer.alloc(350, 'x')
  const fd = openSync(file, 'a', 0o600)
  const samples = Array.from({ length: 300 }, () => {
    const startedAt = performance.now()
    writeSync(fd, line)
    fdatasyncSync(fd)
    return (performance.now() - startedAt) * 1_000
  })
  closeSync(fd)
  rmSync(file)
  samples.sort((a, b) => a - b)
  return percentile(samples, 50)
}
