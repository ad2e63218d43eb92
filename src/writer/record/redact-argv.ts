import { types } from 'node:util'
import { invalidEvent, isInvalidEvent, strings } from '../../base/field-checks'
import { ignoreRejection } from '../../base/foreign'

/** The options that {@link redactArgv} needs. */
export interface RedactOptions {
  readonly redact: ((argv: readonly string[]) => unknown) | undefined
  /** Whether the event goes on with its argv withheld if `redact` fails; otherwise it is refused. */
  readonly withholdOnRedactError: boolean
  /** Called with the reason if `redact` has failed, in either case. */
  readonly onRedactError: (error: Error) => void
}

/**
 * Argv as the option `redact` returns it. If that throws, or returns anything but an array of strings, the
 * original argv must not be written, and nothing may quote it.
 */
export function redactArgv(argv: string[], options: RedactOptions): readonly string[] {
  const { redact, withholdOnRedactError, onRedactError } = options
  if (redact === undefined) return argv
  const { length } = argv
  try {
    const redacted = redact(argv)
    ignoreRejection(redacted)
    return strings('redact(argv)', redacted)
  } catch (thrown) {
    const error = redactError(thrown)
    onRedactError(error)
    if (!withholdOnRedactError) throw error
    return [`[x0x-exec-audit: redact failed, ${length} arguments withheld]`]
  }
}

function redactError(thrown: unknown): Error {
  if (isInvalidEvent(thrown)) return thrown
  const text = 'redact(argv): expected an array of strings, but it threw'
  return invalidEvent(new TypeError(text, { cause: withoutText(thrown) }), 'redact(argv)')
}

/** Its stack without its text, which may quote an argument: warnings go where logs go. */
function withoutText(thrown: unknown): Error {
  const error = new Error('its text is withheld, as it may quote an argument')
  error.stack = `Error: ${error.message}${framesOf(thrown)}`
  return error
}

function framesOf(thrown: unknown): string {
  if (!types.isNativeError(thrown) || typeof thrown.stack !== 'string') return ''
  const { message, stack } = thrown
  const at = stack.indexOf(message)
  return at < 0 ? '' : stack.slice(at + message.length)
}
