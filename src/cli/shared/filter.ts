import type { EventName } from '../../format/events'
import type { AuditRecord } from '../../format/records'

/** The events asked for: each filter that is given must match. */
export interface FilterOptions {
  /** Milliseconds since 1970; both ends are included. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  readonly event?: readonly EventName[] | undefined
  /** First hexadecimal digits of the ids, in lower case. */
  readonly agent?: string | undefined
  readonly machine?: string | undefined
  readonly request?: string | undefined
  readonly denied?: boolean | undefined
  readonly failed?: boolean | undefined
  readonly grep?: RegExp | undefined
}

/** The agent and the machine that asked for a command. */
export interface Parties {
  readonly agentId: string
  readonly machineId: string
}

/** Requests whose parties are remembered. */
const REQUESTS_MAX = 65_536

/**
 * Remembers who asked for which request, since the events that follow do not say it. It holds the last
 * {@link REQUESTS_MAX} requests that were read.
 */
export class PartyMemory {
  readonly #parties = new Map<string, Parties>()
  readonly #max: number

  constructor(max: number = REQUESTS_MAX) {
    this.#max = max
  }

  /** The event's parties, from the event itself or from its request. */
  of(record: AuditRecord): Parties | undefined {
    const { requestId } = record
    const known = 'agentId' in record ? record : this.#parties.get(requestId)
    if (known === undefined) return undefined
    const { agentId, machineId } = known
    const parties = 'agentId' in record ? { agentId, machineId } : known
    this.#parties.delete(requestId)
    this.#parties.set(requestId, parties)
    if (this.#parties.size > this.#max) {
      for (const oldest of this.#parties.keys()) {
        this.#parties.delete(oldest)
        break
      }
    }
    return parties
  }
}

/** Whether a command failed: its exit code is not 0, a signal ended it, or it could not be spawned. */
export function isFailure(record: AuditRecord): boolean {
  if (record.event === 'exit') return record.code !== 0 || record.signal !== null
  return record.event === 'denial' && record.reason === 'spawn_failed'
}

/** Whether an event matches the filters. `text` is its line. */
export function matches(
  record: AuditRecord,
  text: string,
  parties: Parties | undefined,
  asked: FilterOptions,
): boolean {
  const { since, until, event, agent, machine, request, denied, failed, grep } = asked
  if (since !== undefined && record.tsUnixMs < since) return false
  if (until !== undefined && record.tsUnixMs > until) return false
  if (event !== undefined && !event.includes(record.event)) return false
  if (request !== undefined && !record.requestId.startsWith(request)) return false
  if (agent !== undefined && parties?.agentId.startsWith(agent) !== true) return false
  if (machine !== undefined && parties?.machineId.startsWith(machine) !== true) return false
  if (denied === true && record.event !== 'denial') return false
  if (failed === true && !isFailure(record)) return false
  return grep === undefined || isFound(grep, record, text)
}

function isFound(grep: RegExp, record: AuditRecord, text: string): boolean {
  return grep.test(text) || ('argv' in record && grep.test(record.argv.join(' ')))
}
