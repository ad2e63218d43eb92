import {
  type VerifyOptions,
  type VerifyReport,
  verify,
} from '../../src/cli/shared/verification/verify'
import { AGENT_ID, MACHINE_ID } from './events'

/** A command and its progress. */
export interface Command {
  readonly id: Uint8Array
  readonly warnings: number
  readonly kind: 'ran' | 'open' | 'failed' | 'denied'
}

/** A line of a log, without its newline. */
export interface Line {
  readonly id: string
  readonly event: string
  readonly text: string
  /** How its request ended, if it is the last of it. */
  readonly isLast: boolean
  readonly end: Command['kind']
}

const EVENTS = {
  ran: ['exit'],
  open: [],
  failed: ['request', 'denial'],
  denied: ['denial'],
} as const

/** The events that a command leaves, in their order. */
export function eventsOf({ kind, warnings }: Pick<Command, 'kind' | 'warnings'>): string[] {
  if (kind === 'failed' || kind === 'denied') return [...EVENTS[kind]]
  return ['request', 'started', ...Array<string>(warnings).fill('warning'), ...EVENTS[kind]]
}

const PARTIES = { agent_id: AGENT_ID, machine_id: MACHINE_ID, argv: ['ls', 'über', '"\n'] }
const FIELDS: Readonly<Record<string, object>> = {
  request: { ...PARTIES, matched_acl: null, stdin_bytes: 0, timeout_ms: 30_000 },
  started: { pid: 4242 },
  warning: { kind: 'duration_approaching_cap', bytes: null },
  exit: {
    code: 0,
    signal: null,
    duration_ms: 12,
    stdout_bytes: 3,
    stderr_bytes: 4,
    truncated: false,
  },
  denial: { ...PARTIES, reason: 'spawn_failed' },
}

/** A line of the format, without its newline. */
export function lineText(event: string, id: string, tsUnixMs: number, fields: object = {}): string {
  const head = { event, ts_unix_ms: tsUnixMs, request_id: id }
  return JSON.stringify({ ...head, ...FIELDS[event], ...fields })
}

/** The lines of commands, whose events stand in the given order. */
export function linesOf(commands: readonly Command[], order: readonly number[]): Line[] {
  const left = commands.map(eventsOf)
  return order.flatMap((i, time) => {
    const command = commands[i]
    const event = left[i]?.shift()
    if (command === undefined || event === undefined) return []
    const id = Buffer.from(command.id).toString('hex')
    const isLast = left[i]?.length === 0
    return [{ id, event, text: lineText(event, id, 1_000 + time), isLast, end: command.kind }]
  })
}

/** Verifies a log from its beginning. */
export function verifyText(
  bytes: string | Uint8Array,
  options: Partial<VerifyOptions> = {},
): Promise<VerifyReport> {
  const source = (async function* () {
    yield Buffer.from(bytes)
  })()
  return verify([{ name: 'exec.log', source }], { isWhole: true, maxProblems: 100, ...options })
}
