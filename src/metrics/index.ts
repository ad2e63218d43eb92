/// <reference types="node" preserve="true" />
/**
 * The figures of `audit.stats()` for prom-client or an OpenTelemetry meter, read when they are scraped
 * or collected.
 *
 * @module x0x-exec-audit/metrics
 */

export type { StatsSource } from './catalogue'
export type { Labels } from './labels'
export {
  type OpenTelemetryBatchCallback,
  type OpenTelemetryHistogram,
  type OpenTelemetryInstrumentOptions,
  type OpenTelemetryMeter,
  type OpenTelemetryObserver,
  type OpenTelemetryOptions,
  registerOpenTelemetry,
} from './opentelemetry'
export { type PrometheusOptions, type PrometheusRegistry, registerPrometheus } from './prometheus'
