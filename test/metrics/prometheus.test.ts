import { mkdirSync } from 'node:fs'
import {
  AggregatorRegistry,
  Gauge,
  type OpenMetricsContentType,
  Registry,
  register,
} from 'prom-client'
import { ExecAudit, ExecDiagnostics } from '../../src'
import { registerPrometheus } from '../../src/metrics'
import { startedEvent, startedLine } from '../support/events'
import { openAudit } from '../support/open-audit'
import { refusal } from '../support/refusal'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()
afterEach(() => register.clear())

/** The lines of the exposition that are no comments, without those of time and of the ring's use. */
async function samplesOf(registry: Registry): Promise<string[]> {
  const text = await registry.metrics()
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.filter((line) => !/^\w+_(seconds(_sum|_bucket)?|used_max_bytes)\{/.test(line))
}

/** The value of one sample of the exposition. */
async function sampleOf(registry: Registry, sample: string): Promise<number> {
  const lines = (await registry.metrics()).split('\n')
  const found = lines.filter((line) => line.startsWith(`${sample} `))
  expect(found).toHaveLength(1)
  return Number(found[0]?.slice(sample.length))
}

describe('the metrics for Prometheus', () => {
  it('are what has happened, in the names and units of Prometheus', async () => {
    const path = dir.path('exec.log')
    const { audit } = openAudit(path, { fsync: { maxEvents: 1 } })
    const registry = new Registry()
    registerPrometheus(audit, { registry, labels: { audit: 'main' } })
    for (const pid of [1, 2]) await audit.started(startedEvent({ pid }))
    await audit.started({ requestId: '', pid: 1 })
    expect(await samplesOf(registry)).toEqual(
      `exec_audit_enabled 1
      exec_audit_fail_open 1
      exec_audit_events_total{outcome="durable"} 2
      exec_audit_events_total{outcome="failed"} 1
      exec_audit_events_accepted_total{event="request"} 0
      exec_audit_events_accepted_total{event="started"} 2
      exec_audit_events_accepted_total{event="warning"} 0
      exec_audit_events_accepted_total{event="exit"} 0
      exec_audit_events_accepted_total{event="denial"} 0
      exec_audit_events_pending 0
      exec_audit_failures_total{stage="folder"} 0
      exec_audit_failures_total{stage="encode"} 1
      exec_audit_failures_total{stage="open"} 0
      exec_audit_failures_total{stage="write"} 0
      exec_audit_failures_total{stage="sync"} 0
      exec_audit_failures_total{stage="closed"} 0
      exec_audit_failures_total{stage="full"} 0
      exec_audit_warnings_total{code="AUDIT_TORN_TAIL"} 0
      exec_audit_warnings_total{code="AUDIT_UNSAFE_FILE"} 0
      exec_audit_warnings_total{code="AUDIT_WORKER_LOST"} 0
      exec_audit_warnings_total{code="AUDIT_WORKER_BACK"} 0
      exec_audit_warnings_total{code="AUDIT_RECOVERED"} 0
      exec_audit_warnings_total{code="AUDIT_REDACT_FAILED"} 0
      exec_audit_warnings_total{code="AUDIT_EXIT_TIMEOUT"} 0
      exec_audit_warnings_suppressed_total 0
      exec_audit_groups_total 2
      exec_audit_group_retries_total 0
      exec_audit_written_bytes_total ${startedLine(1).length * 2}
      exec_audit_ring_capacity_bytes 1048576
      exec_audit_ring_used_bytes 0
      exec_audit_waiting_events 0
      exec_audit_waiting_bytes 0
      exec_audit_waiting_limit_bytes 268435456
      exec_audit_file_size_bytes ${startedLine(1).length * 2}
      exec_audit_file_opens_total 1
      exec_audit_file_rotations_total 0
      exec_audit_file_torn_tails_total 0
      exec_audit_worker_restarts_total 0
      exec_audit_worker_lost 0
      exec_audit_sync_seconds_count 2`
        .split('\n')
        .map((line) => line.trim())
        .map((line) => withLabel(line, 'audit="main"')),
    )
  })

  it('have a help text, a type and a histogram with one bucket for each limit', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const registry = new Registry()
    registerPrometheus(audit, { registry, labels: {} })
    await audit.started(startedEvent())
    const { totalNs, buckets } = audit.stats().syncs
    const hit = buckets.findIndex(({ count }) => count > 0)
    const limits = [
      ...['0.00005', '0.0001', '0.00025', '0.0005', '0.001', '0.0025', '0.005', '0.01', '0.025'],
      ...['0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10', '+Inf'],
    ]
    expect(await registry.getSingleMetricAsString('exec_audit_sync_seconds')).toBe(
      [
        '# HELP exec_audit_sync_seconds Duration of the syncs of the log that returned',
        '# TYPE exec_audit_sync_seconds histogram',
        ...limits.map((le, i) => `exec_audit_sync_seconds_bucket{le="${le}"} ${i < hit ? 0 : 1}`),
        `exec_audit_sync_seconds_sum ${totalNs / 1e9}`,
        'exec_audit_sync_seconds_count 1',
      ].join('\n'),
    )
    expect(await registry.getSingleMetricAsString('exec_audit_groups_total')).toBe(
      [
        '# HELP exec_audit_groups_total Groups of events that shared one write and one sync',
        '# TYPE exec_audit_groups_total counter',
        'exec_audit_groups_total 1',
      ].join('\n'),
    )
  })

  it('give the time of the last failure and of the last success, in seconds', async () => {
    const path = dir.path('exec.log')
    mkdirSync(path)
    const { audit } = openAudit(path)
    const other = openAudit(dir.path('other.log')).audit
    const registry = new Registry()
    registerPrometheus(audit, { registry, labels: { audit: 'a' } })
    registerPrometheus(other, { registry, labels: { audit: 'b' } })
    const before = Date.now() / 1e3
    await audit.started(startedEvent())
    await other.started(startedEvent())
    const failedAt = await sampleOf(
      registry,
      'exec_audit_last_failure_timestamp_seconds{audit="a"}',
    )
    const doneAt = await sampleOf(registry, 'exec_audit_last_success_timestamp_seconds{audit="b"}')
    for (const at of [failedAt, doneAt]) {
      expect(at).toBeGreaterThanOrEqual(before)
      expect(at).toBeLessThanOrEqual(Date.now() / 1e3)
    }
    expect(await sampleOf(registry, 'exec_audit_last_failure_timestamp_seconds{audit="b"}')).toBe(0)
    expect(await sampleOf(registry, 'exec_audit_last_success_timestamp_seconds{audit="a"}')).toBe(0)
    expect(await sampleOf(registry, 'exec_audit_uptime_seconds{audit="a"}')).toBeGreaterThan(0)
  })

  it('of several audits stand in one metric, by the path of the log, until they are unregistered', async () => {
    const a = openAudit(dir.path('a.log')).audit
    const b = openAudit(dir.path('b.log')).audit
    const stopA = registerPrometheus(a)
    const stopB = registerPrometheus(b)
    await a.started(startedEvent())
    const groups = () => register.getSingleMetricAsString('exec_audit_groups_total')
    const head = (await groups()).split('\n').slice(0, 2)
    const lineOf = (name: string, count: number) =>
      `exec_audit_groups_total{path="${dir.path(name)}"} ${count}`
    expect((await groups()).split('\n')).toEqual([...head, lineOf('a.log', 1), lineOf('b.log', 0)])
    stopA()
    expect((await groups()).split('\n')).toEqual([...head, lineOf('b.log', 0)])
    stopA()
    stopB()
    expect(register.getMetricsAsArray()).toEqual([])
  })

  it('still have the last values after close, and zeros if the policy is disabled', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const registry = new Registry()
    registerPrometheus(audit, { registry, labels: { audit: 'a' } })
    const closed = { failureMode: 'closed' } as const
    const disabled = new ExecAudit({ enabled: false }, new ExecDiagnostics(), closed)
    registerPrometheus(disabled, { registry, labels: { audit: 'b' } })
    await audit.started(startedEvent())
    await audit.close()
    expect(await sampleOf(registry, 'exec_audit_groups_total{audit="a"}')).toBe(1)
    expect(await sampleOf(registry, 'exec_audit_enabled{audit="a"}')).toBe(1)
    expect(await sampleOf(registry, 'exec_audit_groups_total{audit="b"}')).toBe(0)
    expect(await sampleOf(registry, 'exec_audit_enabled{audit="b"}')).toBe(0)
    expect(await sampleOf(registry, 'exec_audit_fail_open{audit="a"}')).toBe(1)
    expect(await sampleOf(registry, 'exec_audit_fail_open{audit="b"}')).toBe(0)
  })

  it('are of one moment in one scrape, and of another in the next', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    let asked = 0
    const source = {
      stats: () => {
        asked++
        return audit.stats()
      },
    }
    const registry = new Registry()
    registerPrometheus(source, { registry, labels: {} })
    asked = 0
    await registry.metrics()
    expect(asked).toBe(1)
    await registry.metrics()
    expect(asked).toBe(2)
  })

  it('keep to the rules of OpenMetrics, of cluster mode, and survive resetMetrics', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    await audit.started(startedEvent())
    const registry = new Registry<OpenMetricsContentType>()
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    const stop = registerPrometheus(audit, { registry, labels: {} })
    registry.resetMetrics()
    const text = await registry.metrics()
    expect(text).toContain('# TYPE exec_audit_groups counter\nexec_audit_groups_total 1\n')
    expect(text).toMatch(/# EOF\n$/)
    stop()
    expect(registry.getMetricsAsArray()).toEqual([])

    const one = new Registry()
    registerPrometheus(audit, { registry: one, labels: {} })
    const json = await one.getMetricsAsJSON()
    const both = AggregatorRegistry.aggregate([json, json])
    const lines = (await both.metrics()).split('\n')
    expect(lines).toContain('exec_audit_groups_total 2')
    expect(lines).toContain('exec_audit_sync_seconds_count 2')
    expect(lines).toContain('exec_audit_enabled 1')
    expect(lines).toContain('exec_audit_ring_capacity_bytes 2097152')
  })

  it('refuse what cannot be: a second audit of the same labels, a taken name, wrong labels', () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const registry = new Registry()
    const messageOf = (options: Parameters<typeof registerPrometheus>[1]) =>
      refusal(() => registerPrometheus(audit, { registry, ...options })) ?? 'registered'
    expect(messageOf({ labels: { a: 'x' } })).toBe('registered')
    expect(messageOf({ labels: { a: 'x' } })).toBe(
      'Error: an audit with the labels {"a":"x"} is registered; unregister it, or give labels',
    )
    expect(messageOf({ labels: { a: 'y' } })).toBe('registered')
    expect(messageOf({ prefix: '1x' })).toBe(
      'RangeError: options.prefix: expected what the name of a metric can begin with, got "1x"',
    )
    expect(messageOf({ labels: { stage: 'x' } })).toBe(
      'RangeError: options.labels: "stage" is no name for a label here; outcome, event, stage, code, le are taken',
    )
    expect(messageOf({ labels: { 'a-b': 'x' } })).toMatch(/^RangeError: options.labels: "a-b"/)
    new Gauge({ name: 'mine_uptime_seconds', help: 'x', registers: [registry] })
    const before = registry.getMetricsAsArray().length
    expect(messageOf({ prefix: 'mine_' })).toBe(
      'Error: the registry has a metric mine_uptime_seconds of another origin; give a prefix',
    )
    expect(registry.getMetricsAsArray()).toHaveLength(before)
    expect(messageOf({ prefix: 'other_' })).toBe('registered')
  })

  it('refuse what is no audit and no registry, and options that there are not', () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const refusalOf = (...args: unknown[]) =>
      refusal(() => Reflect.apply(registerPrometheus, undefined, args))
    expect([
      refusalOf({ stats: 5 }),
      refusalOf(audit, { prefx: 'x_' }),
      refusalOf(audit, { registry: {} }),
      refusalOf(audit, { prefix: ['x_'] }),
      refusalOf(audit, 'x_'),
    ]).toEqual([
      'TypeError: audit: expected an ExecAudit, got an object without stats()',
      'TypeError: options.prefx: unknown option; did you mean prefix? Known are registry, prefix, labels',
      "TypeError: options.registry: expected prom-client's Registry, got an object without getSingleMetric()",
      'TypeError: options.prefix: expected what the name of a metric can begin with, got an array',
      'TypeError: options: expected an object, got a string of 2 characters',
    ])
    expect(register.getMetricsAsArray()).toEqual([])
  })
})

function withLabel(line: string, label: string): string {
  const [, name, labels, value] = /^(\w+)(?:\{(.*)\})? (.*)$/.exec(line) ?? []
  return `${name}{${labels === undefined ? '' : `${labels},`}${label}} ${value}`
}
