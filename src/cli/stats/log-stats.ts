import { constants } from 'node:os'
import type { DenialReason, WarningKind } from '../../format/events'
import type { AuditRecord, DenialRecord, ExitRecord, RequestRecord } from '../../format/records'
import { isTimeout } from '../shared/filter'
import { DurationBounds, type DurationCount } from './duration-bounds'
import { LogHistogram } from './log-histogram'
import { commandOf, type OpenRequest, OpenRequests } from './open-requests'
import { type Bucket, type Period, Timeline } from './timeline'
import { TopCounter } from './top-counter'

/** The questions about a log. */
export interface StatsTask {
  /** Milliseconds since 1970, both included. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** How many agents, commands and open requests are listed. */
  readonly top: number
  readonly by?: Period | undefined
  readonly isUtc: boolean
}

/** A name, and how often it occurs. */
export interface Count {
  readonly name: string
  readonly count: number
}

/** An agent or a command. */
interface Asked<Name = string> {
  readonly name: Name
  /** How often it was asked for. */
  readonly count: number
  /** How often that ended with a denial, `spawn_failed` included. */
  readonly denied: number
}

/** The most frequent names. */
export interface TopList<Name = string> {
  readonly names: number
  /** The most by which a count may be too low; 0 if all are exact. */
  readonly errorMax: number
  readonly top: readonly Asked<Name>[]
}

/** The names that were denied most. */
export interface DeniedList<Name = string> {
  readonly names: number
  readonly errorMax: number
  readonly top: readonly { readonly name: Name; readonly denied: number }[]
}

/** The contents of a log in figures. */
export interface LogStats {
  readonly events: readonly Count[]
  /** Of the earliest and latest event, in milliseconds since 1970; null if there is none. */
  readonly firstMs: number | null
  readonly lastMs: number | null
  readonly eventsPerSecond: number | null
  readonly denials: readonly Count[]
  readonly exits: readonly Count[]
  /** Exits by a signal, no earlier than the limit of their request. */
  readonly timedOut: number
  readonly warnings: readonly Count[]
  readonly agents: TopList
  /** Of those whose context names one. */
  readonly principals: TopList
  /** By their first argument; null is the empty argv. */
  readonly commands: TopList<string | null>
  readonly deniedAgents: DeniedList
  readonly deniedPrincipals: DeniedList
  readonly deniedCommands: DeniedList<string | null>
  readonly durationMs: {
    readonly count: number
    readonly p50: number
    readonly p90: number
    readonly p99: number
    readonly p999: number
    readonly max: number
    readonly histogram: readonly DurationCount[]
  }
  /** Bytes. */
  readonly output: { readonly stdout: number; readonly stderr: number; readonly truncated: number }
  readonly open: {
    readonly started: number
    readonly notStarted: number
    readonly untracked: number
    /** The oldest; ages are up to the latest event. */
    readonly oldest: readonly (Omit<OpenRequest, 'timeoutMs'> & { readonly ageMs: number })[]
  }
  readonly timeline: readonly Bucket[]
  /** Events for whose period there was no room. */
  readonly timelineUntracked: number
}

/** The most exit codes and signals that are counted apart. */
const EXITS_MAX = 1_000
const SIGNALS = new Map<number, string>(
  // The first name of a number is the usual one.
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
)

interface Denied {
  denied: number
}
const newDenied = (): Denied => ({ denied: 0 })

/** Counts a log's events, in a memory that does not grow with it. */
export class LogStatsCollector {
  readonly #task: StatsTask
  readonly #events = new Map<AuditRecord['event'], number>()
  readonly #denials = new Map<DenialReason, number>()
  readonly #warnings = new Map<WarningKind, number>()
  readonly #exits = new TopCounter(() => undefined, EXITS_MAX)
  readonly #agents = new TopCounter(newDenied)
  readonly #principals = new TopCounter(newDenied)
  readonly #commands = new TopCounter(newDenied)
  readonly #deniedAgents = new TopCounter(() => undefined)
  readonly #deniedPrincipals = new TopCounter(() => undefined)
  readonly #deniedCommands = new TopCounter(() => undefined)
  readonly #durations = new LogHistogram()
  readonly #durationBounds = new DurationBounds()
  readonly #open = new OpenRequests()
  readonly #timeline: Timeline | undefined
  #stdout = 0
  #stderr = 0
  #truncated = 0
  #timedOut = 0
  #firstMs: number | undefined
  #lastMs: number | undefined
  #latestMs = 0

  constructor(task: StatsTask) {
    this.#task = task
    if (task.by !== undefined) this.#timeline = new Timeline(task.by, task.isUtc)
  }

  /** Takes the time of an event that is not counted itself: ages are up to the latest one. */
  see({ tsUnixMs }: AuditRecord): void {
    this.#latestMs = Math.max(this.#latestMs, tsUnixMs)
  }

