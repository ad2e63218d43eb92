import type {
  AuditOutcome,
  DenialReason,
  EventName,
  ExitEvent,
  WarningKind,
} from '../format/events'
import type { EventRecorder } from '../writer/audit-trail'
import type { CheckedRun } from './run-options'

/** One event of a command's trail, and its outcome. */
export interface TrailEntry {
  /** The method that was called. */
  readonly event: EventName
  /** The value that its promise resolved with. */
  readonly outcome: AuditOutcome
  /** The reason that its promise was rejected with; its outcome then counts as `failed`. */
  readonly error?: unknown
}

/** How a command ended, as its `exit` event says. */
export type Ending = Omit<ExitEvent, 'requestId'>

type Settling = Promise<TrailEntry>

/** The events of one command, in the order in which they are handed over. */
export class RunTrail {
  readonly #audit: EventRecorder
  readonly #run: CheckedRun
  readonly #settling: Settling[] = []
  readonly #warnings: WarningKind[] = []

  constructor(audit: EventRecorder, run: CheckedRun) {
    this.#audit = audit
    this.#run = run
  }

  /** The kinds of warnings so far; each is given once. */
  get warnings(): readonly WarningKind[] {
    return this.#warnings
  }

  /** Rejects as the audit does. */
  async request(): Promise<AuditOutcome> {
    const { requestId, agentId, machineId, argv, matchedAcl, stdin, timeoutMs } = this.#run
    const stdinBytes = stdin?.length ?? 0
    const event = { requestId, agentId, machineId, argv, matchedAcl, stdinBytes, timeoutMs }
    return this.#insist('request', this.#audit.request(event))
  }

  /** Rejects as the audit does. */
  async denial(reason: DenialReason): Promise<void> {
    const { requestId, agentId, machineId, argv } = this.#run
    await this.#insist(
      'denial',
      this.#audit.denial({ requestId, agentId, machineId, argv, reason }),
    )
  }

  started(pid: number): void {
    const { requestId } = this.#run
    this.#note('started', () => this.#audit.started({ requestId, pid }))
  }

  warn(kind: WarningKind, bytes: number | null = null): void {
    if (this.#warnings.includes(kind)) return
    this.#warnings.push(kind)
    const { requestId } = this.#run
    this.#note('warning', () => this.#audit.warning({ requestId, kind, bytes }))
  }

  exit(ending: Ending): void {
    const { requestId } = this.#run
    this.#note('exit', () => this.#audit.exit({ requestId, ...ending }))
  }

  /** All entries, once each is settled. Never rejects. */
  settled(): Promise<readonly TrailEntry[]> {
    return Promise.all(this.#settling)
  }

  async #insist(event: TrailEntry['event'], outcome: Promise<AuditOutcome>): Promise<AuditOutcome> {
    const known = await outcome
    this.#settling.push(Promise.resolve({ event, outcome: known }))
    return known
  }

  /** The command runs by now: a failure is reported with its result, and not in place of it. */
  #note(event: TrailEntry['event'], call: () => Promise<AuditOutcome>): void {
    const settle = async (): Settling => {
      try {
        return { event, outcome: await call() }
      } catch (error) {
        return { event, outcome: 'failed', error }
      }
    }
    this.#settling.push(settle())
  }
}
