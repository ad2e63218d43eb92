import { basename } from 'node:path'
import type { DenialReason, EventName } from '../../format/events'
import type { AuditRecord, DenialRecord, ExitRecord } from '../../format/records'
import type { AskedCommand } from './request-memory'

/** The commands asked for: each filter that is given must match. */
export interface CommandFilter {
  /** First hexadecimal digits of the ids, in lower case. */
  readonly agent?: string | undefined
  readonly machine?: string | undefined
  readonly request?: string | undefined
  /** The first argument, or the last part of its path. */
  readonly command?: string | undefined
  /** The rule that allowed it. */
  readonly rule?: string | undefined
  readonly pid?: number | undefined
  /** Whom it runs as: `uid`, or `uid:gid`. */
  readonly user?: string | undefined
  /** Entries of its context, all of them. */
  readonly context?: readonly (readonly [key: string, value: string])[] | undefined
  readonly denied?: boolean | undefined
  readonly failed?: boolean | undefined
  readonly code?: number | undefined
  readonly signal?: number | undefined
  readonly reason?: DenialReason | undefined
  /** Milliseconds: its exit says that it took longer. */
  readonly longer?: number | undefined
  readonly grep?: RegExp | undefined
}

/** The events asked for. */
export interface EventFilter extends CommandFilter {
  /** Milliseconds since 1970; both ends are included. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly event?: readonly EventName[] | undefined
}

/** An event, or an end without its argv. */
type MaybeEnd = AuditRecord | Omit<DenialRecord, 'argv'>

/** x0x's runner, and ours, take a limit of 0 for it. */
export const ZERO_LIMIT_MS = 1_000

/** Whether a command failed: its exit code is not 0, a signal ended it, or it could not be spawned. */
export function isFailure(record: MaybeEnd): boolean {
  if (record.event === 'exit') return record.code !== 0 || record.signal !== null
  return record.event === 'denial' && record.reason === 'spawn_failed'
}

/** Whether a command ended because its time was up: a signal, and no earlier than its limit. */
export function isTimeout(
  { signal, durationMs }: ExitRecord,
  timeoutMs: number | undefined,
): boolean {
  if (signal === null || timeoutMs === undefined) return false
  return Number(durationMs) >= (timeoutMs === 0 ? ZERO_LIMIT_MS : timeoutMs)
}

/** Whether an event matches the filters. `text` is its line. */
export function matches(
  record: AuditRecord,
  text: string,
  asked: AskedCommand | undefined,
  filter: EventFilter,
): boolean {
  const { since, until, event } = filter
  if (since !== undefined && record.tsUnixMs < since) return false
  if (until !== undefined && record.tsUnixMs > until) return false
  if (event !== undefined && !event.includes(record.event)) return false
  if (!matchesAsked(record.requestId, asked, filter)) return false
  if (asksForEnd(filter) && !matchesEnd(record, filter)) return false
  return filter.grep === undefined || isFound(filter.grep, record, text)
}

/** Whether what was asked for matches. */
export function matchesAsked(
  requestId: string,
  asked: AskedCommand | undefined,
  { agent, machine, request, command, rule, pid, user, context = [] }: CommandFilter,
): boolean {
  if (request !== undefined && !requestId.startsWith(request)) return false
  if (agent !== undefined && asked?.agentId.startsWith(agent) !== true) return false
  if (machine !== undefined && asked?.machineId.startsWith(machine) !== true) return false
  if (command !== undefined && !isNamed(asked?.argv[0], command)) return false
  if (rule !== undefined && asked?.matchedAcl !== rule) return false
  if (pid !== undefined && asked?.pid !== pid) return false
  if (user !== undefined && !isUser(asked?.context?.user, user)) return false
  return context.every(([key, value]) => contextValue(asked, key) === value)
}

/** The value of a context's own property. */
function contextValue(asked: AskedCommand | undefined, key: string): string | undefined {
  const { context } = asked ?? {}
  return context !== undefined && Object.hasOwn(context, key) ? context[key] : undefined
}

function isUser(recorded: string | undefined, user: string): boolean {
  return recorded === user || recorded?.split(':')[0] === user
}

function isNamed(first: string | undefined, command: string): boolean {
  return first !== undefined && (first === command || basename(first) === command)
}

/** Whether the filters ask how a command ended. */
export function asksForEnd(filter: CommandFilter): boolean {
  const { denied, failed, code, signal, reason, longer } = filter
  return [denied, failed, code, signal, reason, longer].some((value) => value !== undefined)
}

/** Whether the event is an end that matches. */
export function matchesEnd(
  record: MaybeEnd,
  { denied, failed, code, signal, reason, longer }: CommandFilter,
): boolean {
  if (record.event !== 'exit' && record.event !== 'denial') return false
  if (denied === true && record.event !== 'denial') return false
  if (failed === true && !isFailure(record)) return false
  if (reason !== undefined && (record.event !== 'denial' || record.reason !== reason)) return false
  if (code === undefined && signal === undefined && longer === undefined) return true
  if (record.event !== 'exit') return false
  if (code !== undefined && record.code !== code) return false
  if (signal !== undefined && record.signal !== signal) return false
  return longer === undefined || Number(record.durationMs) > longer
}

/** Whether the filters ask what only an earlier event of a command says. */
export function asksForRequest(filter: CommandFilter): boolean {
  const { agent, machine, command, rule, pid, user, context } = filter
  return [agent, machine, command, rule, pid, user, context].some((value) => value !== undefined)
}

/** Whether the line, or the arguments with spaces between them, have what is sought. */
export function isFound(grep: RegExp, record: AuditRecord, text: string): boolean {
  return grep.test(text) || ('argv' in record && grep.test(record.argv.join(' ')))
}
