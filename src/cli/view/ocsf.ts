import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type {
  AuditRecord,
  DenialRecord,
  ExitRecord,
  RequestRecord,
  StartedRecord,
  WarningRecord,
} from '../../format/records'
import { quoteArgv } from '../shared/escape'
import { isFailure, isTimeout } from '../shared/filter'
import { fileName } from '../shared/log-input'
import type { AskedCommand } from '../shared/request-memory'

/*
 * Events as OCSF's Process Activity, of version 1.9.0: https://schema.ocsf.io/1.9.0/classes/process_activity.
 * The mapping is the table in docs/ocsf.md, row by row.
 */

const OCSF_VERSION = '1.9.0'
const CLASS = {
  category_uid: 1,
  category_name: 'System Activity',
  class_uid: 1007,
  class_name: 'Process Activity',
}
const LAUNCH = { activity_id: 1, activity_name: 'Launch' }
const TERMINATE = { activity_id: 2, activity_name: 'Terminate' }
const OTHER = 99
const INFORMATIONAL = { severity_id: 1, severity: 'Informational' }
const LOW = { severity_id: 2, severity: 'Low' }
const MEDIUM = { severity_id: 3, severity: 'Medium' }
const UNKNOWN = { status_id: 0, status: 'Unknown' }
const SUCCESS = { status_id: 1, status: 'Success' }
const FAILURE = { status_id: 2, status: 'Failure' }
const ALLOWED = { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' }
const DENIED = { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' }
const SHA256 = { algorithm_id: 3, algorithm: 'SHA-256' }
/** A limit was hit, and not only approached. */
const SERIOUS_WARNINGS: readonly string[] = ['stdout_cap_hit', 'stderr_cap_hit', 'lease_expired']

/** An event where it stands. */
export interface OcsfInput<Record extends AuditRecord = AuditRecord> {
  readonly record: Record
  /** Its line. */
  readonly text: string
  readonly file: string
  /** False if only the file's end was read. */
  readonly isLineKnown: boolean
}

/** What came of a request: its process exists, or could not be spawned. */
export type LaunchRecord = StartedRecord | DenialRecord

/**
 * A command that was allowed.
 * @param request undefined if it is not known
 * @param outcome undefined if nothing is known of it: then the launch has no status
 */
export function launchOf(
  request: OcsfInput<RequestRecord> | undefined,
  outcome: OcsfInput<LaunchRecord> | undefined,
  asked: AskedCommand | undefined,
): object {
  const first = request ?? outcome
  if (first === undefined) throw new TypeError('a launch is made of a line')
  const { record = first.record } = outcome ?? {}
  const { matchedAcl, stdinBytes, timeoutMs, tsUnixMs } = request?.record ?? {}
  const argv = 'argv' in first.record ? first.record.argv : asked?.argv
  const started = record.event === 'started' ? record : undefined
  const denial = record.event === 'denial' ? record : undefined
  return {
    ...head(LAUNCH, INFORMATIONAL, record.tsUnixMs),
    ...(started !== undefined ? SUCCESS : denial !== undefined ? FAILURE : UNKNOWN),
    status_detail: denial?.reason,
    ...ALLOWED,
    policy: typeof matchedAcl === 'string' ? { name: matchedAcl } : undefined,
    process: {
      ...processOf(record.requestId, argv),
      ...{ pid: started?.pid, created_time: started?.tsUnixMs },
    },
    ...partiesOf(asked),
    ...originOf(first, ['security_control']),
    start_time: tsUnixMs,
    unmapped: { stdin_bytes: stdinBytes, timeout_ms: timeoutMs, context: asked?.context },
  }
}

/** A refusal: a launch that was denied. */
export function denialOf(input: OcsfInput<DenialRecord>, asked: AskedCommand | undefined): object {
  const { requestId, argv, reason, tsUnixMs } = input.record
  return {
    ...head(LAUNCH, INFORMATIONAL, tsUnixMs),
    ...FAILURE,
    status_detail: reason,
    ...DENIED,
    process: processOf(requestId, argv),
    ...partiesOf(asked),
    ...originOf(input, ['security_control']),
    unmapped: { context: asked?.context },
  }
}

/** The end of a command. */
export function terminationOf(
  input: OcsfInput<ExitRecord>,
  asked: AskedCommand | undefined,
): object {
  const { record } = input
  const { requestId, code, signal, durationMs, stdoutBytes, stderrBytes, truncated } = record
  return {
    ...head(TERMINATE, INFORMATIONAL, record.tsUnixMs),
    ...(isFailure(record) ? FAILURE : SUCCESS),
    status_detail: isTimeout(record, asked?.timeoutMs) ? 'timed out' : undefined,
    exit_code: code ?? undefined,
    duration: durationMs,
    process: { ...processOf(requestId, asked?.argv), pid: asked?.pid },
    ...partiesOf(asked),
    ...originOf(input),
    unmapped: {
      ...{ signal: signal ?? undefined, stdout_bytes: stdoutBytes, stderr_bytes: stderrBytes },
      ...{ truncated, context: asked?.context },
    },
  }
}

/** A warning about a command that runs. */
export function warningOf(
  input: OcsfInput<WarningRecord>,
  asked: AskedCommand | undefined,
): object {
  const { requestId, kind, bytes, tsUnixMs } = input.record
  const severity = SERIOUS_WARNINGS.includes(kind) ? MEDIUM : LOW
  return {
    ...head({ activity_id: OTHER, activity_name: kind }, severity, tsUnixMs),
    process: { ...processOf(requestId, asked?.argv), pid: asked?.pid },
    ...partiesOf(asked),
    ...originOf(input),
    unmapped: { bytes: bytes ?? undefined, context: asked?.context },
  }
}

function head(
  activity: { readonly activity_id: number; readonly activity_name: string },
  severity: object,
  time: number,
): object {
  const typeUid = CLASS.class_uid * 100 + activity.activity_id
  const type_name = `${CLASS.class_name}: ${activity.activity_id === OTHER ? 'Other' : activity.activity_name}`
  return { ...CLASS, ...activity, type_uid: typeUid, type_name, ...severity, time }
}

function processOf(requestId: string, argv: readonly string[] | undefined): object {
  const [command] = argv ?? []
  return {
    uid: requestId,
    name: command === undefined ? undefined : basename(command),
    cmd_line: argv === undefined ? undefined : quoteArgv(argv),
  }
}

/** Who asked, and on which machine. OCSF wants an actor and a device in each event. */
function partiesOf(asked: AskedCommand | undefined): object {
  if (asked === undefined) return { actor: { app_name: 'unknown' }, device: deviceOf(undefined) }
  const { agentId, agentName, context, principalName } = asked
  const principal = ownValue(context, 'principal')
  const session = ownValue(context, 'session')
  return {
    actor: {
      app_uid: agentId,
      app_name: agentName,
      user:
        principal === undefined ? undefined : { uid: principal, name: principalName ?? principal },
      session: session === undefined ? undefined : { uid: session },
    },
    device: deviceOf(asked.machineId),
  }
}

function deviceOf(uid: string | undefined): object {
  return { uid, type_id: 0, type: 'Unknown' }
}

function ownValue(context: AskedCommand['context'], key: string): string | undefined {
  return context !== undefined && Object.hasOwn(context, key) ? context[key] : undefined
}

/** Which line it is made of, and that line's hash. */
function originOf(
  { record, text, file, isLineKnown }: OcsfInput,
  profiles?: readonly string[],
): object {
  const value = createHash('sha256').update(text).digest('hex')
  return {
    metadata: {
      version: OCSF_VERSION,
      product: { name: 'x0x-exec-audit', vendor_name: 'x0x-exec-audit' },
      log_name: fileName(file),
      original_event_uid: isLineKnown ? `${record.line}` : undefined,
      event_code: record.event,
      profiles,
    },
    raw_data_hash: { ...SHA256, value },
  }
}
