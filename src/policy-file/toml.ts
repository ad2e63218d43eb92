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

function parse(text: string): Table {
  // Loaded here, so that a program without a policy file does not load it.
  const toml: typeof import('smol-toml') = require('smol-toml')
  return toml.parse(text, { integersAsBigInt: 'asNeeded' })
}

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null
}

/**
 * The line, from 1, of a key of a table that stands at the top of a document, or of the table itself.
 * The parser keeps no places. So the candidates are the lines that name it, and of several the one
 * after which the document, cut there, has the key for the first time.
 */
export function lineOf(text: string, table: string, key?: string): number | undefined {
  const lines = text.split('\n')
  const name = (key ?? table).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const naming = new RegExp(`(^|[\\s.{,\\["'])${name}["']?\\s*[=.\\]]`)
  const candidates = lines.flatMap((line, index) => (naming.test(line) ? [index + 1] : []))
  if (candidates.length < 2) return candidates[0]
  const has = (count: number) => hasKey(lines.slice(0, count).join('\n'), table, key)
  return candidates.find(has) ?? candidates[0]
}

function hasKey(text: string, table: string, key: string | undefined): boolean {
  try {
    const value = parse(text)[table]
    return key === undefined ? value !== undefined : isTable(value) && Object.hasOwn(value, key)
  } catch {
    return false
  }
}
