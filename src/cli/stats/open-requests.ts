import type { AuditRecord, RequestRecord } from '../../format/records'

/** A request that has neither an exit nor a denial. */
export interface OpenRequest {
  readonly requestId: string
  readonly agentId: string
  /** Its first argument; null if argv is empty. */
  readonly command: string | null
  readonly tsUnixMs: number
  /** Its limit in milliseconds. */
  readonly timeoutMs: number
  isStarted: boolean
}

const REQUESTS_MAX = 100_000
const COMMAND_CHARACTERS_MAX = 256

/** Remembers the requests that are open, and how many it had no room for. */
export class OpenRequests {
  readonly #open = new Map<string, OpenRequest>()
  readonly #max: number
  #untracked = 0

  constructor(max: number = REQUESTS_MAX) {
    this.#max = max
  }

  /** Requests that came when there was no room. */
  get untracked(): number {
    return this.#untracked
  }

  /** Takes the next event; returns its request if that was open. */
  take(record: AuditRecord): OpenRequest | undefined {
    const open = this.#open.get(record.requestId)
    if (record.event === 'request') this.#add(record)
    else if (record.event === 'started' && open !== undefined) open.isStarted = true
    else if (record.event === 'exit' || record.event === 'denial') {
      this.#open.delete(record.requestId)
    }
    return open
  }

  /** The oldest first. */
  list(): OpenRequest[] {
    return [...this.#open.values()].sort((a, b) => a.tsUnixMs - b.tsUnixMs)
  }

  #add({ requestId, agentId, argv, tsUnixMs, timeoutMs }: RequestRecord): void {
    if (this.#open.size >= this.#max) {
      this.#untracked++
      return
    }
    const id = copied(requestId)
    const command = commandOf(argv)
    this.#open.set(id, {
      requestId: id,
      agentId: copied(agentId),
      command,
      tsUnixMs,
      timeoutMs,
      isStarted: false,
    })
  }
}

/** The command's name, which may be as long as an event; null if argv is empty. */
export function commandOf([command]: readonly string[]): string | null {
  if (command === undefined) return null
  if (command.length <= COMMAND_CHARACTERS_MAX) return command
  return `${copied(command.slice(0, COMMAND_CHARACTERS_MAX))}…`
}

/** A copy, since the string itself would keep alive the line that it is a part of. */
function copied(text: string): string {
  return Buffer.from(text).toString()
}
