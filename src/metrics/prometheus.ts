import { refuse, valuesOf } from '../base/option-checks'
import { soon } from '../base/timers'
import type { AuditStats } from '../writer/audit-stats'
import {
  METRICS,
  type MetricDefinition,
  type Sample,
  type StatsSource,
  SYNC_HELP,
} from './catalogue'
import { checkMethods, checkSource } from './checks'
import { checkLabels, type Labels } from './labels'

/** The part of prom-client's `Registry` that is used. */
export interface PrometheusRegistry {
  /** The metric of that name, of whatever origin; undefined if there is none. */
  getSingleMetric(name: string): unknown
  /** Adds one; throws if the name is taken. */
  registerMetric(metric: object): void
  /** Takes one out, once no audit is left in it. */
  removeSingleMetric(name: string): void
}

/** Options of {@link registerPrometheus}. */
export interface PrometheusOptions {
  /** Where to register; default prom-client's global `register`. */
  registry?: PrometheusRegistry | undefined
  /** The prefix of all names; default `exec_audit_`. */
  prefix?: string | undefined
  /** Labels that distinguish this audit from others in the registry; default `{ path }`, the log's path. */
  labels?: Labels | undefined
}

const OPTION_NAMES = [
  'registry',
  'prefix',
  'labels',
] as const satisfies readonly (keyof PrometheusOptions)[]

const PREFIX_PATTERN = /^[a-zA-Z_:][\w:]*$/
const LABEL_PATTERN = /^[a-zA-Z_]\w*$/
const NS_PER_S = 1e9
const UNIT_SUFFIXES = new Map<string, string>([
  ['s', '_seconds'],
  ['By', '_bytes'],
])

const REGISTRY_METHODS = [
  'getSingleMetric',
  'registerMetric',
  'removeSingleMetric',
] as const satisfies readonly (keyof PrometheusRegistry)[]

/** One audit's part in a metric. */
interface Member {
  readonly source: StatsSource
  readonly labels: Labels
}

/** A sample as prom-client wants it; `metricName` if it is not the metric's. */
type NamedSample = Sample & { readonly metricName?: string }

/** The type of a metric in Prometheus. */
interface Shape {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** How prom-client's cluster mode puts those of several processes together. */
  readonly aggregator: 'sum' | 'max'
  readonly samples: (stats: AuditStats, name: string) => readonly NamedSample[]
}

/** The stats of a scrape: taken once for all its metrics, which it reads in one turn. */
class Scrape {
  readonly #taken = new Map<StatsSource, AuditStats>()

  statsOf(source: StatsSource): AuditStats {
    const taken = this.#taken.get(source)
    if (taken !== undefined) return taken
    if (this.#taken.size === 0) soon(() => this.#taken.clear())
    const stats = source.stats()
    this.#taken.set(source, stats)
    return stats
  }
}

const scrape = new Scrape()

/**
 * A metric that takes its values from the stats when it is scraped. prom-client's own counters and
 * histograms can only be added to, so this is one more kind of metric. A registry accepts it, since it
 * asks its metrics for nothing but these members.
 */
class ScrapedMetric {
  /** Not what it is registered by: for OpenMetrics the registry takes `_total` off. */
  name: string
  readonly help: string
  readonly type: Shape['type']
  readonly aggregator: Shape['aggregator']
  readonly members = new Set<Member>()
  readonly #samples: Shape['samples']

  constructor({ name, help, type, aggregator, samples }: Shape) {
    this.name = name
    this.help = help
    this.type = type
    this.aggregator = aggregator
    this.#samples = samples
  }

  async get() {
    const { name, help, type, aggregator } = this
    const values = [...this.members].flatMap(({ source, labels }) =>
      this.#samples(scrape.statsOf(source), name).map((sample) => ({
        ...sample,
        labels: { ...sample.labels, ...labels },
      })),
    )
    return { name, help, type, aggregator, values }
  }

  /** For the registry's `resetMetrics()`: the audit's counts are not ours to reset. */
  reset(): void {}
}

