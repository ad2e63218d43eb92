import { InvalidArgumentError, Option } from 'commander'
import { inRotationOrder } from '../../rotation/rotation-order'
import { COLOUR_CHOICES } from '../../toolkit/text/colour'
import { parseWhen, WHEN_FORMS } from '../../toolkit/text/time'
import { messageOf, usageError } from './errors'
import { visible } from './escape'
import { STDIN } from './log-input'
import { withoutRepeats } from './same-file'

/** Reads a whole number from a range; without `max`, any that a double holds exactly. */
export function wholeNumber(min: number, max?: number): (text: string) => number {
  const range = max === undefined ? `from ${min}` : `from ${min} to ${max}`
  return (text) => {
    const value = Number(text)
    const isInRange = value >= min && value <= (max ?? Number.MAX_SAFE_INTEGER)
    if (/^\d+$/.test(text) && isInRange) return value
    throw new InvalidArgumentError(`Expected a whole number ${range}.`)
  }
}

/** Reads a moment, in milliseconds since 1970. */
export function when(text: string): number {
  const ms = parsed(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError(`Expected a time such as ${WHEN_FORMS}.`)
}

function parsed(text: string): number | undefined {
  try {
    return parseWhen(text)
  } catch (thrown) {
    throw new InvalidArgumentError(messageOf(thrown))
  }
}

/** The first digits of an agent's or a machine's id, in lower case. */
export function partyPrefix(text: string): string {
  if (/^[0-9a-f]{1,64}$/i.test(text)) return text.toLowerCase()
  throw new InvalidArgumentError(
    'Expected 1 to 64 hexadecimal digits (a name is in the context: --context principal=NAME).',
  )
}

const UUID_DASHES = [8, 13, 18, 23]

/** A request id's first digits, in lower case and without the dashes of a UUID. */
export function requestPrefix(text: string): string {
  const isDashed = [...text].every(
    (character, at) => (character === '-') === UUID_DASHES.includes(at),
  )
  const digits = isDashed ? text.replaceAll('-', '') : text
  if (/^[0-9a-f]{1,32}$/i.test(digits)) return digits.toLowerCase()
  throw new InvalidArgumentError(
    'Expected 1 to 32 hexadecimal digits, with the dashes of a UUID or without.',
  )
}

/** Refuses a span of time that ends before it begins. */
export function checkSpan(since: number | undefined, until: number | undefined): void {
  if (since !== undefined && until !== undefined && since > until) {
    throw usageError('--since is later than --until, so nothing can be between them')
  }
}

/** `--log` in place of the argument FILE, as in `exec`; given several times, in that order. */
export function logOption(description = 'the same as FILE; may be given several times'): Option {
  return new Option('--log <file>', description).argParser(
    (file: string, before: readonly string[] = []) => [...before, file],
  )
}

/** `--color`, for output that goes on to a pager. */
export function colorOption(): Option {
  return new Option('--color <when>', 'colours: on a terminal, always (for less -R), or never')
    .choices(COLOUR_CHOICES)
    .default('auto')
}

/** The logs that were named, as FILE or by `--log`. */
export function namedLogs(
  files: readonly string[],
  log: readonly string[] | undefined,
): readonly string[] {
  if (log === undefined) return files
  if (files.length === 0) return log
  throw usageError('name a log either as FILE or by --log')
}

/** The named logs in the order in which they were written; says so if they were named in another. */
export function logsInOrder(
  files: readonly string[],
  log: readonly string[] | undefined,
): readonly string[] {
  const { names, notes } = inRotationOrder(distinctLogs(files, log))
  tellNotes(notes)
  return names
}

/** The named logs, each file once; says so if one was named twice. */
export function distinctLogs(
  files: readonly string[],
  log: readonly string[] | undefined,
): readonly string[] {
  const named = namedLogs(files, log)
  if (named.filter((name) => name === STDIN).length > 1) {
    throw usageError('standard input can be read only once')
  }
  const { names, notes } = withoutRepeats(named)
  tellNotes(notes)
  return names
}

function tellNotes(notes: readonly string[]): void {
  for (const note of notes) process.stderr.write(`x0x-exec-audit: ${visible(note)}\n`)
}
