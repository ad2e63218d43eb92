import { runChild } from '../support/children/run-child'
import { itWithStrace, strace } from '../support/strace'
import { useTempDir } from '../support/temp-dir'

const SCRIPT = `
const { Registry } = require('prom-client')
const sdk = require('@opentelemetry/sdk-metrics')
const { registerPrometheus, registerOpenTelemetry } = require('./dist/metrics')
const exporter = new sdk.InMemoryMetricExporter(sdk.AggregationTemporality.CUMULATIVE)
const reader = new sdk.PeriodicExportingMetricReader({ exporter })
const provider = new sdk.MeterProvider({ readers: [reader] })
const registry = new Registry()

const main = async () => {
  const audit = open({ logger: { warn() {} } })
  const stopPrometheus = registerPrometheus(audit, { registry, labels: {} })
  const stopOpenTelemetry = registerOpenTelemetry(audit, provider.getMeter('test'), { attributes: {} })
  for (let pid = 0; pid < 4; pid++) await audit.started({ requestId, pid })
  await audit.close()
  const lines = (await registry.metrics()).split('\\n')
  console.log(lines.filter((line) => /^exec_audit_(events|failures|groups)_total.* [1-9]/.test(line)).join('\\n'))
  await provider.forceFlush()
  const metrics = exporter.getMetrics().flatMap((m) => m.scopeMetrics).flatMap((s) => s.metrics)
  for (const name of ['exec_audit.events', 'exec_audit.failures']) {
    const { dataPoints } = metrics.find(({ descriptor }) => descriptor.name === name)
    for (const { value, attributes } of dataPoints) if (value > 0) console.log(name, value, JSON.stringify(attributes))
  }
  stopPrometheus()
  stopOpenTelemetry()
  await provider.shutdown()
}
main()
`

describe('the metrics of a disk that fails', () => {
  const dir = useTempDir()

  itWithStrace('have each failure at its stage, for Prometheus and OpenTelemetry', async () => {
    const path = dir.path('exec.log')
    const end = await runChild(SCRIPT, [path], strace(path, 'fdatasync:error=EIO:when=2..3'))
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout.trimEnd().split('\n')).toEqual([
      'exec_audit_events_total{outcome="durable"} 2',
      'exec_audit_events_total{outcome="failed"} 2',
      'exec_audit_failures_total{stage="sync"} 2',
      'exec_audit_groups_total 4',
      'exec_audit.events 2 {"outcome":"durable"}',
      'exec_audit.events 2 {"outcome":"failed"}',
      'exec_audit.failures 2 {"stage":"sync"}',
    ])
  })
})