/**
 * Registers the metrics of an audit with a prom-client registry. They are read from `audit.stats()`
 * when they are scraped; between scrapes nothing runs. The registry holds the audit until it is
 * unregistered, even after `close()`.
 * @returns unregisters it
 * @throws TypeError or RangeError for an option that is unknown, or has a wrong value; Error if prom-client is not
 *   installed and no registry was given, if another metric has one of the names, or if an audit
 *   with the same labels is registered
 */
export function registerPrometheus(
  audit: StatsSource,
  options: PrometheusOptions = {},
): () => void {
  checkSource(audit)
  valuesOf('options', options, OPTION_NAMES)
  const { registry = globalRegistry(), prefix = 'exec_audit_' } = options
  checkMethods('options.registry', registry, "prom-client's Registry", REGISTRY_METHODS)
  if (typeof prefix !== 'string' || !PREFIX_PATTERN.test(prefix)) {
    refuse('options.prefix', prefix, 'what the name of a metric can begin with')
  }
  const given = options.labels ?? { path: audit.stats().file.path ?? '' }
  const member: Member = {
    source: audit,
    labels: checkLabels('options.labels', given, LABEL_PATTERN),
  }
  const shapes = shapesOf(prefix)
  // All are checked before the first is changed.
  for (const { name } of shapes) checkPlace(registry, name, member)
  for (const shape of shapes) metricOf(registry, shape).members.add(member)
  return () => {
    for (const { name } of shapes) leave(registry, name, member)
  }
}

function globalRegistry(): PrometheusRegistry {
  try {
    const { register }: { register: PrometheusRegistry } = require('prom-client')
    return register
  } catch (cause) {
    throw new Error('prom-client is not installed; install it, or give a registry', { cause })
  }
}

function shapesOf(prefix: string): Shape[] {
  const scraped = METRICS.map((definition) => ({
    name: prefix + nameOf(definition),
    help: definition.help,
    type: definition.kind === 'counter' ? ('counter' as const) : ('gauge' as const),
    aggregator: definition.kind === 'gauge' ? ('max' as const) : ('sum' as const),
    samples: definition.samples,
  }))
  const syncs = { name: `${prefix}sync_seconds`, help: SYNC_HELP, samples: syncSamples } as const
  return [...scraped, { ...syncs, type: 'histogram', aggregator: 'sum' }]
}

function nameOf({ name, unit, kind }: MetricDefinition): string {
  const suffix = UNIT_SUFFIXES.get(unit) ?? ''
  return name.replaceAll('.', '_') + suffix + (kind === 'counter' ? '_total' : '')
}

/** The syncs as a histogram: each bucket counts all that took no longer than its limit. */
function syncSamples({ syncs }: AuditStats, name: string): NamedSample[] {
  let count = 0
  const buckets = syncs.buckets.map((bucket) => {
    count += bucket.count
    const le = Number.isFinite(bucket.limitNs) ? String(bucket.limitNs / NS_PER_S) : '+Inf'
    return { metricName: `${name}_bucket`, value: count, labels: { le } }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, value: syncs.totalNs / NS_PER_S, labels: {} },
    { metricName: `${name}_count`, value: count, labels: {} },
  ]
}

function checkPlace(registry: PrometheusRegistry, name: string, { labels }: Member): void {
  const metric = registry.getSingleMetric(name)
  if (metric === undefined) return
  if (!(metric instanceof ScrapedMetric)) {
    throw new Error(`the registry has a metric ${name} of another origin; give a prefix`)
  }
  const same = [...metric.members].some((member) => isSame(member.labels, labels))
  if (!same) return
  throw new Error(
    `an audit with the labels ${JSON.stringify(labels)} is registered; unregister it, or give labels`,
  )
}

function metricOf(registry: PrometheusRegistry, shape: Shape): ScrapedMetric {
  const known = registry.getSingleMetric(shape.name)
  if (known instanceof ScrapedMetric) return known
  const metric = new ScrapedMetric(shape)
  registry.registerMetric(metric)
  return metric
}

function leave(registry: PrometheusRegistry, name: string, member: Member): void {
  const metric = registry.getSingleMetric(name)
  if (!(metric instanceof ScrapedMetric) || !metric.members.delete(member)) return
  if (metric.members.size === 0) registry.removeSingleMetric(name)
}

function isSame(a: Labels, b: Labels): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}
