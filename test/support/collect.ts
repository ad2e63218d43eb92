import type { AuditProblem, AuditRecord } from '../../src'
import { type AuditSource, type ReadOptions, readAudit } from '../../src'

/** All events and problems of a source. */
export async function collect(source: AuditSource, options: ReadOptions = {}) {
  const events: AuditRecord[] = []
  const problems: AuditProblem[] = []
  const onProblem = (problem: AuditProblem) => void problems.push(problem)
  for await (const event of readAudit(source, { onProblem, ...options })) events.push(event)
  return { events, problems }
}

/** The bytes in chunks of `size`. */
export async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
