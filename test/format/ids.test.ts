import { idOf } from '../../src'
import { MemoryAudit } from '../../src/testing'
import { REQUEST_ID, requestEvent, startedEvent } from '../support/events'

/** The request id in the line, or the warning if there is no line. */
function recordedId(requestId: string): string | undefined {
  const warned: string[] = []
  const audit = new MemoryAudit({ logger: { warn: (_, message) => warned.push(message) } })
  void audit.started(startedEvent({ requestId }))
  return audit.events[0]?.requestId ?? warned[0]
}

describe('idOf', () => {
  it('is the SHA-256 of the name, as an agent id takes it', async () => {
    // printf user:alice | sha256sum
    expect(idOf('user:alice')).toBe(
      'dabd1db8d35ab13106274f61f1bf977812cce4f477b15014cf38fb796c50a4c4',
    )
    const audit = new MemoryAudit({ failureMode: 'closed' })
    const agentId = idOf('user:ä')
    expect(await audit.request(requestEvent({ agentId }))).toBe('durable')
    expect(audit.events[0]).toMatchObject({ agentId })
  })

  it.each<[unknown, string]>([
    ['', 'one that is empty or has a lone surrogate'],
    ['\ud800', 'one that is empty or has a lone surrogate'],
    [7, 'the number 7'],
    [undefined, 'undefined'],
  ])('refuses %p', (name, got) => {
    expect(() => Reflect.apply(idOf, undefined, [name])).toThrow(
      new TypeError(`name: expected a string, got ${got}`),
    )
  })
})

describe('a request id', () => {
  const dashed = '01234567-89ab-cdef-0123-456789abcdef'

  it.each([dashed, dashed.toUpperCase(), REQUEST_ID])('may be given as %s', (given) => {
    expect(recordedId(given)).toBe(REQUEST_ID)
  })

  it.each([
    '01234567-89ab-cdef-0123-456789abcde',
    '0123456789-ab-cdef-0123-456789abcdef',
    '01234567-89ab-cdef-0123-456789abcdeg',
    '01234567-89ab-cdef-0123--56789abcdef',
    '{1234567-89ab-cdef-0123-456789abcdef',
    '------------------------------------',
  ])('is no UUID: %s', (given) => {
    expect(recordedId(given)).toBe(
      `exec audit: requestId: expected 32 hexadecimal digits or a UUID with its dashes, got ${given.length} characters`,
    )
  })

  it('alone may be a UUID', () => {
    const warned: string[] = []
    const audit = new MemoryAudit({ logger: { warn: (_, message) => warned.push(message) } })
    void audit.request(requestEvent({ agentId: dashed }))
    expect(warned).toEqual([
      'exec audit: agentId: expected 64 hexadecimal digits (idOf makes them of a name), got 36 characters',
    ])
  })
})
