import { I32_MAX, U32_MAX } from '../base/integers'
import { hintFor } from '../base/names'
import { DEFAULT_RUN_LIMITS, type RunLimits } from '../runner/limits'
import {
  DEFAULT_CONCURRENT_PER_AGENT,
  DEFAULT_CONCURRENT_TOTAL,
  DEFAULT_LOG_PATH,
} from './defaults'
import { PolicyFileError } from './errors'
import { checkNotMisplaced, checkNotMisspelt } from './misspelt-section'
import { isTable, lineOf, type Table } from './toml'

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

/** Reads the section, or returns undefined if there is none, nor one that must have been meant. */
export function readExecSection(
  path: string,
  text: string,
  document: Table,
): ExecSection | undefined {
  const section = document[EXEC]
  if (section === undefined) checkNotMisspelt(path, text, document, EXEC)
  checkNotMisplaced(path, text, document, EXEC, KEYS)
  if (section === undefined) return undefined
  return new SectionReader(path, text, section).read()
}

class SectionReader {
  readonly #path: string
  readonly #text: string
  readonly #section: Table

  constructor(path: string, text: string, section: unknown) {
    this.#path = path
    this.#text = text
    if (!isTable(section)) throw this.#error(`expected a table, got ${kindOf(section)}`)
    this.#section = section
    const known: readonly string[] = KEYS
    for (const key of Object.keys(section)) {
      if (known.includes(key)) continue
      throw this.#error(`unknown key; ${hintFor(key, known)}`, key)
    }
  }

  read(): ExecSection {
    const enabled = this.#boolean('enabled', false)
    // As x0x does: caps that nothing will use may be zero.
    const min = enabled ? 1 : 0
    const section = {
      enabled,
      auditLogPath: this.#pathOf('audit_log_path') ?? DEFAULT_LOG_PATH,
      auditTasklistId: this.#string('audit_tasklist_id'),
      limits: this.#limits(min),
      maxConcurrentPerAgent: this.#count(
        'max_concurrent_per_agent',
        DEFAULT_CONCURRENT_PER_AGENT,
        min,
        U32_MAX,
      ),
      maxConcurrentTotal: this.#count(
        'max_concurrent_total',
        DEFAULT_CONCURRENT_TOTAL,
        min,
        U32_MAX,
      ),
      defaultCwd: this.#pathOf('default_cwd'),
      allow: this.#allow(),
    }
    if (enabled) this.#checkConcurrency(section)
    return section
  }

  /** As x0x does, even if one of the two is its default; the other one is then the mistake. */
  #checkConcurrency({ maxConcurrentPerAgent: perAgent, maxConcurrentTotal: total }: ExecSection) {
    if (perAgent <= total) return
    if (this.#section.max_concurrent_per_agent === undefined) {
      const least = `at least max_concurrent_per_agent, which is ${perAgent} by default`
      throw this.#error(`expected ${least}, got ${total}; set both keys`, 'max_concurrent_total')
    }
    const most = `at most max_concurrent_total, which is ${total}${this.#byDefault('max_concurrent_total')}`
    throw this.#error(`expected ${most}, got ${perAgent}`, 'max_concurrent_per_agent')
  }

  #byDefault(key: Key): string {
    return this.#section[key] === undefined ? ' by default' : ''
  }

  #limits(min: number): RunLimits {
    const { graceMs, lingerMs, ...defaults } = DEFAULT_RUN_LIMITS
    const maxStdoutBytes = this.#count('max_stdout_bytes', defaults.maxStdoutBytes, min)
    const maxStderrBytes = this.#count('max_stderr_bytes', defaults.maxStderrBytes, min)
    const maxDurationMs = this.#millis('max_duration_secs', defaults.maxDurationMs, min)
    const warnStdoutBytes = this.#count('warn_stdout_bytes', defaults.warnStdoutBytes, 0)
    const warnStderrBytes = this.#count('warn_stderr_bytes', defaults.warnStderrBytes, 0)
    const warnDurationMs = this.#millis('warn_duration_secs', defaults.warnDurationMs, 0)
    return {
      maxStdoutBytes,
      maxStderrBytes,
      maxStdinBytes: this.#count('max_stdin_bytes', defaults.maxStdinBytes, min),
      maxDurationMs,
      warnStdoutBytes: Math.min(warnStdoutBytes, maxStdoutBytes),
      warnStderrBytes: Math.min(warnStderrBytes, maxStderrBytes),
      warnDurationMs: Math.min(warnDurationMs, maxDurationMs),
      graceMs,
      lingerMs,
    }
  }

  #boolean(key: Key, fallback: boolean): boolean {
    const value = this.#section[key]
    if (value === undefined) return fallback
    if (typeof value === 'boolean') return value
    throw this.#error(`expected true or false, got ${kindOf(value)}`, key)
  }

  #string(key: Key): string | undefined {
    const value = this.#section[key]
    if (value === undefined || typeof value === 'string') return value
    throw this.#error(`expected a string, got ${kindOf(value)}`, key)
  }

  #pathOf(key: Key): string | undefined {
    const value = this.#string(key)
    if (value === undefined || (value !== '' && !value.includes('\0'))) return value
    const got = value === '' ? 'an empty string' : 'one with a NUL character'
    throw this.#error(`expected a path, got ${got}`, key)
  }

  /** An integer of x0x's u64, or of its u32. */
  #count(key: Key, fallback: number, min: number, max?: number): number {
    const value = this.#section[key]
    if (value === undefined) return fallback
    const isInteger = typeof value === 'bigint' || Number.isInteger(value)
    const count = Number(value)
    if (!isInteger || count < min || (max !== undefined && count > max)) {
      const range = max === undefined ? `from ${min}` : `from ${min} to ${max}`
      throw this.#error(`expected an integer ${range}, got ${kindOf(value)}`, key)
    }
    return Math.min(count, Number.MAX_SAFE_INTEGER)
  }

  /** Seconds as milliseconds. More than the longest time of a timer, about 24 days, counts as that. */
  #millis(key: Key, fallbackMs: number, min: number): number {
    return Math.min(this.#count(key, fallbackMs / 1_000, min) * 1_000, I32_MAX)
  }

  #allow(): readonly AllowEntry[] {
    const value = this.#section.allow
    if (value === undefined) return []
    if (Array.isArray(value) && value.every(isTable)) return value
    throw this.#error(`expected [[exec.allow]] tables, got ${kindOf(value)}`, 'allow')
  }

  #error(problem: string, key?: string): PolicyFileError {
    return new PolicyFileError('POLICY_FILE_INVALID', this.#path, problem, {
      line: lineOf(this.#text, EXEC, key),
      key: key === undefined ? EXEC : `${EXEC}.${key}`,
    })
  }
}

/** A value as its author would call it. */
function kindOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return 'a string'
  if (Array.isArray(value)) return 'an array'
  return value instanceof Date ? 'a date' : 'a table'
}
