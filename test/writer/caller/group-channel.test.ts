import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'
import type { AuditGroup } from '../../../src'
import { DrainLoop } from '../../../src/writer/drain/drain-loop'
import { EventEncoder } from '../../../src/writer/record/encode'
import {
  allocateMemory,
  GROUPS_WATCHED,
  type SharedMemory,
} from '../../../src/writer/ring/memory-map'
import type { Notice } from '../../../src/writer/ring/messages'
import { RingProducer } from '../../../src/writer/ring/ring'
import { startedEvent, startedLine, startedLines } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

const CHANNEL = 'x0x-exec-audit:group'
const EVENTS = 500

const dir = useTempDir()
let stop = () => {}
afterEach(() => stop())

/** Subscribes until the test is over, or until `stop` is called. */
function watchGroups(onGroup: (group: AuditGroup) => void = () => {}): AuditGroup[] {
  const groups: AuditGroup[] = []
  const listener = (message: unknown) => {
    const group = message as AuditGroup
    groups.push(group)
    onGroup(group)
  }
  subscribe(CHANNEL, listener)
  stop = () => void unsubscribe(CHANNEL, listener)
  return groups
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

describe('the channel of groups', () => {
  it('publishes each group once: events, bytes and syncs add up to the file and the stats', async () => {
    const groups = watchGroups()
    const path = dir.path('exec.log')
    const { audit } = openAudit(path, { fsync: { maxEvents: 7 } })
    const pids = Array.from({ length: EVENTS }, (_, pid) => pid)
    await Promise.all(pids.map((pid) => audit.started(startedEvent({ pid }))))
    await audit.reopen()
    await audit.close()

    const stats = audit.stats()
    expect(groups.length).toBe(stats.groups.count)
    expect(sum(groups.map(({ events }) => events))).toBe(EVENTS + 1)
    expect(sum(groups.map(({ bytes }) => bytes))).toBe(startedLines(EVENTS).length)
    expect(readFileSync(path, 'utf8')).toBe(startedLines(EVENTS))
    expect(new Set(groups.map((group) => `${group.path} ${group.outcome}`))).toEqual(
      new Set([`${path} durable`]),
    )
    const synced = groups.filter(({ syncNs }) => syncNs > 0)
    expect(synced.length).toBe(stats.syncs.count)
    const { count, max } = stats.syncs.durationNs
    expect(count).toBe(synced.length)
    // The histogram keeps three digits.
    expect(Math.max(...synced.map(({ syncNs }) => syncNs)) / max).toBeCloseTo(1, 2)
  })

  it('publishes a group that failed, and one that was only written', async () => {
    const groups = watchGroups()
    const path = dir.path('exec.log')
    mkdirSync(path)
    const failing = openAudit(path).audit
    await failing.started(startedEvent({ pid: 1 }))
    // A group is reported after its outcome.
    await failing.close()
    const written = openAudit(dir.path('other.log'), { fsync: { method: 'none' } }).audit
    await written.started(startedEvent({ pid: 12 }))
    await written.close()
    const bytes = startedLine(1).length
    expect(groups).toEqual([
      { path, events: 1, bytes, syncNs: 0, outcome: 'failed' },
      { path: dir.path('other.log'), events: 1, bytes: bytes + 1, syncNs: 0, outcome: 'written' },
    ])
  })

  it('publishes the groups of a blocking drain too, before the audit is closed', async () => {
    const groups = watchGroups()
    const { audit } = openAudit(dir.path('exec.log'))
    for (let pid = 0; pid < 10; pid++) void audit.started(startedEvent({ pid }))
    expect(audit.drainSync()).toBe(true)
    // Positions are published before the worker reports the group, so the last may come after it.
    await audit.close()
    expect(sum(groups.map(({ events }) => events))).toBe(10)
  })

  it('lets a subscriber call the audit', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const inner: Promise<unknown>[] = []
    const groups = watchGroups(() => {
      if (inner.length === 0) inner.push(audit.started(startedEvent({ pid: 2 })))
    })
    await audit.started(startedEvent({ pid: 1 }))
    await audit.drain()
    await until('no group', () => inner.length > 0)
    expect(await Promise.all(inner)).toEqual(['durable'])
    await audit.close()
    expect(groups.map(({ events }) => events)).toEqual([1, 1])
  })

  it('lets a subscriber block on the audit while this thread is the one that drains', async () => {
    const path = dir.path('exec.log')
    writeFileSync(path, '', { mode: 0o600 })
    const { audit } = openAudit(path, { workerFile: dir.path('none.js') })
    let drained: boolean | undefined
    watchGroups(() => {
      if (drained !== undefined) return
      drained = false
      void audit.started(startedEvent({ pid: 1 }))
      drained = audit.drainSync()
    })
    await audit.started(startedEvent({ pid: 0 }))
    await until('no group', () => drained !== undefined)
    expect(drained).toBe(true)
    expect(audit.stats().worker.drainer).toBe('caller')
    expect(readFileSync(path, 'utf8')).toBe(startedLines(2))
  })

  it('begins with the first event after the subscription, and ends with the subscription', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    await audit.started(startedEvent({ pid: 1 }))
    const groups = watchGroups()
    await audit.started(startedEvent({ pid: 22 }))
    await audit.reopen()
    await until('no second group', () => groups.length === 2)
    stop()
    await audit.started(startedEvent({ pid: 333 }))
    await audit.close()
    expect(groups.map(({ bytes }) => bytes)).toEqual([startedLine(22).length, 0])
  })
})

describe('the drain loop', () => {
  const record = (memory: SharedMemory, ring: RingProducer, pid: number) => {
    const encoder = new EventEncoder({
      maxEventBytes: 1024,
      redact: undefined,
      clock: () => 0,
      withholdOnRedactError: true,
      onRedactError: () => {},
    })
    encoder.prepare('started', startedEvent({ pid }))
    const index = ring.tryClaim(encoder.maxBytes)
    ring.commit(encoder.write(memory.ring.records, index))
  }

  it('reports no group while nobody watches', () => {
    const memory = allocateMemory(1024)
    const ring = new RingProducer(memory.ring)
    const notices: Notice[] = []
    writeFileSync(dir.path('exec.log'), '', { mode: 0o600 })
    const config = {
      sink: {
        path: dir.path('exec.log'),
        fileMode: 0o600,
        dirMode: 0o700,
        onUnsafeFile: 'warn',
        syncMethod: 'none',
        descriptorsOutlive: true,
      },
      maxEvents: 100,
      maxBytes: 1024,
      maxDelayMs: 0,
      retryForMs: 0,
      groupEvents: createHistogram(),
      syncNs: createHistogram(),
    } as const
    const loop = new DrainLoop(config, { get: () => undefined }, (n) => notices.push(n), memory)
    for (const [pid, watched] of [0, 1, 0].entries()) {
      Atomics.store(memory.session.session, GROUPS_WATCHED, watched)
      record(memory, ring, pid)
      loop.step()
    }
    loop.close()
    const bytes = startedLine(0).length
    expect(notices).toEqual([{ kind: 'group', events: 1, bytes, syncNs: 0, outcome: 'written' }])
  })
})
