import { channel } from 'node:diagnostics_channel'
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { registerOpenTelemetry } from '../../src/metrics'
import { startedEvent, startedLine } from '../support/events'
import { openAudit } from '../support/open-audit'
import { refusal } from '../support/refusal'
import { useTempDir } from '../support/temp-dir'

const dir = useTempDir()

/** A real SDK that exports into memory when it is flushed. */
function openSdk() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const exportIntervalMillis = 2 ** 31 - 1
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis })
  const provider = new MeterProvider({ readers: [reader] })
  providers.push(provider)
  const collect = async (): Promise<Map<string, MetricData>> => {
    exporter.reset()
    await provider.forceFlush()
    const scopes = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
    const metrics = scopes.flatMap((scope) => scope.metrics)
    return new Map(metrics.map((metric) => [metric.descriptor.name, metric]))
  }
  return { meter: provider.getMeter('test'), collect }
}

const providers: MeterProvider[] = []
afterEach(async () => {
  await Promise.all(providers.splice(0).map((provider) => provider.shutdown()))
})

/** The points of a metric as `value attributes`. */
const pointsOf = (metric: MetricData | undefined) =>
  (metric?.dataPoints ?? []).map(({ value, attributes }) => [value, attributes])

describe('the metrics for OpenTelemetry', () => {
  it('are what has happened, in the names and units of OpenTelemetry', async () => {
    const path = dir.path('exec.log')
    const { audit } = openAudit(path, { fsync: { maxEvents: 1 } })
    const { meter, collect } = openSdk()
    const stop = registerOpenTelemetry(audit, meter, { attributes: { audit: 'main' } })
    for (const pid of [1, 2]) await audit.started(startedEvent({ pid }))
    await audit.started({ requestId: '', pid: 1 })
    // A group is told of after its outcome, and for the histogram it must be told.
    await audit.close()
    const metrics = await collect()
    stop()
    // The SDK's types keep the kind of an instrument to themselves.
    const shapes = [...metrics.values()].map(({ descriptor }) =>
      [descriptor.name, Reflect.get(descriptor, 'type'), descriptor.unit].join(' '),
    )
    expect(shapes.toSorted()).toEqual([
      'exec_audit.enabled OBSERVABLE_GAUGE 1',
      'exec_audit.events OBSERVABLE_COUNTER {event}',
      'exec_audit.events.accepted OBSERVABLE_COUNTER {event}',
      'exec_audit.events.pending OBSERVABLE_UP_DOWN_COUNTER {event}',
      'exec_audit.fail_open OBSERVABLE_GAUGE 1',
      'exec_audit.failures OBSERVABLE_COUNTER {event}',
      'exec_audit.file.opens OBSERVABLE_COUNTER {open}',
      'exec_audit.file.rotations OBSERVABLE_COUNTER {rotation}',
      'exec_audit.file.size OBSERVABLE_GAUGE By',
      'exec_audit.file.torn_tails OBSERVABLE_COUNTER {fragment}',
      'exec_audit.group.retries OBSERVABLE_COUNTER {try}',
      'exec_audit.groups OBSERVABLE_COUNTER {group}',
      'exec_audit.last_failure.timestamp OBSERVABLE_GAUGE s',
      'exec_audit.last_success.timestamp OBSERVABLE_GAUGE s',
      'exec_audit.oldest_pending OBSERVABLE_GAUGE s',
      'exec_audit.ring.capacity OBSERVABLE_UP_DOWN_COUNTER By',
      'exec_audit.ring.used OBSERVABLE_UP_DOWN_COUNTER By',
      'exec_audit.ring.used_max OBSERVABLE_GAUGE By',
      'exec_audit.sync.duration HISTOGRAM s',
      'exec_audit.uptime OBSERVABLE_GAUGE s',
      'exec_audit.waiting OBSERVABLE_UP_DOWN_COUNTER By',
      'exec_audit.waiting.events OBSERVABLE_UP_DOWN_COUNTER {event}',
      'exec_audit.waiting.limit OBSERVABLE_UP_DOWN_COUNTER By',
      'exec_audit.warnings OBSERVABLE_COUNTER {warning}',
      'exec_audit.warnings.suppressed OBSERVABLE_COUNTER {warning}',
      'exec_audit.worker.lost OBSERVABLE_GAUGE 1',
      'exec_audit.worker.restarts OBSERVABLE_COUNTER {restart}',
      'exec_audit.written OBSERVABLE_COUNTER By',
    ])
    const own = { audit: 'main' }
    expect(pointsOf(metrics.get('exec_audit.events'))).toEqual([
      [2, { ...own, outcome: 'durable' }],
      [1, { ...own, outcome: 'failed' }],
    ])
    expect(pointsOf(metrics.get('exec_audit.written'))).toEqual([[2 * startedLine(1).length, own]])
    expect(pointsOf(metrics.get('exec_audit.enabled'))).toEqual([[1, own]])
  })

  it('have the syncs of the groups as a histogram, in seconds', async () => {
    const { audit } = openAudit(dir.path('exec.log'), { fsync: { maxEvents: 1 } })
    const { audit: other } = openAudit(dir.path('other.log'))
    const { meter, collect } = openSdk()
    const stop = registerOpenTelemetry(audit, meter)
    for (let pid = 0; pid < 10; pid++) void audit.started(startedEvent({ pid }))
    await other.started(startedEvent())
    await audit.close()
    const metric = (await collect()).get('exec_audit.sync.duration')
    stop()
    const [point] = (metric?.dataPoints ?? []) as DataPoint<Histogram>[]
    const { totalNs, buckets } = audit.stats().syncs
    expect(point?.attributes).toEqual({ 'log.file.path': dir.path('exec.log') })
    expect(point?.value.count).toBe(10)
    expect(point?.value.sum).toBeCloseTo(totalNs / 1e9, 6)
    expect(point?.value.buckets.counts).toEqual(buckets.map(({ count }) => count))
  })

  it('without the histogram have nothing sent from the worker', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const { meter, collect } = openSdk()
    const stop = registerOpenTelemetry(audit, meter, { syncHistogram: false })
    expect(channel('x0x-exec-audit:group').hasSubscribers).toBe(false)
    await audit.started(startedEvent())
    const metrics = await collect()
    stop()
    expect(metrics.has('exec_audit.sync.duration')).toBe(false)
    expect(pointsOf(metrics.get('exec_audit.groups'))).toEqual([
      [1, { 'log.file.path': dir.path('exec.log') }],
    ])
  })

  it('of several audits stand beside each other, until they are unregistered', async () => {
    const { meter, collect } = openSdk()
    const [a, b] = ['a', 'b'].map((name) => {
      const { audit } = openAudit(dir.path(`${name}.log`))
      return { audit, stop: registerOpenTelemetry(audit, meter, { attributes: { audit: name } }) }
    })
    await a?.audit.started(startedEvent())
    const groups = async () => pointsOf((await collect()).get('exec_audit.groups'))
    expect(await groups()).toEqual([
      [1, { audit: 'a' }],
      [0, { audit: 'b' }],
    ])
    await b?.audit.started(startedEvent())
    expect(await groups()).toEqual([
      [1, { audit: 'a' }],
      [1, { audit: 'b' }],
    ])
    b?.stop()
    await a?.audit.started(startedEvent())
    expect((await groups()).filter(([value]) => value === 2)).toEqual([[2, { audit: 'a' }]])
    a?.stop()
    expect(channel('x0x-exec-audit:group').hasSubscribers).toBe(false)
  })

  it('refuse what is no audit and no meter, and options that cannot be, by their names', () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const { meter } = openSdk()
    const refusalOf = (...args: unknown[]) =>
      refusal(() => Reflect.apply(registerOpenTelemetry, undefined, args))
    const aMeter = "expected an OpenTelemetry meter, as metrics.getMeter('gateway') gives one"
    expect([
      refusalOf(audit),
      refusalOf(audit, { attributes: {} }),
      refusalOf(undefined, meter),
      refusalOf(audit, meter, { atributes: {} }),
      refusalOf(audit, meter, { syncHistogram: 0 }),
      refusalOf(audit, meter, { attributes: 'x' }),
      refusalOf(audit, meter, { attributes: { a: 1 } }),
      refusalOf(audit, meter, { attributes: { outcome: 'x' } }),
    ]).toEqual([
      `TypeError: meter: ${aMeter}, got undefined`,
      `TypeError: meter: ${aMeter}, got an object without createObservableCounter()`,
      'TypeError: audit: expected an ExecAudit, got undefined',
      'TypeError: options.atributes: unknown option; did you mean attributes? Known are attributes, syncHistogram',
      'RangeError: options.syncHistogram: expected a boolean, got the number 0',
      'TypeError: options.attributes: expected an object of strings, got a string of 1 characters',
      'TypeError: options.attributes.a: expected a string, got number',
      'RangeError: options.attributes: "outcome" is no name for a label here; outcome, event, stage, code, le are taken',
    ])
    expect(channel('x0x-exec-audit:group').hasSubscribers).toBe(false)
  })
})
