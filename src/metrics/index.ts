/// <reference types="node" preserve="true" />

export type { StatsSource } from './catalogue'
export type { Labels } from './labels'
export {
  type OpenTelemetryMeter,
  type OpenTelemetryOptions,
  registerOpenTelemetry,
} from './opentelemetry'
export { type PrometheusOptions, type PrometheusRegistry, registerPrometheus } from './prometheus'
