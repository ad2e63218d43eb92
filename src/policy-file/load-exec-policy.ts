import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { codeOf, describe, textOf } from '../base/describe'
import { invalidOption } from '../base/invalid-option'
import { DEFAULT_RUN_LIMITS, type RunLimits } from '../runner/limits'
import type { ExecPolicy } from '../writer/policy'
import { DEFAULT_CONCURRENT_PER_AGENT, DEFAULT_CONCURRENT_TOTAL } from './defaults'
import { PolicyFileError } from './errors'
import { type AllowEntry, type ExecSection, readExecSection } from './exec-section'
import { isTable, parseToml } from './toml'

/** Where x0x looks for its policy if it is given no path. */
export const DEFAULT_EXEC_POLICY_PATH =
  process.platform === 'darwin' ? '/usr/local/etc/x0x/exec-acl.toml' : '/etc/x0x/exec-acl.toml'

/** The result of {@link loadExecPolicy}. */
export interface LoadedExecPolicy {
  /** For the constructor of {@link ExecAudit}. */
  readonly policy: ExecPolicy
  /** For `runAudited`: the section's caps, in bytes and milliseconds; the defaults if disabled. */
  readonly limits: Readonly<RunLimits>
  /** `max_concurrent_total`, for `createRunner`; 32 if the file does not say. */
  readonly maxConcurrent: number
  /** `max_concurrent_per_agent`, for `createRunner`; 4 if the file does not say. */
  readonly maxConcurrentPerAgent: number
  /** The same two by other names. */
  readonly concurrency: {
    /** Commands at a time for one agent; 4 if the file does not say. */
    readonly perAgent: number
    /** Commands at a time in all; 32 if the file does not say. */
    readonly total: number
  }
  /** `default_cwd`, for `runAudited`'s `cwd`. */
  readonly defaultCwd: string | undefined
  /** The `[[exec.allow]]` entries as parsed: checked as x0x does, and not acted on. */
  readonly allow: readonly AllowEntry[]
  /** The file, as an absolute path. */
  readonly path: string
  /** A summary that may be shown to anyone: no ids and no argv. */
  summary(): ExecPolicySummary
}

/** A summary of a policy for diagnostics: x0x's fields, the path of the log, and the numbers. */
export interface ExecPolicySummary {
  /** Whether commands may run at all. */
  readonly enabled: boolean
  /** `acl_missing`, `missing_exec_section` or `exec_disabled`; absent if enabled. */
  readonly disabledReason?: string
  /** The file, as an absolute path, even if it is missing. */
  readonly loadedFrom: string
  /** Milliseconds since 1970. */
  readonly loadedAtUnixMs: number
  /** How many `[[exec.allow]]` entries there are. */
  readonly allowEntryCount: number
  /** How many commands they have together. */
  readonly commandEntryCount: number
  /** Null if disabled. */
  readonly auditLogPath: string | null
  /** As in {@link LoadedExecPolicy}. */
  readonly limits: Readonly<RunLimits>
}

type DisabledReason = 'acl_missing' | 'missing_exec_section' | 'exec_disabled'

const NO_SECTION: ExecSection = {
  enabled: false,
  auditLogPath: '',
  auditTasklistId: undefined,
  limits: DEFAULT_RUN_LIMITS,
  maxConcurrentPerAgent: DEFAULT_CONCURRENT_PER_AGENT,
  maxConcurrentTotal: DEFAULT_CONCURRENT_TOTAL,
  defaultCwd: undefined,
  allow: [],
}

/**
 * Reads x0x's own policy file, so that gateway and audit share one. Reads it once, at once: as with
 * x0x, a change takes a restart.
 *
 * The default file may be missing, which is a disabled policy; a file that is named may not. A mistake
 * under `[exec]` is an error even if the section is disabled, and other sections are left alone. A
 * file without `[exec]` is a disabled policy, unless it has a section of nearly that name.
 *
 * @param path default {@link DEFAULT_EXEC_POLICY_PATH}
 * @throws PolicyFileError naming the file and, for each mistake, the line and the key
 * @throws TypeError if `path` is no path
 * @example
 * const { policy, limits } = loadExecPolicy()
 * const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
 */
export function loadExecPolicy(path?: string): LoadedExecPolicy {
  const file = resolve(checkPath(path) ?? DEFAULT_EXEC_POLICY_PATH)
  const text = readText(file)
  if (text === undefined) {
    if (path === undefined) return loaded(file, NO_SECTION, 'acl_missing')
    throw new PolicyFileError('POLICY_FILE_MISSING', file, 'there is no such file')
  }
  const section = readExecSection(file, text, parseToml(file, text))
  if (section === undefined) return loaded(file, NO_SECTION, 'missing_exec_section')
  return loaded(file, section, section.enabled ? undefined : 'exec_disabled')
}

/** An empty path would be the folder that this process is in. */
function checkPath(path: unknown): string | undefined {
  if (path === undefined) return path
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path
  const got = typeof path === 'string' ? JSON.stringify(path) : describe(path)
  throw invalidOption(
    'path',
    `expected the path of the policy file, or undefined for ${DEFAULT_EXEC_POLICY_PATH}, got ${got}`,
  )
}

/** The file's text, or undefined if there is none. */
function readText(path: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    const problem = `cannot be read: ${textOf(thrown)}`
    throw new PolicyFileError('POLICY_FILE_UNREADABLE', path, problem, { cause: thrown })
  }
}

function loaded(
  path: string,
  section: ExecSection,
  disabledReason: DisabledReason | undefined,
): LoadedExecPolicy {
  const { defaultCwd, allow } = section
  const concurrency = { perAgent: section.maxConcurrentPerAgent, total: section.maxConcurrentTotal }
  // Caps that nothing runs under may be zero in the file.
  const limits = disabledReason === undefined ? section.limits : DEFAULT_RUN_LIMITS
  const summary: ExecPolicySummary = {
    enabled: disabledReason === undefined,
    ...(disabledReason === undefined ? {} : { disabledReason }),
    loadedFrom: path,
    loadedAtUnixMs: Date.now(),
    allowEntryCount: allow.length,
    commandEntryCount: allow.reduce((count, entry) => count + commandsOf(entry), 0),
    auditLogPath: disabledReason === undefined ? section.auditLogPath : null,
    limits,
  }
  return {
    policy: policyOf(section, disabledReason),
    limits,
    concurrency,
    maxConcurrent: concurrency.total,
    maxConcurrentPerAgent: concurrency.perAgent,
    defaultCwd,
    allow,
    path,
    summary: () => ({ ...summary }),
  }
}

function policyOf(section: ExecSection, disabledReason: DisabledReason | undefined): ExecPolicy {
  if (disabledReason !== undefined) return { enabled: false, reason: disabledReason }
  const { auditLogPath, auditTasklistId } = section
  return { enabled: true, auditLogPath, auditTasklistId }
}

function commandsOf({ commands }: AllowEntry): number {
  return Array.isArray(commands) ? commands.filter(isTable).length : 0
}
