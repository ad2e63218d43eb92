import { readFileSync } from 'node:fs'
import { runChild } from '../../support/children/run-child'
import {
  REQUEST_ID,
  requestEvent,
  startedEvent,
  startedLines,
  VALID_EVENTS,
} from '../../support/events'
import { call, METHODS, openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'

/** Every field of every event. */
const FIELDS = METHODS.flatMap((method) =>
  Object.keys(VALID_EVENTS[method]).map((field) => [method, field] as const),
)

describe('a mistake in an event', () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  it.each(['open', 'closed'] as const)(
    'a getter that throws is named, with its cause, in %s mode',
    async (failureMode) => {
      const tested = openAudit(dir.path('exec.log'), { failureMode })
      const cause = new Error('getter')
      const get = () => {
        throw cause
      }
      const before = tested.audit.started(startedEvent({ pid: 0 }))
      const answers = FIELDS.map(([method, field]) => {
        const event = Object.defineProperty({ ...VALID_EVENTS[method] }, field, { get })
        return call(tested, method, event).catch((thrown: unknown) => thrown)
      })
      const after = tested.audit.started(startedEvent({ pid: 1 }))
      const answered = await Promise.all(answers)
      expect([await before, await after, log()]).toEqual(['durable', 'durable', startedLines(2)])
      expect(tested.diagnostics.auditFailures).toBe(FIELDS.length)
      for (const [i, [, field]] of FIELDS.entries()) {
        const text = `${field}: expected a readable value, but reading it threw`
        const error = new TypeError(text, { cause })
        if (failureMode === 'open') expect(answered[i]).toBe('failed')
        else
          expect(answered[i]).toEqual(Object.assign(error, { code: 'AUDIT_INVALID_EVENT', field }))
      }
      const named = FIELDS.map(([, field]) => field)
      const warned = tested.warned.map(({ object }) => object.err)
      expect(new Set(warned.map((err) => Reflect.get(Object(err), 'field')))).toEqual(
        new Set(named),
      )
      expect(new Set(warned.map((err) => Reflect.get(Object(err), 'cause')))).toEqual(
        new Set([cause]),
      )
    },
  )

  it('is no unhandled rejection in open mode, though nobody awaits anything', async () => {
    const end = await runChild(
      `const codes = []
       const audit = open({ logger: { warn: ({ code }) => codes.push(code) } })
       const getter = { requestId, get pid() { throw new Error('getter') } }
       audit.started({ requestId, pid: 0 })
       for (const event of [getter, {}, null, { requestId, pid: NaN }, new Proxy({}, { get() { throw 0 } })]) {
         audit.started(event)
       }
       audit.started({ requestId, pid: 1 })
       process.on('exit', () => console.log(codes.length, ...new Set(codes)))`,
      [dir.path('exec.log')],
    )
    expect(end).toMatchObject({ code: 0, stdout: '5 AUDIT_INVALID_EVENT\n', stderr: '' })
    expect(log()).toBe(startedLines(2))
  })

  it.each([[null], [undefined], [7], ['event'], [() => undefined]])(
    'an event that is %p is refused, never thrown at the caller',
    async (event) => {
      const tested = openAudit(dir.path('exec.log'))
      expect(await call(tested, 'request', event)).toBe('failed')
      expect(tested.warned[0]?.object.err).toMatchObject({ field: 'event' })
    },
  )

  it.each([
    ['enumerable', true],
    ['hidden', false],
  ])('a missing field is not read from a polluted Object.prototype: %s', async (_, enumerable) => {
    const tested = openAudit(dir.path('exec.log'))
    const before = tested.audit.started(startedEvent({ pid: 0 }))
    const answers = FIELDS.map(([method, field]) => {
      const { [field]: lent, ...event }: Record<string, unknown> = { ...VALID_EVENTS[method] }
      const descriptor = { value: lent, enumerable, configurable: true, writable: true }
      Object.defineProperty(Object.prototype, field, descriptor)
      try {
        return call(tested, method, event)
      } finally {
        Reflect.deleteProperty(Object.prototype, field)
      }
    })
    const after = tested.audit.started(startedEvent({ pid: 1 }))
    const answered = await Promise.all(answers)
    expect([await before, await after]).toEqual(['durable', 'durable'])
    const optional = new Set(['matchedAcl', 'bytes', 'code', 'signal'])
    expect(answered).toEqual(
      FIELDS.map(([, field]) => (optional.has(field) ? 'durable' : 'failed')),
    )
    const lines = log().trimEnd().split('\n').slice(1, -1)
    const written = lines.map((line): Record<string, unknown> => JSON.parse(line))
    expect(written).toMatchObject([
      { event: 'request', matched_acl: null },
      { event: 'warning', bytes: null },
      { event: 'exit', code: null },
      { event: 'exit', signal: null },
    ])
  })

  it('lands intact while Object.prototype is polluted', async () => {
    const tested = openAudit(dir.path('exec.log'))
    const polluted = { toJSON: () => ({}), event: 'lent', pid: 666, argv: ['lent'], get: undefined }
    Object.assign(Object.prototype, polluted)
    try {
      expect(await call(tested, 'started', startedEvent({ pid: 0 }))).toBe('durable')
      expect(await call(tested, 'started', { requestId: REQUEST_ID })).toBe('failed')
      expect(await call(tested, 'started', startedEvent({ pid: 1 }))).toBe('durable')
    } finally {
      for (const name of Object.keys(polluted)) Reflect.deleteProperty(Object.prototype, name)
    }
    expect(log()).toBe(startedLines(2))
  })

  it('never shows an argument in a warning', async () => {
    const tested = openAudit(dir.path('exec.log'))
    await call(tested, 'request', { ...requestEvent(), argv: 'curl -H token:s3cret' })
    expect(tested.warned[0]?.message).toBe(
      'exec audit: argv: expected an array of strings, got a string of 20 characters',
    )
  })

  it('survives a logger and diagnostics that throw', async () => {
    const throws = () => {
      throw new Error('broken')
    }
    const tested = openAudit(dir.path('exec.log'), { logger: { warn: throws } })
    Reflect.set(tested.diagnostics, 'recordAuditFailure', throws)
    const emitted = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    expect(await call(tested, 'started', {})).toBe('failed')
    const mistake =
      'requestId: expected a Uint8Array of 16 bytes or 32 hexadecimal digits or a UUID with its dashes, got undefined'
    expect(emitted.mock.calls.map(([text]) => text)).toEqual([
      'exec audit: recordAuditFailure threw: Error: broken',
      `exec audit: ${mistake} [reported here because the logger threw: Error: broken]`,
    ])
    emitted.mockRestore()
    expect(await tested.audit.started(startedEvent({ pid: 0 }))).toBe('durable')
  })
})

