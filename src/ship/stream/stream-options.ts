import { flag, integer, refuse, type Values, valuesOf } from '../../base/option-checks'
import type { StreamOptions } from './stream'
import { StreamError } from './stream-error'

const NAMES = ['stream', 'subject', 'create', 'creds', 'timeoutMs', 'inFlight', 'client'] as const

/** The options, checked, with their defaults. */
export interface CheckedStreamOptions {
  readonly stream: string
  readonly subject: string | undefined
  readonly create: boolean
  readonly creds: string | undefined
  readonly timeoutMs: number
  readonly inFlight: number
  readonly client: Readonly<Record<string, unknown>>
}

/** Throws a TypeError or RangeError that names the option. */
export function checkStreamOptions(options: StreamOptions): CheckedStreamOptions {
  const values = valuesOf('options', options, NAMES)
  return {
    stream: text('stream', values) ?? refuse('options.stream', undefined, 'a name'),
    subject: text('subject', values),
    create: flag('options.create', values, false),
    creds: text('creds', values),
    timeoutMs: integer('options.timeoutMs', values, 10_000, 100, 600_000),
    inFlight: integer('options.inFlight', values, 1_024, 1, 65_536),
    client: Object.fromEntries(valuesOfClient(values.get('client'))),
  }
}

function text(name: string, values: Values): string | undefined {
  const value = values.get(name)
  if (value === undefined) return undefined
  const isName = typeof value === 'string' && value !== '' && !value.includes('\0')
  return isName ? value : refuse(`options.${name}`, value, 'a text that is not empty')
}

function valuesOfClient(client: unknown): [string, unknown][] {
  if (client === undefined) return []
  if (typeof client === 'object' && client !== null) return Object.entries(client)
  return refuse('options.client', client, "an object of the client's options")
}

/** A server's URL. Throws for a password in it, which `ps` would show to everybody. */
export function parseServerUrl(url: string, protocols: readonly string[], instead: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !protocols.includes(parsed.protocol) || parsed.hostname === '') {
    const known = protocols.map((protocol) => `${protocol}//HOST:PORT`).join(' or ')
    throw new StreamError('usage', `expected a URL as ${known}, got ${shown(url)}`)
  }
  if (parsed.password !== '') {
    throw new StreamError('usage', `the URL of ${parsed.host} has a password in it: ${instead}`)
  }
  if (parsed.search !== '' || parsed.hash !== '') {
    throw new StreamError('usage', `the URL of ${parsed.host} has options in it: give them apart`)
  }
  return parsed
}

/** The URL without what may be a password. */
function shown(url: string): string {
  return JSON.stringify(url.replace(/\/\/[^/]*@/, '//...@').slice(0, 80))
}
