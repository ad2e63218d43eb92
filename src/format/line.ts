import type { Schema } from 'fast-json-stringify'

/*
 * The line format, as fast-json-stringify schemas. Keys are written in the order of `properties`.
 * The schemas are closed and their values come from decode.ts alone, so the serializer never sees a
 * caller's object.
 */

interface Line<Event extends string> {
  readonly event: Event
  readonly ts_unix_ms: number
  readonly request_id: string
}

interface PartyLine<Event extends string> extends Line<Event> {
  readonly agent_id: string
  readonly machine_id: string
  readonly argv: readonly string[]
  readonly context?: LineContext | undefined
}

/** Texts by name, in the order given; never empty. */
export type LineContext = Readonly<Record<string, string>>

export interface RequestLine extends PartyLine<'request'> {
  readonly matched_acl: string | null
  readonly stdin_bytes: number | bigint
  readonly timeout_ms: number
}

export interface StartedLine extends Line<'started'> {
  readonly pid: number
}

export interface WarningLine extends Line<'warning'> {
  readonly kind: string
  readonly bytes: number | bigint | null
}

export interface ExitLine extends Line<'exit'> {
  readonly code: number | null
  readonly signal: number | null
  readonly duration_ms: number | bigint
  readonly stdout_bytes: number | bigint
  readonly stderr_bytes: number | bigint
  readonly truncated: boolean
}

export interface DenialLine extends PartyLine<'denial'> {
  readonly reason: string
}

/** An event as it stands in the file: the keys and their order are those of the line. */
export type AuditLine = RequestLine | StartedLine | WarningLine | ExitLine | DenialLine

const integer = { type: 'integer' } as const
const boolean = { type: 'boolean' } as const
const text = { type: 'string' } as const
/** Text from this package's own tables, or hex digits: it needs no escaping. */
const plain = { type: 'string', format: 'unsafe' } as const
const argv = { type: 'array', items: text } as const

/** The one extension of the reference's format, and the one key that a line may lack. */
const CONTEXT_KEY = 'context'
const context = { type: 'object', additionalProperties: text } as const

/** `nullable` and not a list of types: only so does an integer take a bigint. */
function orNull<T extends object>(schema: T) {
  return { ...schema, nullable: true } as const
}

function line(event: string, fields: Record<string, Schema>): Schema {
  const properties = { event: { const: event }, ts_unix_ms: integer, request_id: plain, ...fields }
  return {
    type: 'object',
    properties,
    required: Object.keys(properties).filter((key) => key !== CONTEXT_KEY),
    additionalProperties: false,
  }
}

const parties = { agent_id: plain, machine_id: plain, argv }

/** One schema per event, after the reference's serde structs. */
export const LINE_SCHEMAS = {
  request: line('request', {
    ...parties,
    matched_acl: orNull(text),
    stdin_bytes: integer,
    timeout_ms: integer,
    [CONTEXT_KEY]: context,
  }),
  started: line('started', { pid: integer }),
  warning: line('warning', { kind: plain, bytes: orNull(integer) }),
  exit: line('exit', {
    code: orNull(integer),
    signal: orNull(integer),
    duration_ms: integer,
    stdout_bytes: integer,
    stderr_bytes: integer,
    truncated: boolean,
  }),
  denial: line('denial', { ...parties, reason: plain, [CONTEXT_KEY]: context }),
} as const
