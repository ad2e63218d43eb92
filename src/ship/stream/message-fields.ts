import { createHash } from 'node:crypto'
import { printable } from '../../base/describe'
import { MESSAGE_KINDS, type Message, type MessageKind, type StoredMessage } from './message'
import { StreamError } from './stream-error'

/*
 * A message's place as text: headers in NATS, fields in Redis.
 */

const INDEX = 'X0x-Index'
const ORIGIN = 'X0x-Origin'
const SHA256 = 'X0x-Sha256'
const PREV = 'X0x-Prev'
const KIND = 'X0x-Kind'

/** A name and its value. */
export type Field = readonly [name: string, value: string]

/** The fields of a message, in their order. */
export function fieldsOf({ index, origin, sha256, prev, kind }: Message): Field[] {
  const fields: Field[] = [
    [INDEX, String(index)],
    [ORIGIN, origin],
    [SHA256, sha256.toString('hex')],
  ]
  if (prev !== undefined) fields.push([PREV, prev.toString('hex')])
  if (kind !== 'line') fields.push([KIND, kind])
  return fields
}

/** What makes a message known again: its index, and the first 16 hex digits of its hash. */
export function messageId({ index, sha256 }: Message): string {
  return `${index}-${sha256.toString('hex', 0, 8)}`
}

/**
 * The message that these fields and this body are.
 * @param field the value of a field; undefined if it is missing
 * @param where the stream and the position, for the error
 */
export function messageFrom(
  field: (name: string) => string | undefined,
  body: Buffer,
  position: string,
  where: string,
): StoredMessage {
  const index = field(INDEX)
  const origin = field(ORIGIN)
  if (index === undefined || origin === undefined) {
    throw foreign(where, 'has no X0x-Index and X0x-Origin')
  }
  if (!/^(0|[1-9]\d{0,14})$/.test(index)) {
    throw foreign(where, `has the index ${printable(index)}`)
  }
  const kind = kindFrom(field(KIND), where)
  const sha256 = hashFrom(SHA256, field(SHA256), where)
  const prev = field(PREV)
  // Of a line that is too long the hash alone is there.
  if (kind !== 'oversize' && !createHash('sha256').update(body).digest().equals(sha256)) {
    throw foreign(where, 'has another body than its X0x-Sha256 says')
  }
  return {
    kind,
    index: Number(index),
    origin,
    sha256,
    prev: prev === undefined ? undefined : hashFrom(PREV, prev, where),
    body,
    position,
  }
}

function kindFrom(text: string | undefined, where: string): MessageKind {
  if (text === undefined) return 'line'
  const kind = MESSAGE_KINDS.find((each) => each === text)
  return kind ?? refuseKind(text, where)
}

function refuseKind(text: string, where: string): never {
  throw foreign(where, `has the kind ${printable(text)}, which this version does not know`)
}

function hashFrom(name: string, text: string | undefined, where: string): Buffer {
  if (text !== undefined && /^[0-9a-f]{64}$/.test(text)) return Buffer.from(text, 'hex')
  throw foreign(where, text === undefined ? `has no ${name}` : `has no hash in ${name}`)
}

function foreign(where: string, text: string): StreamError {
  return new StreamError(
    'foreign',
    `${where} ${text}: no shipper has written it so; find out who writes to the stream, and ship to another one`,
  )
}
