import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { flag, valuesOf } from '../base/option-checks'
import { SYNC_LIMITS_NS } from '../writer/ring/counters'
import type { AuditGroup } from '../writer/ring/messages'
import { GROUP_CHANNEL } from '../writer/ring/messages'
import { METRICS, type MetricDefinition, type StatsSource, SYNC_HELP } from './catalogue'
import { checkMethods, checkSource } from './checks'
import { checkLabels, type Labels } from './labels'

/** The part of the OpenTelemetry API's `MetricOptions`. */
export interface OpenTelemetryInstrumentOptions {
  /** One line for people. */
  readonly description: string
  /** As UCUM writes it, such as `s`, `By` or `{event}`. */
  readonly unit: string
  /** Of the histogram: the limits of its buckets, in its unit. */
  readonly advice?: {
    /** In rising order; what is beyond the last one has a bucket of its own. */
    explicitBucketBoundaries: number[]
  }
}

/** The part of the OpenTelemetry API's `BatchObservableCallback`. */
export type OpenTelemetryBatchCallback = (result: OpenTelemetryObserver) => void

/** The part of the OpenTelemetry API's `BatchObservableResult`. */
export interface OpenTelemetryObserver {
  /** Takes the value that one instrument has now, for these attributes. */
  observe(instrument: object, value: number, attributes: Record<string, string>): void
}

/** The part of the OpenTelemetry API's `Histogram`. */
export interface OpenTelemetryHistogram {
  /** Takes one value; those of the syncs are seconds. */
  record(value: number, attributes: Record<string, string>): void
}

/** The part of the OpenTelemetry API's `Meter`. */
export interface OpenTelemetryMeter {
  /** For a value that only grows. */
  createObservableCounter(name: string, options: OpenTelemetryInstrumentOptions): object
  /** For a value that may fall, and adds up over several audits. */
  createObservableUpDownCounter(name: string, options: OpenTelemetryInstrumentOptions): object
  /** For a value that may fall, and does not add up. */
  createObservableGauge(name: string, options: OpenTelemetryInstrumentOptions): object
  /** For the time of the syncs; not called with `syncHistogram: false`. */
  createHistogram(name: string, options: OpenTelemetryInstrumentOptions): OpenTelemetryHistogram
  /** Registers the callback, called once per collection for all these instruments. */
  addBatchObservableCallback(callback: OpenTelemetryBatchCallback, instruments: object[]): void
  /** Unregisters the callback. */
  removeBatchObservableCallback(callback: OpenTelemetryBatchCallback, instruments: object[]): void
}

/** Options of {@link registerOpenTelemetry}. */
export interface OpenTelemetryOptions {
  /** Attributes that distinguish this audit from others; default `{ 'log.file.path': path }`. */
  attributes?: Labels | undefined
  /**
   * Whether the histogram `exec_audit.sync.duration` is recorded, default true. It needs a message from
   * the worker for each group; all other metrics cost nothing between two collections.
   */
  syncHistogram?: boolean | undefined
}

const OPTION_NAMES = [
  'attributes',
  'syncHistogram',
] as const satisfies readonly (keyof OpenTelemetryOptions)[]

const METER_METHODS = [
  'createObservableCounter',
  'createObservableUpDownCounter',
  'createObservableGauge',
  'createHistogram',
  'addBatchObservableCallback',
  'removeBatchObservableCallback',
] as const satisfies readonly (keyof OpenTelemetryMeter)[]

const PREFIX = 'exec_audit.'
const ATTRIBUTE_PATTERN = /^[a-zA-Z][\w.-]*$/
const NS_PER_S = 1e9

/**
 * Registers the metrics of an audit with an OpenTelemetry meter: observable instruments, which are read
 * from `audit.stats()` when the SDK collects, and a histogram of the syncs. The meter holds the audit
 * until it is unregistered, even after `close()`.
 * @returns unregisters it; the last values are not collected any more, so force a flush before
 * @throws TypeError or RangeError for a value that is no meter, or an option that is unknown or wrong
 */
export function registerOpenTelemetry(
  audit: StatsSource,
  meter: OpenTelemetryMeter,
  options: OpenTelemetryOptions = {},
): () => void {
  checkSource(audit)
  checkMethods(
    'meter',
    meter,
    "an OpenTelemetry meter, as metrics.getMeter('gateway') gives one",
    METER_METHODS,
  )
  const values = valuesOf('options', options, OPTION_NAMES)
  const isAsked = flag('options.syncHistogram', values, true)
  const { path } = audit.stats().file
  const given = options.attributes ?? { 'log.file.path': path ?? '' }
  const attributes = checkLabels('options.attributes', given, ATTRIBUTE_PATTERN)
  const stopObserving = observeStats(audit, meter, attributes)
  const stopRecording =
    isAsked && path !== undefined ? recordSyncs(path, meter, attributes) : () => {}
  return () => {
    stopObserving()
    stopRecording()
  }
}

function observeStats(
  audit: StatsSource,
  meter: OpenTelemetryMeter,
  attributes: Labels,
): () => void {
  const instruments = METRICS.map((definition) => createInstrument(meter, definition))
  const callback: OpenTelemetryBatchCallback = (result) => {
    const stats = audit.stats()
    for (const [i, { samples }] of METRICS.entries()) {
      const instrument = instruments[i]
      if (instrument === undefined) continue
      for (const { value, labels } of samples(stats)) {
        result.observe(instrument, value, { ...attributes, ...labels })
      }
    }
  }
  meter.addBatchObservableCallback(callback, instruments)
  return () => meter.removeBatchObservableCallback(callback, instruments)
}

function createInstrument(
  meter: OpenTelemetryMeter,
  { name, kind, unit, help }: MetricDefinition,
): object {
  const options = { description: help, unit }
  switch (kind) {
    case 'counter':
      return meter.createObservableCounter(PREFIX + name, options)
    case 'level':
      return meter.createObservableUpDownCounter(PREFIX + name, options)
    case 'gauge':
      return meter.createObservableGauge(PREFIX + name, options)
  }
}

/** The API has no observable histogram, so this one is recorded group by group. */
function recordSyncs(path: string, meter: OpenTelemetryMeter, attributes: Labels): () => void {
  const histogram = meter.createHistogram(`${PREFIX}sync.duration`, {
    description: SYNC_HELP,
    unit: 's',
    advice: {
      explicitBucketBoundaries: SYNC_LIMITS_NS.filter(Number.isFinite).map((ns) => ns / NS_PER_S),
    },
  })
  const listener = (message: unknown) => {
    if (!isGroup(message) || message.path !== path || message.syncNs === 0) return
    histogram.record(message.syncNs / NS_PER_S, { ...attributes })
  }
  subscribe(GROUP_CHANNEL, listener)
  return () => void unsubscribe(GROUP_CHANNEL, listener)
}

function isGroup(message: unknown): message is AuditGroup {
  return typeof message === 'object' && message !== null && 'syncNs' in message
}
