import { replaceUnsynced } from './durable-file'
import type { SealStats } from './sealer'

/** node_exporter's textfile collector runs as a user of its own. */
const MODE = 0o644

type Kind = 'counter' | 'gauge'

/** The stats as Prometheus' text. */
function sealMetricsText(stats: SealStats): string {
  const metrics: readonly [name: string, kind: Kind, help: string, value: number][] = [
    ['size_lines', 'gauge', 'Lines in the sealed tree', stats.size],
    ['lines_total', 'counter', 'Lines sealed since the sealer started', stats.sealedLines],
    ['checkpoints_total', 'counter', 'Checkpoints signed since the start', stats.checkpoints],
    [
      'failures_total',
      'counter',
      'Attempts to seal that failed, and files that were refused or lost, since the start',
      stats.failures,
    ],
    [
      'oldest_unsealed_seconds',
      'gauge',
      'How long the oldest unsealed line may have been in the log; 0 if there is none',
      stats.oldestUnsealedSeconds,
    ],
  ]
  return metrics
    .map(([name, kind, help, value]) => {
      const whole = `exec_audit_seal_${name}`
      return `# HELP ${whole} ${help}\n# TYPE ${whole} ${kind}\n${whole} ${value}\n`
    })
    .join('')
}

/** Replaces the file whole, so that nobody reads a part of it. */
export function writeSealMetrics(file: string, stats: SealStats): Promise<void> {
  return replaceUnsynced(file, sealMetricsText(stats), MODE)
}
