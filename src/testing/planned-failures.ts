import { constants } from 'node:os'
import { invalidOption } from '../base/invalid-option'
import { nearest } from '../base/names'
import { nameFrom, refuse, type Values, valuesOf } from '../base/option-checks'
import { EVENT_NAMES, type EventName } from '../format/events'
import { closedError, ioError, ringFullError } from '../writer/failure/audit-error'
import { FAILURE_KINDS, type FailureKind } from '../writer/failure/failure-counts'
import type { CheckedOptions } from '../writer/options'
import { REASON_LINE_TOO_LONG } from '../writer/ring/failure-word'

/** The name of a system error that Node knows, such as `'ENOSPC'`. */
export type ErrnoName = keyof typeof constants.errno

/** How the next events fail, see {@link MemoryAudit.failNext}. */
export interface FailOptions {
  /** Which events, by one name or several; the others go on as before. Default all. */
  readonly event?: EventName | readonly EventName[] | undefined
  /** How many events, from 0; `Infinity` for all from now on. Default 1. */
  readonly count?: number | undefined
  /**
   * The stage, and with it the code of the `AuditError`; default `'write'`. `'full'` refuses them at once, as a
   * ring without room does (AUDIT_RING_FULL), and `'closed'` as after `close()`; an `'encode'` is the
   * worker's (AUDIT_ENCODE_FAILED), and not the caller's mistake.
   */
  readonly stage?: FailureKind | undefined
  /** The kernel's error behind a folder, open, write or sync that fails; default `'ENOSPC'`. */
  readonly errno?: ErrnoName | undefined
}

/** The stage at which an event fails, and its error. */
export interface Failing {
  readonly stage: FailureKind
  readonly error: Error
}

interface Plan extends Failing {
  readonly events: readonly EventName[]
  left: number
}

const OPTION_NAMES = [
  'event',
  'count',
  'stage',
  'errno',
] as const satisfies readonly (keyof FailOptions)[]

/** The failures still to come, in the order in which they were asked for. */
export class PlannedFailures {
  readonly #path: string
  readonly #options: CheckedOptions
  #plans: Plan[] = []

  constructor(path: string, options: CheckedOptions) {
    this.#path = path
    this.#options = options
  }

  /** Adds one. Throws a TypeError or RangeError that names the option. */
  add(options: FailOptions): void {
    const values = valuesOf('options', options, OPTION_NAMES)
    const events = eventsOf(values.get('event'))
    const left = checkCount('options.count', values.get('count') ?? 1)
    const stage = nameFrom('options.stage', values.get('stage') ?? 'write', FAILURE_KINDS)
    const error = this.#errorOf(stage, values)
    if (left > 0) this.#plans.push({ events, left, stage, error })
  }

  /** The failure for an event of this name, if there is one: the first that was asked for. */
  take(name: EventName): Failing | undefined {
    const plan = this.#plans.find(({ events }) => events.includes(name))
    if (plan === undefined) return undefined
    plan.left--
    if (plan.left === 0) this.#plans.splice(this.#plans.indexOf(plan), 1)
    return plan
  }

  clear(): void {
    this.#plans = []
  }

  #errorOf(stage: FailureKind, values: Values): Error {
    const name = values.get('errno')
    switch (stage) {
      case 'folder':
      case 'open':
      case 'write':
      case 'sync':
        return ioError({ stage, reason: errnoOf(name ?? 'ENOSPC') }, this.#path)
      default:
        if (name !== undefined) {
          throw invalidOption('options.errno', `the kernel has no part in a failure at ${stage}`)
        }
    }
    if (stage === 'full') return ringFullError(this.#options)
    if (stage === 'closed') return closedError()
    return ioError({ stage, reason: REASON_LINE_TOO_LONG }, this.#path)
  }
}

/** Checks a count; throws a TypeError or RangeError if it is none. */
export function checkCount(where: string, value: unknown): number {
  const isCount =
    typeof value === 'number' &&
    value >= 0 &&
    (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)
  return isCount ? value : refuse(where, value, 'an integer from 0, or Infinity')
}

function eventsOf(value: unknown): readonly EventName[] {
  if (value === undefined) return EVENT_NAMES
  const names: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (names.length === 0)
    throw invalidOption('options.event', 'expected at least one name', RangeError)
  return names.map((name) => nameFrom('options.event', name, EVENT_NAMES))
}

function errnoOf(name: unknown): number {
  const errnos = new Map(Object.entries(constants.errno))
  const errno = typeof name === 'string' ? errnos.get(name) : undefined
  if (errno !== undefined) return errno
  const near = typeof name === 'string' ? nearest(name, [...errnos.keys()]) : undefined
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`
  return refuse('options.errno', name, `the name of a system error such as ENOSPC${hint}`)
}
