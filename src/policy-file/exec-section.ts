import { I32_MAX, U32_MAX } from '../base/integers'
import { DEFAULT_RUN_LIMITS, type RunLimits } from '../runner/limits'
import { checkAllowEntry } from './allow-entries'
import {
  DEFAULT_CONCURRENT_PER_AGENT,
  DEFAULT_CONCURRENT_TOTAL,
  DEFAULT_LOG_PATH,
} from './defaults'
import { checkNotMisplaced, checkNotMisspelt } from './misspelt-section'
import { Mistakes } from './mistakes'
import { kindOf, TableReader } from './table-reader'
import { isTable, type Table } from './toml'

/** One `[[exec.allow]]` entry as the file has it. Who may run what is the gateway's to enforce. */
export type AllowEntry = Readonly<Record<string, unknown>>

/** The `[exec]` section with the defaults filled in. */
export interface ExecSection {
  readonly enabled: boolean
  readonly auditLogPath: string
  readonly auditTasklistId: string | undefined
  readonly limits: RunLimits
  readonly maxConcurrentPerAgent: number
  readonly maxConcurrentTotal: number
  readonly defaultCwd: string | undefined
  readonly allow: readonly AllowEntry[]
}

const EXEC = 'exec'
/** x0x's own keys. */
const KEYS = [
  'enabled',
  'max_stdout_bytes',
  'max_stderr_bytes',
  'max_stdin_bytes',
  'max_duration_secs',
  'max_concurrent_per_agent',
  'max_concurrent_total',
  'warn_stdout_bytes',
  'warn_stderr_bytes',
  'warn_duration_secs',
  'default_cwd',
  'audit_log_path',
  'audit_tasklist_id',
  'allow',
] as const

type Key = (typeof KEYS)[number]

/**
 * Reads the section, or returns undefined if there is none, nor one that must have been meant. Throws one
 * PolicyFileError for all mistakes.
 */
export function readExecSection(
  path: string,
  text: string,
  document: Table,
): ExecSection | undefined {
  const mistakes = new Mistakes(path, text)
  const table = document[EXEC]
  if (table === undefined) checkNotMisspelt(mistakes, document, EXEC)
  checkNotMisplaced(mistakes, document, EXEC, KEYS)
  const section = isTable(table) ? sectionOf(mistakes, table) : undefined
  if (table !== undefined && section === undefined) {
    mistakes.add([EXEC], `expected a table, got ${kindOf(table)}`)
  }
  mistakes.throwIfAny()
  return section
}

function sectionOf(mistakes: Mistakes, table: Table): ExecSection {
  const reader = new TableReader(mistakes, [EXEC], table, KEYS)
  const enabled = reader.boolean('enabled', false)
  // As x0x does: caps that nothing will use may be zero.
  const min = enabled ? 1 : 0
  const entries = reader.tables('allow', 'exec.allow')
  for (const [place, entry] of entries) checkAllowEntry(mistakes, place, entry, enabled)
  return {
    enabled,
    auditLogPath: reader.path('audit_log_path') ?? DEFAULT_LOG_PATH,
    auditTasklistId: reader.string('audit_tasklist_id'),
    limits: limitsOf(reader, min),
    ...concurrencyOf(mistakes, reader, enabled),
    defaultCwd: reader.path('default_cwd'),
    allow: entries.map(([, entry]) => entry),
  }
}

function concurrencyOf(mistakes: Mistakes, reader: TableReader<Key>, isEnabled: boolean) {
  const min = isEnabled ? 1 : 0
  const before = mistakes.count
  const counts = {
    maxConcurrentPerAgent: reader.count(
      'max_concurrent_per_agent',
      DEFAULT_CONCURRENT_PER_AGENT,
      min,
      U32_MAX,
    ),
    maxConcurrentTotal: reader.count(
      'max_concurrent_total',
      DEFAULT_CONCURRENT_TOTAL,
      min,
      U32_MAX,
    ),
  }
  if (isEnabled && mistakes.count === before) checkConcurrency(reader, counts)
  return counts
}

/** As x0x does, even if one of the two is its default; the other one is then the mistake. */
function checkConcurrency(
  reader: TableReader<Key>,
  {
    maxConcurrentPerAgent: perAgent,
    maxConcurrentTotal: total,
  }: Pick<ExecSection, 'maxConcurrentPerAgent' | 'maxConcurrentTotal'>,
): void {
  if (perAgent <= total) return
  if (!reader.has('max_concurrent_per_agent')) {
    const least = `at least max_concurrent_per_agent, which is ${perAgent} by default`
    reader.mistaken('max_concurrent_total', `expected ${least}, got ${total}; set both keys`)
    return
  }
  const byDefault = reader.has('max_concurrent_total') ? '' : ' by default'
  const most = `at most max_concurrent_total, which is ${total}${byDefault}`
  reader.mistaken('max_concurrent_per_agent', `expected ${most}, got ${perAgent}`)
}

function limitsOf(reader: TableReader<Key>, min: number): RunLimits {
  const { graceMs, lingerMs, ...defaults } = DEFAULT_RUN_LIMITS
  const maxStdoutBytes = reader.count('max_stdout_bytes', defaults.maxStdoutBytes, min)
  const maxStderrBytes = reader.count('max_stderr_bytes', defaults.maxStderrBytes, min)
  const maxDurationMs = millis(reader, 'max_duration_secs', defaults.maxDurationMs, min)
  const warnStdoutBytes = reader.count('warn_stdout_bytes', defaults.warnStdoutBytes, 0)
  const warnStderrBytes = reader.count('warn_stderr_bytes', defaults.warnStderrBytes, 0)
  const warnDurationMs = millis(reader, 'warn_duration_secs', defaults.warnDurationMs, 0)
  return {
    maxStdoutBytes,
    maxStderrBytes,
    maxStdinBytes: reader.count('max_stdin_bytes', defaults.maxStdinBytes, min),
    maxDurationMs,
    warnStdoutBytes: Math.min(warnStdoutBytes, maxStdoutBytes),
    warnStderrBytes: Math.min(warnStderrBytes, maxStderrBytes),
    warnDurationMs: Math.min(warnDurationMs, maxDurationMs),
    graceMs,
    lingerMs,
  }
}

/** Seconds as milliseconds. More than the longest time of a timer, about 24 days, counts as that. */
function millis(reader: TableReader<Key>, key: Key, fallbackMs: number, min: number): number {
  return Math.min(reader.count(key, fallbackMs / 1_000, min) * 1_000, I32_MAX)
}
