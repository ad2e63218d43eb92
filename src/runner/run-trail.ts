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
  /**
   * The value that its promise resolved with; `'pending'` if the disk had not answered when the run was
   * cancelled, or its time was out. A pending event is not lost by that: the audit goes on trying.
   */
  readonly outcome: AuditOutcome | 'pending'
  /** The reason that its promise was rejected with; its outcome then counts as `failed`. */
  readonly error?: unknown
}

/** How a command ended, as its `exit` event says. */
export type Ending = Omit<ExitEvent, 'requestId'>

interface Recorded {
  entry: TrailEntry
  readonly settling: Promise<TrailEntry>
}

/** The events of one command, in the order in which they are handed over. */
export class RunTrail {
  readonly #audit: EventRecorder
  readonly #run: CheckedRun
  readonly #recorded: Recorded[] = []
  readonly #warnings: WarningKind[] = []

  constructor(audit: EventRecorder, run: CheckedRun) {
    this.#audit = audit
    this.#run = run
  }

  /** The kinds of warnings so far; each is given once. */
  get warnings(): readonly WarningKind[] {
    return this.#warnings
  }

  /** All entries, as they are known now. */
  get entries(): readonly TrailEntry[] {
    return this.#recorded.map(({ entry }) => entry)
  }

  request(): Promise<TrailEntry> {
    const { requestId, agentId, machineId, argv, matchedAcl, stdinBytes, timeoutMs, context } =
      this.#run
    const event = {
      ...{ requestId, agentId, machineId, argv, matchedAcl, stdinBytes, timeoutMs },
      context,
    }
    return this.#record('request', () => this.#audit.request(event))
  }

  denial(reason: DenialReason): Promise<TrailEntry> {
    const { requestId, agentId, machineId, argv, context } = this.#run
    const event = { requestId, agentId, machineId, argv, reason, context }
    return this.#record('denial', () => this.#audit.denial(event))
  }

  started(pid: number): void {
    const { requestId } = this.#run
    void this.#record('started', () => this.#audit.started({ requestId, pid }))
  }

  warn(kind: WarningKind, bytes: number | null = null): void {
    if (this.#warnings.includes(kind)) return
    this.#warnings.push(kind)
    const { requestId } = this.#run
    void this.#record('warning', () => this.#audit.warning({ requestId, kind, bytes }))
  }

  exit(ending: Ending): void {
    const { requestId } = this.#run
    void this.#record('exit', () => this.#audit.exit({ requestId, ...ending }))
  }

  /** Resolves once each event has its outcome. Never rejects. */
  settled(): Promise<unknown> {
    return Promise.all(this.#recorded.map(({ settling }) => settling))
  }

  /** Never rejects: what went wrong stands in the entry. */
  #record(event: EventName, call: () => Promise<AuditOutcome>): Promise<TrailEntry> {
    const settle = async (): Promise<TrailEntry> => {
      try {
        return { event, outcome: await call() }
      } catch (error) {
        return { event, outcome: 'failed', error }
      }
    }
    const settling = settle().then((entry) => {
      recorded.entry = entry
      return entry
    })
    const recorded: Recorded = { entry: { event, outcome: 'pending' }, settling }
    this.#recorded.push(recorded)
    return settling
  }
}
