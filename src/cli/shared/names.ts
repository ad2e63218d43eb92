import { readFileSync } from 'node:fs'
import { Option } from 'commander'
import { parseJson } from '../../toolkit/text/json'
import { messageOf, usageError } from './errors'
import { visible } from './escape'

const ID = /^[0-9a-f]{64}$/i

/** The names that an operator gives to agents, machines and principals. */
export class Names {
  readonly #names: ReadonlyMap<string, string>

  constructor(names: Iterable<readonly [id: string, name: string]>) {
    this.#names = new Map([...names].map(([id, name]) => [keyOf(id), name]))
  }

  /** The name of an id or a principal, if it has one. */
  of(id: string | undefined): string | undefined {
    return id === undefined ? undefined : this.#names.get(keyOf(id))
  }
}

export const NO_NAMES = new Names([])

/** Ids stand in a log in lower case; a principal is its own text. */
function keyOf(id: string): string {
  return ID.test(id) ? id.toLowerCase() : id
}

export function namesOption(): Option {
  return new Option(
    '--names <file>',
    'names to show for ids and principals: a JSON object, or lines of an id and its name',
  ).argParser(readNames)
}

/** Reads `{"id":"name"}`, or lines of an id, a space and its name; # begins a comment. */
function readNames(file: string): Names {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (thrown) {
    throw usageError(`--names: ${messageOf(thrown)}`)
  }
  return new Names(text.trimStart().startsWith('{') ? fromJson(file, text) : fromLines(file, text))
}

function fromJson(file: string, text: string): [string, string][] {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) {
    throw usageError(`--names: ${visible(file)} is no JSON object of ids and names`)
  }
  return Object.entries(value).map(([id, name]) => {
    if (typeof name === 'string') return [id, name]
    throw usageError(
      `--names: ${visible(file)}: expected a string for ${visible(id)}, got ${typeof name}`,
    )
  })
}

function fromLines(file: string, text: string): [string, string][] {
  return text.split('\n').flatMap((line, i): [string, string][] => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return []
    const [, id, name] = /^(\S+)\s+(.+)$/.exec(trimmed) ?? []
    if (id !== undefined && name !== undefined) return [[id, name]]
    throw usageError(`--names: ${visible(file)}:${i + 1}: expected an id, a space and a name`)
  })
}
