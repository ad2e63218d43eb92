import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ExecAudit, ExecDiagnostics } from '../../src'
import { useTempDir } from '../support/temp-dir'

interface GoldenRow {
  readonly call: Readonly<Record<string, unknown>>
  readonly line: string
}

/** Reference fields that are u64: decimal strings in the fixture, since they go up to 2^64 - 1. */
const U64_FIELDS = new Set(['stdin_bytes', 'duration_ms', 'stdout_bytes', 'stderr_bytes', 'bytes'])

function readRows(): GoldenRow[] {
  const text = readFileSync(join(__dirname, '../fixtures/exec-audit.jsonl'), 'utf8')
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line): GoldenRow => JSON.parse(line))
}

function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}

/** The row's arguments as this package takes them. */
function eventOf({ call }: GoldenRow): Record<string, unknown> {
  const { method: _, ...fields } = call
  const entries = Object.entries(fields).map(([name, value]) => {
    const isU64 = U64_FIELDS.has(name) && typeof value === 'string'
    return [camelCase(name), isU64 ? BigInt(value) : value]
  })
  return Object.fromEntries(entries)
}

function timeOf({ line }: GoldenRow): number {
  const parsed: { ts_unix_ms: number } = JSON.parse(line)
  return parsed.ts_unix_ms
}

/** Calls the event method by its name, as a JavaScript embedder would. */
function record(audit: ExecAudit, method: unknown, event: unknown): Promise<unknown> {
  return Reflect.apply(Reflect.get(audit, String(method)), audit, [event])
}

describe('ExecAudit, beside the reference implementation,', () => {
  const dir = useTempDir()

  it('writes its bytes for 400 calls, through the real worker and file', async () => {
    const rows = readRows()
    expect(rows).toHaveLength(400)
    let now = 0
    const path = dir.path('exec.log')
    const options = { clock: () => now, failureMode: 'closed' } as const
    const audit = new ExecAudit(
      { enabled: true, auditLogPath: path },
      new ExecDiagnostics(),
      options,
    )
    const outcomes = rows.map((row) => {
      now = timeOf(row)
      return record(audit, row.call.method, eventOf(row))
    })
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['durable']))
    await audit.close()

    const lines = readFileSync(path, 'utf8').split('\n')
    expect(lines.pop()).toBe('')
    expect(lines).toEqual(rows.map((row) => row.line))
  })
})
