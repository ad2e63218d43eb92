import { quoteArgument, visible } from './escape'

/** Commander's message about a mistake in the command line, in the words of this command. */
export function commanderText(message: string): string {
  const text = message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean ([^\n]*)\?\)$/, '; did you mean $1?')
    .replace(/^option '[^']*?(--[\w-]+) ([^']+)' argument missing$/, '$1: expected $2, got nothing')
    .replace(/\. Expected (\d+) arguments? but got (\d+)\.$/, ': expected $1, got $2')
  return invalidValue(text) ?? visible(text.replace(/\.$/, ''))
}

/** `--since: expected a time such as 2h, got noon`; undefined if it is about something else. */
function invalidValue(text: string): string | undefined {
  const ofOption =
    /^option '[^']*?(?<name>--[\w-]+)[^']*' argument '(?<value>.*)' is invalid\. (?<why>.*)$/s
  const ofArgument =
    /^command-argument value '(?<value>.*)' is invalid for argument '(?<name>[^']+)'\. (?<why>.*)$/s
  const { groups } = ofOption.exec(text) ?? ofArgument.exec(text) ?? {}
  if (groups === undefined) return undefined
  const { name = '', value = '', why = '' } = groups
  const expected = why
    .replace(/^Allowed choices are /, 'expected one of ')
    .replace(/^Expected /, 'expected ')
    .replace(/\.$/, '')
  const shown = name.startsWith('-') ? name : name.toUpperCase()
  return `${shown}: ${expected}, got ${quoteArgument(value)}`
}
