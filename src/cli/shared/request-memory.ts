import type { AuditRecord, U64 } from '../../format/records'
import { type Names, NO_NAMES } from './names'

/** What a request or a denial says about a command, as far as it is remembered. */
export interface AskedCommand {
  readonly agentId: string
  readonly machineId: string
  /** The first {@link ARGV_CHARACTERS_MAX} characters or so; {@link argvLeft} says how much is left out. */
  readonly argv: readonly string[]
  /** Characters of the arguments that are not in `argv`; undefined if all are. */
  readonly argvLeft?: number | undefined
  /** The rule that allowed it, or null; undefined for a denial. */
  readonly matchedAcl?: string | null | undefined
  /** Milliseconds; undefined for a denial. */
  readonly timeoutMs?: number | undefined
  readonly stdinBytes?: U64 | undefined
  /** Who, where and on whose behalf, as the gateway gave it. */
  readonly context?: Readonly<Record<string, string>> | undefined
  /** The operator's own names for the principal and the agent. */
  readonly principalName?: string | undefined
  readonly agentName?: string | undefined
  /** Undefined before its `started`. */
  readonly pid?: number | undefined
}

/** Requests that are remembered. */
const REQUESTS_MAX = 65_536
/** Characters of all of them: 32 Mi, which V8 keeps in one byte each, or in two. */
const CHARACTERS_MAX = 32 * 2 ** 20
/** Characters of one argv that are remembered; `show` has all. */
const ARGV_CHARACTERS_MAX = 512
/** An argument's own cost, as if it were text: many empty ones are no way around the bound. */
const ARGUMENT_CHARACTERS = 8
const REST_CHARACTERS = 256

/**
 * Remembers what requests asked for, since the events that follow do not say it. It holds the last
 * {@link REQUESTS_MAX} requests that were read, and fewer if they are long.
 */
export class RequestMemory {
  readonly #asked = new Map<string, AskedCommand>()
  readonly #max: number
  readonly #charactersMax: number
  readonly #names: Names
  #characters = 0

  constructor({
    names = NO_NAMES,
    max = REQUESTS_MAX,
    charactersMax = CHARACTERS_MAX,
  }: { readonly names?: Names; readonly max?: number; readonly charactersMax?: number } = {}) {
    this.#names = names
    this.#max = max
    this.#charactersMax = charactersMax
  }

  /** What is known about the event's command, from the event itself or from its request. */
  of(record: AuditRecord): AskedCommand | undefined {
    const { requestId } = record
    const before = this.#asked.get(requestId)
    const asked = withEvent(before, record, this.#names)
    if (asked === undefined) return undefined
    this.#forget(requestId, before)
    this.#asked.set(requestId, asked)
    this.#characters += sizeOfAsked(asked)
    for (const [oldest, value] of this.#asked) {
      const isRoomy = this.#asked.size <= this.#max && this.#characters <= this.#charactersMax
      if (isRoomy || oldest === requestId) break
      this.#forget(oldest, value)
    }
    return asked
  }

  #forget(requestId: string, asked: AskedCommand | undefined): void {
    if (asked === undefined) return
    this.#asked.delete(requestId)
    this.#characters -= sizeOfAsked(asked)
  }
}

/**
 * What is known about a command with its next event; undefined if its request is not known.
 * @param argvCharactersMax how much of its argv is remembered
 */
export function withEvent(
  before: AskedCommand | undefined,
  record: AuditRecord,
  names: Names,
  argvCharactersMax: number = ARGV_CHARACTERS_MAX,
): AskedCommand | undefined {
  if (record.event === 'started' && before !== undefined) return { ...before, pid: record.pid }
  if (record.event !== 'request' && record.event !== 'denial') return before
  const { agentId, machineId, context } = record
  const { argv, argvLeft } = boundedArgv(record.argv, argvCharactersMax)
  // A spawn that failed had a request before.
  const rule = record.event === 'request' ? record : before
  return {
    agentId,
    machineId,
    argv,
    argvLeft,
    context,
    principalName: names.of(context?.principal),
    agentName: names.of(agentId),
    matchedAcl: copied(rule?.matchedAcl),
    timeoutMs: rule?.timeoutMs,
    stdinBytes: rule?.stdinBytes,
    pid: record.event === 'request' ? undefined : before?.pid,
  }
}

/** A rule's name may be as long as a line. */
function copied(rule: string | null | undefined): string | null | undefined {
  return typeof rule !== 'string'
    ? rule
    : Buffer.from(rule.slice(0, ARGV_CHARACTERS_MAX)).toString()
}

/** The memory that it takes, in characters. */
export function sizeOfAsked({ argv, matchedAcl, context }: AskedCommand): number {
  let characters = REST_CHARACTERS + (matchedAcl?.length ?? 0)
  for (const argument of argv) characters += argument.length + ARGUMENT_CHARACTERS
  for (const key in context) characters += key.length + (context[key]?.length ?? 0)
  return characters
}

/** As much of an argv as is remembered. */
function boundedArgv(
  argv: readonly string[],
  max: number,
): Pick<AskedCommand, 'argv' | 'argvLeft'> {
  let left = max
  const kept: string[] = []
  for (const [i, argument] of argv.entries()) {
    if (left >= argument.length) {
      kept.push(argument)
      left -= argument.length + ARGUMENT_CHARACTERS
      continue
    }
    const part = left > 0 ? wellFormed(argument.slice(0, left)) : ''
    if (part !== '') kept.push(part)
    const rest = argv.slice(i).reduce((sum, { length }) => sum + length, 0)
    return { argv: kept, argvLeft: rest - part.length }
  }
  return { argv: kept, argvLeft: undefined }
}

/** The text without half a character at its end; a copy, since a part would keep the whole alive. */
function wellFormed(text: string): string {
  const whole = text.isWellFormed() ? text : text.slice(0, -1)
  return Buffer.from(whole).toString()
}
