import { type BigintAuditRecord, followAudit, readAudit } from '../../src'
import { exitEvent, requestEvent, startedEvent, warningEvent } from '../support/events'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()
const BIGINTS = { u64: 'bigint' } as const

/** The u64s of an event, whose type a cast would hide if they could be numbers. */
function u64sOf(record: BigintAuditRecord): (bigint | null)[] {
  if (record.event === 'request') return [record.stdinBytes]
  if (record.event === 'warning') return [record.bytes]
  if (record.event !== 'exit') return []
  return [record.durationMs, record.stdoutBytes, record.stderrBytes]
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}

async function logOfAll(): Promise<string> {
  const path = dir.path('exec.log')
  const { audit } = openAudit(path, { failureMode: 'closed' })
  await audit.request(requestEvent({ stdinBytes: 7 }))
  await audit.started(startedEvent())
  await audit.warning(warningEvent({ bytes: 8 }))
  await audit.warning(warningEvent({ bytes: null }))
  await audit.exit(exitEvent({ durationMs: 9, stdoutBytes: 2n ** 64n - 1n, stderrBytes: 0 }))
  await audit.close()
  return path
}

describe("the reader's option u64", () => {
  it('makes every u64 a bigint, and leaves the other fields as they are', async () => {
    const path = await logOfAll()
    const records = await all(readAudit(path, BIGINTS))
    expect(records.map(u64sOf)).toEqual([[7n], [], [8n], [null], [9n, 2n ** 64n - 1n, 0n]])
    const plain = await all(readAudit(path))
    const widened = plain.map((record) => ({
      ...record,
      ...(record.event === 'request' && { stdinBytes: 7n }),
      ...(record.event === 'warning' && record.bytes !== null && { bytes: 8n }),
      ...(record.event === 'exit' && { durationMs: 9n, stderrBytes: 0n }),
    }))
    expect(records).toEqual(widened)
  })

  it('holds for followAudit, too', async () => {
    const path = await logOfAll()
    const found: (bigint | null)[][] = []
    for await (const record of followAudit(path, BIGINTS)) {
      found.push(u64sOf(record))
      if (record.event === 'exit') break
    }
    expect(found).toEqual([[7n], [], [8n], [null], [9n, 2n ** 64n - 1n, 0n]])
  })

  it('has no other value', async () => {
    const expected = 'options.u64: expected one of bigint, got "number"'
    const options = [dir.path('exec.log'), { u64: 'number' }]
    expect(() => Reflect.apply(followAudit, undefined, options)).toThrow(new RangeError(expected))
    await expect(Reflect.apply(readAudit, undefined, options).next()).rejects.toThrow(expected)
  })
})
