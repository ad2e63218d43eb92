import { closeSync, constants, openSync, readFileSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describeDisk, isPseudo, isVolatile, mountAt } from '../../toolkit/disk/disk'
import { RawProbe, TOO_FAST_MS } from '../../toolkit/disk/raw-sync'
import { formatBytes } from '../../toolkit/text/numbers'
import { formatMs } from '../../toolkit/text/time'
import { quoteArgument } from '../shared/escape'
import { fail, merged, ok, untried, type Verdict, warn } from './finding'
import { readProc } from './proc'
import type { Subject } from './subject'

/* The disk under the log. The checks write into a folder of their own beside it. */

const FREE_BYTES_MIN = 2 ** 20
const FREE_BYTES_FEW = 2 ** 30
const FREE_SHARE_FEW = 0.05
const FREE_INODES_FEW = 1_000
const EVENT_BYTES = 350
const SYNC_RUN_MS = 100
/** Beyond it a gateway that awaits its `request` events is felt to be slow. */
const SLOW_SYNC_MS = 100
/** File systems on which a sync may not mean what it does on a disk, and why. */
const DOUBTS = new Map<string, string>([
  ['overlay', "a container's own layer, which goes with the container: put the log on a volume"],
  ['nfs', 'appends of several machines overwrite each other there, and a sync may lie'],
  ['nfs4', 'appends of several machines overwrite each other there, and a sync may lie'],
  ['cifs', 'its server decides when a sync is done'],
  ['smb3', 'its server decides when a sync is done'],
  ['9p', 'the host decides when a sync is done'],
  ['virtiofs', 'the host decides when a sync is done'],
])

/** Options of a mount that break a promise. The last one is the kernel's own, after an error on the disk. */
const UNSAFE_OPTIONS = ['nobarrier', 'barrier=0', 'ro', 'emergency_ro']

/** The file system, as far as it is known to keep or to break a promise. */
export function checkFileSystem({ nearestFolder }: Subject): Verdict {
  const mounts = readProc('/proc/self/mountinfo', 'the file system')
  if ('verdict' in mounts) return mounts.verdict
  const disk = describeDisk(nearestFolder)
  const { fileSystem, mountPoint, device } = disk
  const found = `${fileSystem} on ${device} at ${mountPoint}`
  const remedy = 'findmnt -t ext4,xfs,btrfs # and put the log on one of these'
  if (isPseudo(disk)) return fail(`${found}, which is the kernel's own and holds no files`, remedy)
  const doubt = fileSystem.startsWith('fuse') ? 'a process decides what a sync does' : undefined
  const known = DOUBTS.get(fileSystem) ?? doubt
  const options = mountAt(nearestFolder)?.options ?? []
  const unsafe = mountFaults(found, options, mountPoint)
  if (isVolatile(disk)) {
    const memory = `${found}, which is memory: nothing there survives a power cut`
    return merged([fail(memory, remedy), ...unsafe])
  }
  return merged([
    ok(found),
    ...(known === undefined
      ? []
      : [warn(`${found}: ${known}`, `x0x-exec-audit tune --dir ${quoteArgument(nearestFolder)}`)]),
    ...unsafe,
  ])
}

/** The faults in the options of a mount. */
export function mountFaults(
  found: string,
  options: readonly string[],
  mountPoint: string,
): readonly Verdict[] {
  return UNSAFE_OPTIONS.filter((option) => options.includes(option)).map((option) =>
    mountedUnsafely(found, option, mountPoint),
  )
}

function mountedUnsafely(found: string, option: string, mountPoint: string): Verdict {
  if (option === 'emergency_ro') {
    return fail(
      `${found} has become read-only after an error`,
      'sudo dmesg | grep -i error # then unmount it, check it by fsck, and mount it again',
    )
  }
  const remount = (good: string) => `sudo mount -o remount,${good} ${quoteArgument(mountPoint)}`
  return option === 'ro'
    ? fail(
        `${found} is mounted read-only`,
        `${remount('rw')} # in a container: put the log on a volume`,
      )
    : warn(
        `${found} is mounted with ${option}: a sync does not flush the disk's cache`,
        remount('barrier'),
      )
}

