import { replaceUnsynced } from '../../seal/sealer/durable-file'
import type { ShipStats } from './ship-meter'

/** node_exporter's textfile collector runs as a user of its own. */
const MODE = 0o644

type Kind = 'counter' | 'gauge'

/** The stats as Prometheus' text. */
function shipMetricsText(stats: ShipStats): string {
  const metrics: readonly [name: string, kind: Kind, help: string, value: number][] = [
    ['index', 'gauge', 'Index of the next line to be stored in the stream', stats.index],
    ['lines_total', 'counter', 'Lines stored since the shipper started', stats.shippedLines],
    [
      'oversize_lines_total',
      'counter',
      'Lines that the server does not take, with a marker in their place, since the start',
      stats.oversizeLines,
    ],
    ['gaps_total', 'counter', 'Gaps passed over since the start', stats.gaps],
    ['failures_total', 'counter', 'Attempts without an answer or room', stats.failures],
    ['lag_lines', 'gauge', 'Lines that are not stored yet; in part an estimate', stats.lagLines],
    [
      'lag_seconds',
      'gauge',
      'Age of the oldest line that is not stored, by its own time; 0 if there is none',
      stats.lagSeconds,
    ],
  ]
  return metrics
    .map(([name, kind, help, value]) => {
      const whole = `exec_audit_ship_${name}`
      return `# HELP ${whole} ${help}\n# TYPE ${whole} ${kind}\n${whole} ${value}\n`
    })
    .join('')
}

/** Replaces the file whole, so that nobody reads a part of it. */
export function writeShipMetrics(file: string, stats: ShipStats): Promise<void> {
  return replaceUnsynced(file, shipMetricsText(stats), MODE)
}