describe('what hostile code throws', () => {
  const dir = useTempDir()
  const trap = () => {
    throw new Error('trap')
  }
  const looksLikeOurs = Object.defineProperty(
    Object.assign(new TypeError('x'), { code: 'AUDIT_INVALID_EVENT' }),
    'message',
    { get: trap },
  )

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['an object without a prototype', Object.create(null)],
    [
      'a proxy whose every trap throws',
      new Proxy({}, { get: trap, getPrototypeOf: trap, has: trap }),
    ],
    ['an error that looks like our own', looksLikeOurs],
  ])('%s, from a getter and from the logger, stays inside the audit', async (_, thrown) => {
    const throwIt = () => {
      throw thrown
    }
    const emitted = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const tested = openAudit(dir.path('exec.log'), { logger: { warn: throwIt } })
    const event = Object.defineProperty({ requestId: REQUEST_ID }, 'pid', { get: throwIt })
    expect(await call(tested, 'started', event)).toBe('failed')
    expect(emitted).toHaveBeenCalledTimes(1)
    emitted.mockRestore()
    const warned = openAudit(dir.path('exec.log'))
    expect(await call(warned, 'started', event)).toBe('failed')
    expect(warned.warned[0]?.message).toBe(
      'exec audit: pid: expected a readable value, but reading it threw',
    )
  })
})

describe('the event as it was at the call', () => {
  const dir = useTempDir()

  it('is what reaches the log, whatever the caller changes afterwards', async () => {
    // A ring this small makes most of them wait outside it, and the last goes beside it.
    const { audit } = openAudit(dir.path('exec.log'), { ringBytes: 1024 })
    const argv = ['echo', 'before']
    const requestId = new Uint8Array(16).fill(1)
    const events = Array.from({ length: 50 }, () =>
      audit.request(requestEvent({ argv, requestId })),
    )
    argv[1] = 'x'.repeat(5_000)
    events.push(audit.request(requestEvent({ argv, requestId })))
    argv[1] = 'after'
    requestId.fill(2)
    await Promise.all(events)

    const lines = readFileSync(dir.path('exec.log'), 'utf8').trimEnd().split('\n')
    const parsed = lines.map((line): { argv: string[]; request_id: string } => JSON.parse(line))
    expect(parsed.slice(0, 50).map((line) => line.argv[1])).toEqual(new Array(50).fill('before'))
    expect(parsed[50]?.argv[1]).toBe('x'.repeat(5_000))
    expect(new Set(parsed.map((line) => line.request_id))).toEqual(new Set(['01'.repeat(16)]))
  })
})
