import { constants } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { I32_MAX, I32_MIN, U32_MAX } from '../../base/integers'
import { DENIAL_REASONS, type DenialReason } from '../../format/events'
import { parseDuration } from '../../toolkit/text/time'
import { partyPrefix, requestPrefix, wholeNumber } from './arguments'
import { messageOf, usageError } from './errors'
import { asksForEnd, asksForRequest, type CommandFilter } from './filter'

/** The values of the options of {@link addFilterOptions}. */
export interface FilterOptions extends Omit<CommandFilter, 'grep'> {
  readonly grep?: string
  readonly ignoreCase?: true
}

export const FILTER_HELP = `All filters that are given must match. --denied, --failed, --code, --signal, --reason and --longer ask how a
command ended; a command without an end matches none of them.`

/** Adds the options that choose commands. */
export function addFilterOptions(command: Command): Command {
  const options = [
    new Option('--agent <hex>', "the agent id's first digits").argParser(partyPrefix),
    new Option('--machine <hex>', "the machine id's first digits").argParser(partyPrefix),
    new Option('--request <hex>', "the request id's first digits").argParser(requestPrefix),
    new Option('--command <name>', 'the first argument, or the last part of its path'),
    new Option('--rule <name>', 'the rule that allowed it'),
    new Option('--pid <n>', 'its process, from its start on').argParser(wholeNumber(0, U32_MAX)),
    new Option('--user <uid>', 'whom it runs as, by its context: 1000 or 1000:1000'),
    new Option(
      '--context <key=value>',
      'an entry of its context, such as principal=user:alice; may be given several times',
    ).argParser(contextEntry),
    new Option('--denied', 'only denials'),
    new Option('--failed', 'only exits with a code other than 0 or by a signal, and failed spawns'),
    new Option('--code <n>', 'only exits with this code').argParser(code),
    new Option('--signal <name>', 'only exits by this signal, as SIGKILL, KILL or 9').argParser(
      signal,
    ),
    new Option('--reason <name>', 'only denials for this reason').argParser(reason),
    new Option('--longer <time>', 'only exits after more than this: 60s, 1500ms, 1h30m').argParser(
      duration,
    ),
    new Option('--grep <regex>', 'only events whose line, or whose arguments, this is found in'),
    new Option('-i, --ignore-case', 'for --grep: ignore the case of letters'),
  ]
  for (const option of options) command.addOption(option)
  return command
}

/** The filter that the options ask for. */
export function filterOf(options: FilterOptions): CommandFilter {
  const { grep, ignoreCase, ...filter } = options
  return { ...filter, grep: pattern(grep, ignoreCase) }
}

/** Whether an option chooses commands. */
export function hasFilter(filter: CommandFilter): boolean {
  const { request, grep } = filter
  return asksForRequest(filter) || asksForEnd(filter) || request !== undefined || grep !== undefined
}

function pattern(grep: string | undefined, ignoreCase?: true): RegExp | undefined {
  if (grep === undefined) return undefined
  try {
    return new RegExp(grep, ignoreCase ? 'iu' : 'u')
  } catch (thrown) {
    throw usageError(`--grep: ${messageOf(thrown)}`)
  }
}

/** Reads a length of time with its unit, in milliseconds. */
export function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError('Expected a length of time such as 60s, 1500ms or 1h30m.')
}

type Entry = readonly [key: string, value: string]

function contextEntry(text: string, before: readonly Entry[] = []): readonly Entry[] {
  const at = text.indexOf('=')
  if (at > 0) return [...before, [text.slice(0, at), text.slice(at + 1)]]
  throw new InvalidArgumentError('Expected a key and its value, such as principal=user:alice.')
}

function code(text: string): number {
  const value = Number(text)
  if (/^-?\d+$/.test(text) && value >= I32_MIN && value <= I32_MAX) return value
  throw new InvalidArgumentError(`Expected a whole number from ${I32_MIN} to ${I32_MAX}.`)
}

function signal(text: string): number {
  const name = text.toUpperCase()
  const known = Object.entries(constants.signals).find(
    ([each]) => each === name || each === `SIG${name}`,
  )
  if (known !== undefined) return known[1]
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= I32_MAX) return value
  throw new InvalidArgumentError('Expected a signal such as SIGKILL, KILL or 9.')
}

function reason(text: string): DenialReason {
  const known = DENIAL_REASONS.find((each) => each === text)
  if (known !== undefined) return known
  throw new InvalidArgumentError(`Expected one of ${DENIAL_REASONS.join(', ')}.`)
}
