import { PolicyFileError } from './errors'

/** A table of a TOML document. */
export type Table = Readonly<Record<string, unknown>>

/** Parses a document. Integers that a number cannot hold are bigints. */
export function parseToml(path: string, text: string): Table {
  try {
    return parse(text)
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown
    const line = 'line' in thrown && typeof thrown.line === 'number' ? thrown.line : undefined
    // The lines after the first one are a drawing of the place.
    const problem = thrown.message.split('\n', 1)[0]?.replace(/^Invalid TOML document: /, '') ?? ''
    throw new PolicyFileError('POLICY_FILE_MALFORMED', path, `not valid TOML: ${problem}`, {
      line,
      cause: thrown,
    })
  }
}

/** Throws as the library does. Integers that a number cannot hold are bigints. */
export function parse(text: string): Table {
  // Loaded here, so that a program without a policy file does not load it.
  const toml: typeof import('smol-toml') = require('smol-toml')
  return toml.parse(text, { integersAsBigInt: 'asNeeded' })
}

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null
}
