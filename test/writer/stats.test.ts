import { readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { type AuditStats, ExecAudit, ExecDiagnostics } from '../../src'
import { MemoryAudit } from '../../src/testing'
import { SYNC_LIMITS_NS, syncBucketOf } from '../../src/writer/ring/counters'
import {
  denialEvent,
  exitEvent,
  requestEvent,
  startedEvent,
  startedLine,
  warningEvent,
} from '../support/events'
import { openAudit } from '../support/open-audit'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()

/** The names of all values, such as `ring.usedBytes`. */
function namesOf(value: unknown, prefix = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [prefix]
  return Object.entries(value).flatMap(([name, inner]) =>
    namesOf(inner, prefix === '' ? name : `${prefix}.${name}`),
  )
}

const countOf = ({ syncs }: AuditStats) =>
  syncs.buckets.reduce((sum, bucket) => sum + bucket.count, 0)

describe('the stats', () => {
  it('are plain data, with the same names whether the policy is enabled or not', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    await audit.started(startedEvent())
    const stats = audit.stats()
    const disabled = new ExecAudit({ enabled: false }, new ExecDiagnostics()).stats()
    expect(namesOf(stats).toSorted()).toEqual(namesOf(disabled).toSorted())
    expect(disabled.state).toBe('disabled')
    const limits = stats.syncs.buckets.map(({ limitNs }) => ({ limitNs, count: 0 }))
    expect(disabled.syncs.buckets).toEqual(limits)
    expect(() => JSON.stringify(stats)).not.toThrow()
  })

  it('count the accepted events by method', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    void audit.request(requestEvent())
    for (let i = 0; i < 2; i++) void audit.started(startedEvent())
    for (let i = 0; i < 3; i++) void audit.warning(warningEvent())
    for (let i = 0; i < 4; i++) void audit.exit(exitEvent())
    for (let i = 0; i < 5; i++) void audit.denial(denialEvent())
    void audit.denial(denialEvent({ argv: ['x'.repeat(600_000)] }))
    void audit.reopen()
    await audit.started({ requestId: '', pid: 1 })
    expect(audit.stats().events).toMatchObject({
      accepted: 17,
      byType: { request: 1, started: 2, warning: 3, exit: 4, denial: 6 },
      failed: 1,
    })
  })

  it('have the state of the audit, and for how long it has existed', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const { uptimeMs, state } = audit.stats()
    expect(state).toBe('open')
    await audit.started(startedEvent())
    const closed = audit.close()
    expect(audit.stats().state).toBe('closing')
    await closed
    expect(audit.stats().state).toBe('closed')
    expect(audit.stats().uptimeMs).toBeGreaterThan(uptimeMs)
  })

  it.each(['open', 'closed'] as const)('have the failure mode %s', (failureMode) => {
    const { audit } = openAudit(dir.path('exec.log'), { failureMode })
    const disabled = new ExecAudit({ enabled: false }, new ExecDiagnostics(), { failureMode })
    const all = [audit, disabled, new MemoryAudit({ failureMode })]
    expect(all.map((each) => each.stats().failureMode)).toEqual(all.map(() => failureMode))
  })

  it('have the age of the event that is pending longest, in the ring or beside it', async () => {
    let now = 1_000
    // The worker waits for more events, which do not come.
    const options = { clock: () => now, fsync: { maxDelayMs: 60_000 }, ringBytes: 1024 }
    const { audit } = openAudit(dir.path('exec.log'), options)
    expect(audit.stats().events.oldestPendingMs).toBe(0)
    void audit.request(requestEvent({ argv: ['x'.repeat(10_000)] }))
    now = 1_250
    void audit.started(startedEvent())
    now = 2_000
    expect(audit.stats().events).toMatchObject({ pending: 2, oldestPendingMs: 1_000 })
    now = 500
    expect(audit.stats().events.oldestPendingMs).toBe(0)
    await audit.drain()
    now = 3_000
    expect(audit.stats().events).toMatchObject({ pending: 0, oldestPendingMs: 0 })
  })

  it('may be read by the clock', async () => {
    const ages: number[] = []
    const clock = (): number => {
      ages.push(audit.stats().events.oldestPendingMs)
      return 7
    }
    const { audit } = openAudit(dir.path('exec.log'), { clock })
    const first = audit.started(startedEvent())
    audit.stats()
    await first
    expect(ages.every((age) => age === 0)).toBe(true)
    expect(ages.length).toBeGreaterThan(1)
  })

  it('have each sync in one bucket, and their time in all', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    for (let pid = 0; pid < 50; pid++) await audit.started(startedEvent({ pid }))
    await audit.close()
    const stats = audit.stats()
    const { syncs } = stats
    expect([countOf(stats), syncs.count, syncs.durationNs.count]).toEqual([50, 50, 50])
    expect(syncs.totalNs / 50 / syncs.durationNs.mean).toBeCloseTo(1, 1)
    const longest = syncs.buckets.findLast(({ count }) => count > 0)
    expect(longest?.limitNs).toBeGreaterThan(syncs.durationNs.max * 0.99)
    expect(
      syncs.buckets.findLast(({ limitNs }) => limitNs < syncs.durationNs.min * 0.99)?.count ?? 0,
    ).toBe(0)
  })

  it('count the rotations that were followed, and where the last line ended', async () => {
    const path = dir.path('exec.log')
    const { audit } = openAudit(path)
    await audit.started(startedEvent({ pid: 1 }))
    await audit.started(startedEvent({ pid: 2 }))
    expect(audit.stats().file).toMatchObject({
      rotations: 0,
      opens: 1,
      endBytes: statSync(path).size,
    })
    renameSync(path, dir.path('exec.log.1'))
    await audit.started(startedEvent({ pid: 345 }))
    expect(readFileSync(path, 'utf8')).toBe(startedLine(345))
    expect(audit.stats().file).toMatchObject({
      rotations: 1,
      opens: 2,
      endBytes: startedLine(345).length,
    })
    rmSync(path)
    await audit.started(startedEvent({ pid: 4 }))
    await audit.reopen()
    await audit.started(startedEvent({ pid: 5 }))
    expect(audit.stats().file).toMatchObject({ rotations: 2, opens: 4 })
  })

  it('have the time at which a group last succeeded', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    expect(audit.stats().groups.lastSucceededAtMs).toBeNull()
    const before = Date.now()
    await audit.started(startedEvent())
    const at = audit.stats().groups.lastSucceededAtMs ?? 0
    expect(at).toBeGreaterThanOrEqual(before)
    expect(at).toBeLessThanOrEqual(Date.now())
    expect(audit.stats().events.lastFailedAtMs).toBeNull()
  })
})

describe('the buckets of syncs', () => {
  it('take a sync that lasts as long as their limit, and none that lasts longer', () => {
    for (const [bucket, limit] of SYNC_LIMITS_NS.slice(0, -1).entries()) {
      expect([syncBucketOf(limit), syncBucketOf(limit + 1)]).toEqual([bucket, bucket + 1])
    }
    expect(syncBucketOf(1)).toBe(0)
    expect(syncBucketOf(Number.MAX_SAFE_INTEGER)).toBe(SYNC_LIMITS_NS.length - 1)
  })
})
