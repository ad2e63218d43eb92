import { cpus, release, type } from 'node:os'
import { blockDeviceOf, mountAt } from '../../src/toolkit/disk/disk'
import { RawProbe } from '../../src/toolkit/disk/raw-sync'
import type { Machine } from './report'
import { formatNumber } from './table'

const RAW_RUN_MS = 300
const RAW_BYTES = 350

/** Describes the machine and the disk below `dir`, which is measured now. */
export function describeMachine(dir: string): Machine {
  const mount = mountAt(dir)
  const block = mount === undefined ? undefined : blockDeviceOf(mount.number)
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: cpus().length,
    kernel: `${type()} ${release()}`,
    fileSystem: mount?.fileSystem ?? 'unknown file system',
    device: block?.name ?? 'no device',
    writeCache: block?.writeCache ?? 'unknown',
    node: process.versions.node,
    rawSyncP50Us: rawSyncP50Us(dir),
  }
}

export function machineLine(machine: Machine): string {
  const { cpu, cores, kernel, fileSystem, device, writeCache, node, rawSyncP50Us } = machine
  return `${cpu}, ${cores} cores, ${kernel}, ${fileSystem} on ${device} (cache: ${writeCache}), Node ${node}, raw write+fdatasync p50 ${formatNumber(rawSyncP50Us)} us`
}

/** The median of one `write` and `fdatasync` of a line below `dir`, in microseconds. */
export function rawSyncP50Us(dir: string): number {
  const probe = new RawProbe(dir, 'fdatasync', RAW_BYTES)
  try {
    probe.run(RAW_RUN_MS)
    return probe.result().ms.p50 * 1_000
  } finally {
    probe.close()
  }
}
