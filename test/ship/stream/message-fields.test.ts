import type { Message } from '../../../src/ship/stream/message'
import { fieldsOf, messageFrom, messageId } from '../../../src/ship/stream/message-fields'
import { refusal } from '../../support/refusal'
import { lines, messagesOf, sha256 } from '../../support/servers/messages'

const [first, second] = messagesOf(['first', 'second'], 7)
const KINDS = ['line', 'oversize', 'gap', 'checkpoint'] as const

function read(fields: readonly (readonly [string, string])[], body = 'first') {
  const values = new Map(fields)
  return messageFrom((name) => values.get(name), Buffer.from(body), '8', 'message 8')
}

function checked(message: Message | undefined): Message {
  if (message === undefined) throw new Error('no message')
  return message
}

describe('the fields of a message', () => {
  it('are these', () => {
    const [hash, next] = [sha256('first').toString('hex'), sha256('second').toString('hex')]
    expect(fieldsOf(checked(first))).toEqual([
      ['X0x-Index', '7'],
      ['X0x-Origin', '-'],
      ['X0x-Sha256', hash],
    ])
    expect(fieldsOf({ ...checked(second), kind: 'gap' })).toEqual([
      ['X0x-Index', '8'],
      ['X0x-Origin', '-'],
      ['X0x-Sha256', next],
      ['X0x-Prev', hash],
      ['X0x-Kind', 'gap'],
    ])
    expect(messageId(checked(first))).toBe(`7-${hash.slice(0, 16)}`)
  })

  it.each(KINDS)('are read as they were written, of the kind %s', (kind) => {
    for (const message of lines(0, 3)) {
      const sent = { ...message, kind, origin: 'gateway.example/log' }
      expect(read(fieldsOf(sent), sent.body.toString())).toEqual({ ...sent, position: '8' })
    }
  })

  it.each([
    [{ 'X0x-Index': undefined }, 'has no X0x-Index and X0x-Origin'],
    [{ 'X0x-Origin': undefined }, 'has no X0x-Index and X0x-Origin'],
    [{ 'X0x-Index': '07' }, 'has the index "07"'],
    [{ 'X0x-Index': '-1' }, 'has the index "-1"'],
    [{ 'X0x-Index': '1e3' }, 'has the index "1e3"'],
    [{ 'X0x-Index': '9'.repeat(16) }, 'has the index "9999999999999999"'],
    [{ 'X0x-Sha256': undefined }, 'has no X0x-Sha256'],
    [{ 'X0x-Sha256': 'ABCD' }, 'has no hash in X0x-Sha256'],
    [{ 'X0x-Prev': '' }, 'has no hash in X0x-Prev'],
    [{ 'X0x-Kind': 'note' }, 'has the kind "note", which this version does not know'],
    [{ 'X0x-Sha256': 'a'.repeat(64) }, 'has another body than its X0x-Sha256 says'],
  ])('are a foreign message with %j', (change, text) => {
    const fields = new Map<string, string>(fieldsOf(checked(first)))
    for (const [name, value] of Object.entries(change)) {
      if (value === undefined) fields.delete(name)
      else fields.set(name, value)
    }
    expect(refusal(() => read([...fields]))).toBe(
      `StreamError: message 8 ${text}: no shipper has written it so; find out who writes to the stream, and ship to another one`,
    )
  })

  it('have the hash of the line, and not of the marker, if the line is too long', () => {
    const sent: Message = { ...checked(first), kind: 'oversize', body: Buffer.from('{}') }
    expect(read(fieldsOf(sent), '{}')).toEqual({ ...sent, position: '8' })
  })
})
