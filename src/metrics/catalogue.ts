import type { AuditStats } from '../writer/audit-stats'

/** The source of the metrics: an `ExecAudit`. */
export interface StatsSource {
  /** Called at each scrape or collection, and once when it is registered. */
  stats(): AuditStats
}

/** A value, and the labels that distinguish it from the others of its metric. */
export interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
}

/** One metric, without the conventions of a system. */
export interface MetricDefinition {
  /** Words, separated by dots and underscores. */
  readonly name: string
  /**
   * `counter` only grows; `level` may fall, and adds up over several audits; `gauge` may fall, and
   * does not.
   */
  readonly kind: 'counter' | 'level' | 'gauge'
  /** As UCUM writes it; the count of things in braces, `1` for a plain number. */
  readonly unit: 's' | 'By' | '1' | `{${string}}`
  readonly help: string
  readonly samples: (stats: AuditStats) => readonly Sample[]
}

/** Labels that the metrics have of their own. */
export const OWN_LABELS: readonly string[] = ['outcome', 'event', 'stage', 'code', 'le']

export const SYNC_HELP = 'Duration of the syncs of the log that returned'

const S_PER_MS = 1e-3

/** All metrics but the histogram of syncs, which each system records in its own way. */
export const METRICS: readonly MetricDefinition[] = [
  {
    name: 'enabled',
    kind: 'gauge',
    unit: '1',
    help: 'Whether the policy is enabled: 1, or 0 and nothing is recorded',
    samples: one(({ state }) => (state === 'disabled' ? 0 : 1)),
  },
  {
    name: 'fail_open',
    kind: 'gauge',
    unit: '1',
    help: 'Whether failureMode is open: 1, and commands run although their events fail; or 0',
    samples: one(({ failureMode }) => (failureMode === 'open' ? 1 : 0)),
  },
  {
    name: 'uptime',
    kind: 'gauge',
    unit: 's',
    help: 'Time since the audit was constructed',
    samples: one(({ uptimeMs }) => uptimeMs * S_PER_MS),
  },
  {
    name: 'events',
    kind: 'counter',
    unit: '{event}',
    help: 'Events that have their outcome',
    samples: ({ events, syncs }) => [
      {
        value: events.succeeded,
        labels: { outcome: syncs.method === 'none' ? 'written' : 'durable' },
      },
      { value: events.failed, labels: { outcome: 'failed' } },
    ],
  },
  {
    name: 'events.accepted',
    kind: 'counter',
    unit: '{event}',
    help: 'Events that passed validation and found room, by method',
    samples: ({ events }) => by('event', events.byType),
  },
  {
    name: 'events.pending',
    kind: 'level',
    unit: '{event}',
    help: 'Accepted events without an outcome yet',
    samples: one(({ events }) => events.pending),
  },
  {
    name: 'oldest_pending',
    kind: 'gauge',
    unit: 's',
    help: 'Age of the event that is pending longest; 0 when none is',
    samples: one(({ events }) => events.oldestPendingMs * S_PER_MS),
  },
  {
    name: 'failures',
    kind: 'counter',
    unit: '{event}',
    help: 'Failed events by where: encode is the caller, full and closed are refusals, the rest is I/O',
    samples: ({ failures }) => by('stage', failures),
  },
  {
    name: 'last_failure.timestamp',
    kind: 'gauge',
    unit: 's',
    help: 'When an event failed last, since 1970; 0 for never',
    samples: one(({ events }) => (events.lastFailedAtMs ?? 0) * S_PER_MS),
  },
  {
    name: 'last_success.timestamp',
    kind: 'gauge',
    unit: 's',
    help: 'When a group of events last succeeded, since 1970; 0 for never',
    samples: one(({ groups }) => (groups.lastSucceededAtMs ?? 0) * S_PER_MS),
  },
  {
    name: 'warnings',
    kind: 'counter',
    unit: '{warning}',
    help: "Warnings that are not one event's failure, by code",
    samples: ({ warnings }) => by('code', warnings.byCode),
  },
  {
    name: 'warnings.suppressed',
    kind: 'counter',
    unit: '{warning}',
    help: 'Warnings that the logger was spared, since they came too often',
    samples: one(({ warnings }) => warnings.suppressed),
  },
  {
    name: 'groups',
    kind: 'counter',
    unit: '{group}',
    help: 'Groups of events that shared one write and one sync',
    samples: one(({ groups }) => groups.count),
  },
  {
    name: 'group.retries',
    kind: 'counter',
    unit: '{try}',
    help: 'Further tries to write or sync a group, within retryForMs',
    samples: one(({ groups }) => groups.retries),
  },
  {
    name: 'written',
    kind: 'counter',
    unit: 'By',
    help: 'Lines of the groups that succeeded',
    samples: one(({ groups }) => groups.bytes),
  },
  {
    name: 'ring.capacity',
    kind: 'level',
    unit: 'By',
    help: 'Capacity of the ring',
    samples: one(({ ring }) => ring.capacityBytes),
  },
  {
    name: 'ring.used',
    kind: 'level',
    unit: 'By',
    help: 'Bytes of the ring in use',
    samples: one(({ ring }) => ring.usedBytes),
  },
  {
    name: 'ring.used_max',
    kind: 'gauge',
    unit: 'By',
    help: 'The most bytes of the ring that were ever in use',
    samples: one(({ ring }) => ring.usedBytesMax),
  },
  {
    name: 'waiting.events',
    kind: 'level',
    unit: '{event}',
    help: 'Events that wait for room in the ring',
    samples: one(({ waiting }) => waiting.events),
  },
  {
    name: 'waiting',
    kind: 'level',
    unit: 'By',
    help: 'Bytes outside the ring, of events that wait or are too large for it',
    samples: one(({ waiting }) => waiting.bytes),
  },
  {
    name: 'waiting.limit',
    kind: 'level',
    unit: 'By',
    help: 'Limit of the bytes outside the ring; an event beyond it fails',
    samples: one(({ waiting }) => waiting.limitBytes),
  },
  {
    name: 'file.size',
    kind: 'gauge',
    unit: 'By',
    help: 'Where the last line ended in the log',
    samples: one(({ file }) => file.endBytes),
  },
  {
    name: 'file.opens',
    kind: 'counter',
    unit: '{open}',
    help: 'Openings of the log',
    samples: one(({ file }) => file.opens),
  },
  {
    name: 'file.rotations',
    kind: 'counter',
    unit: '{rotation}',
    help: 'Times the log was found renamed, deleted or replaced, and the path was followed',
    samples: one(({ file }) => file.rotations),
  },
  {
    name: 'file.torn_tails',
    kind: 'counter',
    unit: '{fragment}',
    help: 'Fragments of lines that were found at the end of the log, and closed with a newline',
    samples: one(({ file }) => file.tornTails),
  },
  {
    name: 'worker.restarts',
    kind: 'counter',
    unit: '{restart}',
    help: 'Workers that died and were replaced, or given up',
    samples: one(({ worker }) => worker.deaths),
  },
  {
    name: 'worker.lost',
    kind: 'gauge',
    unit: '1',
    help: '1 while there is no worker: the calling thread blocks for each group',
    samples: one(({ worker }) => (worker.drainer === 'caller' ? 1 : 0)),
  },
]

/** A metric of one value. */
function one(read: (stats: AuditStats) => number): MetricDefinition['samples'] {
  return (stats) => [{ value: read(stats), labels: {} }]
}

/** One value per name. */
function by(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ value, labels: { [label]: name } }))
}