export function checkWriteCache({ nearestFolder }: Subject): Verdict {
  const { writeCache } = describeDisk(nearestFolder)
  const meaning: Readonly<Record<string, string>> = {
    'write back': 'write back: a sync has to flush it, and the kernel knows',
    'write through':
      'write through: the kernel flushes nothing, which is right only if the disk keeps its cache without power',
  }
  return ok(meaning[writeCache] ?? 'not reported by this system')
}

export function checkSpace({ nearestFolder }: Subject): Verdict {
  const { bavail, blocks, bsize } = statfsSync(nearestFolder)
  if (blocks === 0) return ok('this file system does not count it')
  const free = bavail * bsize
  const share = bavail / blocks
  const found = `${formatBytes(free)} free (${Math.floor(share * 100)} %); a quota is not seen here`
  const remedy = `df -h ${quoteArgument(nearestFolder)}`
  if (free < FREE_BYTES_MIN) return fail(found, remedy)
  return free < FREE_BYTES_FEW || share < FREE_SHARE_FEW ? warn(found, remedy) : ok(found)
}

export function checkInodes({ nearestFolder }: Subject): Verdict {
  const { files, ffree } = statfsSync(nearestFolder)
  if (files === 0) return ok('this file system does not count them')
  const found = `${ffree} free`
  const remedy = `df -i ${quoteArgument(nearestFolder)}`
  if (ffree === 0) return fail(found, remedy)
  return ffree < FREE_INODES_FEW ? warn(found, remedy) : ok(found)
}

/** Whether bytes written with O_APPEND go to the end of the file, even beside another writer. */
export function checkAppend(subject: Subject): Verdict {
  return inScratch(subject, (scratch) => {
    const file = join(scratch, 'append')
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND
    const [one, other] = [openSync(file, flags, 0o600), openSync(file, flags, 0o600)]
    try {
      for (const [fd, text] of [
        [one, 'a'],
        [other, 'b'],
        [one, 'c'],
      ] as const)
        writeSync(fd, text)
    } finally {
      closeSync(one)
      closeSync(other)
    }
    const got = readFileSync(file, 'utf8')
    return got === 'abc'
      ? ok('O_APPEND adds at the end, also beside another writer')
      : fail(`O_APPEND does not add at the end: "abc" was written, "${got}" is there`)
  })
}

/** How long one append takes until it is on disk, without this package. */
export function checkSync(subject: Subject): Verdict {
  // Under it only a thread may sync; see the round trip.
  if (process.permission !== undefined) return ok('not measured under the permission model of Node')
  return inScratch(subject, (scratch) => {
    const probe = new RawProbe(scratch, 'fdatasync', EVENT_BYTES)
    try {
      probe.run(SYNC_RUN_MS)
    } finally {
      probe.close()
    }
    const { p50, p99 } = probe.result().ms
    const found = `fdatasync ${formatMs(p50)} (p99 ${formatMs(p99)})`
    if (isVolatile(describeDisk(scratch))) return ok(`${found}, into memory`)
    const tune = `x0x-exec-audit tune --dir ${quoteArgument(subject.folder)}`
    if (p50 < TOO_FAST_MS) {
      return warn(`${found}: too fast to be true, unless the disk's cache outlives the power`, tune)
    }
    return p50 > SLOW_SYNC_MS ? warn(`${found}: slow`, tune) : ok(found)
  })
}

/** Tries something in a folder of our own beside the log, if there can be one. */
function inScratch(subject: Subject, attempt: (scratch: string) => Verdict): Verdict {
  const { hindrance } = subject
  return hindrance === undefined ? attempt(subject.scratch()) : untried(hindrance)
}
