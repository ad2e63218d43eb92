import { MemoryAudit } from '../../../src/testing'
import { VALID_EVENTS } from '../../support/events'

type Method = keyof typeof VALID_EVENTS

const KNOWN: Readonly<Record<Method, string>> = {
  request: 'requestId, agentId, machineId, argv, matchedAcl, stdinBytes, timeoutMs, context',
  started: 'requestId, pid',
  warning: 'requestId, kind, bytes',
  exit: 'requestId, code, signal, durationMs, stdoutBytes, stderrBytes, truncated',
  denial: 'requestId, agentId, machineId, argv, reason, context',
}

/** Records the event as untyped code would. */
function call(audit: MemoryAudit, method: Method, event: unknown): Promise<unknown> {
  return Reflect.apply(audit[method], audit, [event])
}

describe('an unknown field', () => {
  it.each<[Method, string, string | null]>([
    ['request', 'user', 'context'],
    ['request', 'principal', 'context'],
    ['request', 'cwd', 'context'],
    ['request', 'matched_acl', 'matchedAcl'],
    ['request', 'timeout', 'timeoutMs'],
    ['request', 'agentID', 'agentId'],
    ['started', 'context', null],
    ['started', 'ppid', 'pid'],
    ['warning', 'byte', 'bytes'],
    ['exit', 'exitCode', 'code'],
    ['exit', 'duration', 'durationMs'],
    ['denial', 'session', 'context'],
    ['denial', 'matchedAcl', null],
  ])(
    'of %s: %s is a mistake that names the nearest one, if one is near: %s',
    async (method, field, meant) => {
      const warned: string[] = []
      const audit = new MemoryAudit({
        failureMode: 'closed',
        logger: { warn: (_, message) => warned.push(message) },
      })
      const hint = meant === null ? 'known' : `did you mean ${meant}? Known`
      const message = `${field}: unknown field; ${hint} are ${KNOWN[method]}`
      const event = { ...VALID_EVENTS[method], [field]: 'x' }
      await expect(call(audit, method, event)).rejects.toMatchObject({
        ...{ name: 'TypeError', message, field, code: 'AUDIT_INVALID_EVENT' },
      })
      expect([audit.lines, warned]).toEqual([[], [`exec audit: ${message}`]])
      // The one before must not have taught it the name.
      await expect(call(audit, method, event)).rejects.toMatchObject({ message })
      expect(await call(audit, method, VALID_EVENTS[method])).toBe('durable')
    },
  )

  it('fails its event alone in open mode', async () => {
    const warned: string[] = []
    const audit = new MemoryAudit({ logger: { warn: (_, message) => warned.push(message) } })
    const event = { ...VALID_EVENTS.started, ['\u202e'.repeat(50)]: undefined }
    expect(await call(audit, 'started', event)).toBe('failed')
    expect(await call(audit, 'started', VALID_EVENTS.started)).toBe('durable')
    const name = `"${'\\u202e'.repeat(40)}..."`
    expect(warned).toEqual([`exec audit: ${name}: unknown field; known are requestId, pid`])
  })

  it.each<[string, (event: object) => object]>([
    ['in another order', (event) => Object.fromEntries(Object.entries(event).reverse())],
    [
      'that is not enumerable',
      (event) => Object.defineProperty({ ...event }, 'user', { value: 1 }),
    ],
    ['under a symbol', (event) => ({ ...event, [Symbol('user')]: 1 })],
    [
      'of a class, by its getter',
      (event) =>
        Object.assign(
          new (class {
            get user() {
              return 1
            }
          })(),
          event,
        ),
    ],
    ['inherited and enumerable', (event) => Object.assign(Object.create({ user: 1 }), event)],
    ['of no prototype', (event) => Object.assign(Object.create(null), event)],
    ['behind a proxy', (event) => new Proxy(event, {})],
  ])('is none if it is %s', async (_, change) => {
    const audit = new MemoryAudit({ failureMode: 'closed' })
    for (const method of ['request', 'started', 'warning', 'exit', 'denial'] as const) {
      for (let i = 0; i < 2; i++) {
        expect(await call(audit, method, change(VALID_EVENTS[method]))).toBe('durable')
        expect(await call(audit, method, VALID_EVENTS[method])).toBe('durable')
      }
    }
  })

  it('of a polluted Object.prototype is none', async () => {
    const audit = new MemoryAudit({ failureMode: 'closed' })
    Reflect.set(Object.prototype, 'user', 'nobody')
    try {
      expect(await audit.started(VALID_EVENTS.started)).toBe('durable')
    } finally {
      Reflect.deleteProperty(Object.prototype, 'user')
    }
  })
})
