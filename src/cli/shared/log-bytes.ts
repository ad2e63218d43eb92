import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { filesOfLog } from '../../rotation/rotation-order'

/** The bytes of a log's files, for a progress bar; 0 if one is compressed, or it is unknown. */
export function logBytes(log: string): number {
  try {
    const names = filesOfLog(basename(log), readdirSync(dirname(log)))
    if (names.some((name) => name.endsWith('.gz'))) return 0
    return names.reduce((sum, name) => sum + statSync(join(dirname(log), name)).size, 0)
  } catch {
    return 0
  }
}
