import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { AuditOutcome } from '../../src'
import { type AuditCall, lineOf } from '../harness/workload'

/**
 * The reference that this package is measured against: the algorithm of x0x's `ExecAudit` on
 * node:fs/promises. For each event it makes the folder, opens the file, appends one line, syncs and closes.
 */
export class Reference {
  constructor(readonly path: string) {}

  /** Resolves when the event is on disk, or has failed; never rejects. */
  async append(call: AuditCall): Promise<AuditOutcome> {
    try {
      await appendDurably(this.path, lineOf(call))
      return 'durable'
    } catch {
      return 'failed'
    }
  }
}

async function appendDurably(path: string, line: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(path, 'a', 0o600)
  try {
    await file.appendFile(line)
    await file.datasync()
  } finally {
    await file.close()
  }
}
