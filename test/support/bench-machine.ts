import type { Report } from '../../bench/report/report'

/** A made-up machine, for reports that were not measured. */
export const MACHINE: Report['machine'] = {
  cpu: 'CPU',
  cores: 2,
  kernel: 'Linux 6',
  fileSystem: 'ext4',
  device: 'vda',
  writeCache: 'write back',
  node: '20.0.0',
  rawSyncP50Us: 100,
}