  /** Takes the next event. */
  take(record: AuditRecord): void {
    const { tsUnixMs } = record
    // Even for an event that was not asked for: it may end a request that was.
    const request = this.#open.take(record)
    this.see(record)
    if (!this.#isAsked(tsUnixMs)) return
    this.#firstMs = Math.min(this.#firstMs ?? tsUnixMs, tsUnixMs)
    this.#lastMs = Math.max(this.#lastMs ?? tsUnixMs, tsUnixMs)
    count(this.#events, record.event)
    this.#timeline?.add(record)
    if (record.event === 'warning') count(this.#warnings, record.kind)
    else if (record.event === 'exit') this.#takeExit(record, request?.timeoutMs)
    else if (record.event === 'request') this.#takeAsked(record)
    else if (record.event === 'denial') {
      count(this.#denials, record.reason)
      // A command that was allowed first, and could not be spawned, was counted with its request.
      this.#takeDenied(record, request === undefined ? 1 : 0)
    }
  }

  /** The figures so far. */
  stats(): LogStats {
    const spanMs = (this.#lastMs ?? 0) - (this.#firstMs ?? 0)
    const events = [...this.#events.values()].reduce((sum, times) => sum + times, 0)
    return {
      events: sorted(this.#events),
      firstMs: this.#firstMs ?? null,
      lastMs: this.#lastMs ?? null,
      eventsPerSecond: spanMs > 0 ? events / (spanMs / 1_000) : null,
      denials: sorted(this.#denials),
      exits: this.#exits.top(EXITS_MAX).map(({ key, total }) => ({ name: key, count: total })),
      timedOut: this.#timedOut,
      warnings: sorted(this.#warnings),
      agents: this.#topOf(this.#agents, (key) => key),
      principals: this.#topOf(this.#principals, (key) => key),
      commands: this.#topOf(this.#commands, commandOfKey),
      deniedAgents: this.#deniedOf(this.#deniedAgents, (key) => key),
      deniedPrincipals: this.#deniedOf(this.#deniedPrincipals, (key) => key),
      deniedCommands: this.#deniedOf(this.#deniedCommands, commandOfKey),
      durationMs: this.#durationStats(),
      output: { stdout: this.#stdout, stderr: this.#stderr, truncated: this.#truncated },
      open: this.#openStats(),
      timeline: this.#timeline?.buckets() ?? [],
      timelineUntracked: this.#timeline?.untracked ?? 0,
    }
  }

  #isAsked(tsUnixMs: number): boolean {
    const { since = 0, until = Number.POSITIVE_INFINITY } = this.#task
    return tsUnixMs >= since && tsUnixMs <= until
  }

  #takeAsked({ agentId, argv, context }: RequestRecord): void {
    const principal = principalOf(context)
    this.#agents.add(agentId)
    if (principal !== undefined) this.#principals.add(principal)
    this.#commands.add(keyOf(argv))
  }

  #takeDenied({ agentId, argv, context }: DenialRecord, asked: number): void {
    const principal = principalOf(context)
    if (principal !== undefined) {
      this.#principals.add(principal, asked).denied++
      this.#deniedPrincipals.add(principal)
    }
    this.#agents.add(agentId, asked).denied++
    this.#commands.add(keyOf(argv), asked).denied++
    this.#deniedAgents.add(agentId)
    this.#deniedCommands.add(keyOf(argv))
  }

  #takeExit(exit: ExitRecord, timeoutMs: number | undefined): void {
    const { code, signal, durationMs, stdoutBytes, stderrBytes, truncated } = exit
    if (isTimeout(exit, timeoutMs)) this.#timedOut++
    this.#exits.add(exitName(code, signal))
    this.#durations.add(Number(durationMs))
    this.#durationBounds.add(Number(durationMs))
    this.#stdout += Number(stdoutBytes)
    this.#stderr += Number(stderrBytes)
    if (truncated) this.#truncated++
  }

  #topOf<Name>(counter: TopCounter<Denied>, nameOf: (key: string) => Name): TopList<Name> {
    const { size: names, errorMax } = counter
    const top = counter.top(this.#task.top).map(({ key, value, total }) => {
      return { name: nameOf(key), count: total, denied: value.denied }
    })
    return { names, errorMax, top }
  }

  #deniedOf<Name>(counter: TopCounter<undefined>, nameOf: (key: string) => Name): DeniedList<Name> {
    const { size: names, errorMax } = counter
    const top = counter
      .top(this.#task.top)
      .map(({ key, total }) => ({ name: nameOf(key), denied: total }))
    return { names, errorMax, top }
  }

  #durationStats(): LogStats['durationMs'] {
    const durations = this.#durations
    const { count, max } = durations
    return {
      count,
      p50: durations.percentile(50),
      p90: durations.percentile(90),
      p99: durations.percentile(99),
      p999: durations.percentile(99.9),
      max,
      histogram: this.#durationBounds.counts(),
    }
  }

  #openStats(): LogStats['open'] {
    const open = this.#open.list().filter(({ tsUnixMs }) => this.#isAsked(tsUnixMs))
    const started = open.filter(({ isStarted }) => isStarted).length
    const oldest = open.slice(0, this.#task.top).map(({ timeoutMs: _, ...request }) => ({
      ...request,
      ageMs: Math.max(0, this.#latestMs - request.tsUnixMs),
    }))
    const { untracked } = this.#open
    return { started, notStarted: open.length - started, untracked, oldest }
  }
}

const PRINCIPAL_CHARACTERS_MAX = 256

/** It may be as long as a context. */
function principalOf(context: RequestRecord['context']): string | undefined {
  const principal = context?.principal
  if (principal === undefined || principal.length <= PRINCIPAL_CHARACTERS_MAX) return principal
  return `${principal.slice(0, PRINCIPAL_CHARACTERS_MAX)}…`
}

/** An argument that is empty is another key than none. */
function keyOf(argv: readonly string[]): string {
  const command = commandOf(argv)
  return command === null ? '' : `=${command}`
}

function commandOfKey(key: string): string | null {
  return key === '' ? null : key.slice(1)
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** The most frequent first. */
function sorted(counts: ReadonlyMap<string, number>): Count[] {
  return [...counts]
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
}

function exitName(code: number | null, signal: number | null): string {
  if (signal !== null) return SIGNALS.get(signal) ?? `signal ${signal}`
  return code === null ? 'neither code nor signal' : `code ${code}`
}
