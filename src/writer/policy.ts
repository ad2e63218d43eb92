import { resolve } from 'node:path'
import { describe } from '../base/describe'
import { invalidOption } from '../base/invalid-option'

/** Whether and where to audit; x0x's `[exec]` section. */
export type ExecPolicy =
  | {
      /** Events are recorded. */
      enabled: true
      /** The log file. A relative path is taken from the working directory at construction. */
      auditLogPath: string
      /** Carried as {@link ExecAudit.tasklistId}, and not acted on. */
      auditTasklistId?: string | null | undefined
    }
  | {
      /** Each event's outcome is `'disabled'`. */
      enabled: false
      /** Why, for people. */
      reason?: string | undefined
    }

/** A checked policy. */
export interface CheckedPolicy {
  /** Absolute, or undefined if the policy is disabled. */
  readonly auditLogPath: string | undefined
  readonly tasklistId: string | undefined
}

const POLICY_NAMES = ['enabled', 'auditLogPath', 'auditTasklistId', 'reason']

/**
 * Checks a policy. Throws a TypeError that names the property. Unknown properties are left alone, since a
 * gateway may pass its whole configuration; only a misspelt known one is refused.
 */
export function checkPolicy(policy: ExecPolicy): CheckedPolicy {
  const input: unknown = policy
  if (typeof input !== 'object' || input === null) {
    throw invalidOption('policy', `expected an object, got ${describe(input)}`)
  }
  // Only its own properties: a polluted Object.prototype must not switch the audit on or off.
  const own: Record<string, unknown> = { __proto__: null, ...input }
  checkSpelling(own)
  const { enabled, auditLogPath, auditTasklistId, reason } = own
  if (enabled === false) {
    if (reason !== undefined && typeof reason !== 'string') {
      throw invalidOption('policy.reason', `expected a string, got ${describe(reason)}`)
    }
    return { auditLogPath: undefined, tasklistId: undefined }
  }
  if (enabled !== true) {
    throw invalidOption('policy.enabled', `expected true or false, got ${describe(enabled)}`)
  }
  const isPath = typeof auditLogPath === 'string' && auditLogPath !== ''
  if (!isPath) {
    const got = auditLogPath === '' ? 'an empty string' : describe(auditLogPath)
    throw invalidOption('policy.auditLogPath', `expected the path of the log file, got ${got}`)
  }
  if (auditLogPath.includes('\0')) {
    throw invalidOption('policy.auditLogPath', 'expected a path without NUL characters')
  }
  const isTasklist = auditTasklistId == null || typeof auditTasklistId === 'string'
  if (!isTasklist) {
    const got = describe(auditTasklistId)
    throw invalidOption('policy.auditTasklistId', `expected a string or null, got ${got}`)
  }
  return { auditLogPath: resolve(auditLogPath), tasklistId: auditTasklistId ?? undefined }
}

/** Refuses `auditTasklistID` and `audit_tasklist_id`, which would be ignored silently. */
function checkSpelling(own: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(own)) {
    const known = POLICY_NAMES.find((candidate) => plain(candidate) === plain(name))
    // Beside the correct one it is the caller's own affair.
    if (known === undefined || Object.hasOwn(own, known)) continue
    throw invalidOption(`policy.${name}`, `unknown property; did you mean ${known}?`)
  }
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/(?<=[a-z])[_-](?=[a-z])/g, '')
}
