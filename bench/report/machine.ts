import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describeDisk, describeMachine as describeHost } from '../../src/toolkit/disk/disk'
import { percentile } from '../harness/statistics'
import type { Machine } from './report'
import { formatNumber } from './table'

/** Describes the machine and the disk below `dir`, which is measured now. */
export function describeMachine(dir: string): Machine {
  const { cpu, cores, kernel, node } = describeHost()
  const { fileSystem, device, writeCache } = describeDisk(dir)
  const rawP50Us = rawSyncP50Us(join(dir, 'raw'))
  const disk = { fileSystem, device: basename(device), writeCache }
  return { cpu, cores, kernel, ...disk, node, rawSyncP50Us: rawP50Us }
}

export function machineLine(machine: Machine): string {
  const { cpu, cores, kernel, fileSystem, device, writeCache, node, rawSyncP50Us } = machine
  return `${cpu}, ${cores} cores, ${kernel}, ${fileSystem} on ${device} (cache: ${writeCache}), Node ${node}, raw write+fdatasync p50 ${formatNumber(rawSyncP50Us)} us`
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
