import { readFileSync } from 'node:fs'
import { REQUEST_ID, requestEvent, startedEvent, startedLine } from './helpers/events'
import { type AuditUnderTest, openAudit } from './helpers/open-audit'
import { useTempDir } from './helpers/temp-dir'

type Method = 'request' | 'started' | 'warning' | 'exit' | 'denial'

const VALID: Record<Method, Record<string, unknown>> = {
  request: { ...requestEvent() },
  started: { ...startedEvent() },
  warning: { requestId: REQUEST_ID, kind: 'cancelled', bytes: null },
  exit: {
    requestId: REQUEST_ID,
    code: 0,
    signal: null,
    durationMs: 1,
    stdoutBytes: 2,
    stderrBytes: 3,
    truncated: false,
  },
  denial: {
    requestId: REQUEST_ID,
    agentId: 'a1'.repeat(32),
    machineId: 'b2'.repeat(32),
    argv: ['x'],
    reason: 'exec_disabled',
  },
}

const WRONG_U64 = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -1n, 2n ** 64n]
const WRONG_U64_TYPE = ['1', null, undefined, true, {}, [], Symbol('s')]
const WRONG_U32 = [-1, 1.5, Number.NaN, 2 ** 32]
const WRONG_U32_TYPE = ['1', null, undefined, 1n, {}]
const WRONG_I32 = [2 ** 31, -(2 ** 31) - 1, 0.5, Number.NaN]
/** Characters whose low byte is that of a hexadecimal digit. */
const LOOKALIKES = ['\u01300'.repeat(16), '0\u0130'.repeat(32)]
/** An id that says it is a byte longer than it is. */
class Boaster extends Uint8Array {
  override get byteLength(): number {
    return super.byteLength + 1
  }
}
const WRONG_ID = [
  ...[new Boaster(15), new Boaster(31)],
  ...[new Uint8Array(15), new Uint8Array(33), 'ab', 'zz'.repeat(16), 'g'.repeat(64)],
  ...LOOKALIKES,
]
const WRONG_ID_TYPE = [null, undefined, 7, {}, new Uint16Array(16), [1, 2]]
const holey: unknown[] = ['a']
holey[2] = 'c'
const throwing = (name: string) => ({
  get [name]() {
    throw new Error('getter')
  },
})

/** Method, field as the error names it, what is wrong with it, and which error closed mode gives. */
type Case = readonly [Method, string, Record<string, unknown>, typeof TypeError | typeof RangeError]

function each(
  method: Method,
  field: string,
  values: readonly unknown[],
  error: Case[3],
  named = field,
): Case[] {
  return values.map((value) => [method, named, { [field]: value }, error])
}

const CASES: readonly Case[] = [
  ...each('request', 'requestId', WRONG_ID, RangeError),
  ...each('request', 'agentId', WRONG_ID, RangeError),
  ...each('denial', 'machineId', WRONG_ID, RangeError),
  ...each('started', 'requestId', WRONG_ID_TYPE, TypeError),
  ...each('request', 'machineId', WRONG_ID_TYPE, TypeError),
  ...each('request', 'stdinBytes', WRONG_U64, RangeError),
  ...each('request', 'stdinBytes', WRONG_U64_TYPE, TypeError),
  ...each('exit', 'durationMs', WRONG_U64, RangeError),
  ...each('exit', 'stdoutBytes', WRONG_U64_TYPE, TypeError),
  ...each('exit', 'stderrBytes', WRONG_U64, RangeError),
  ...each('warning', 'bytes', WRONG_U64, RangeError),
  ...each('warning', 'bytes', ['1', true, {}], TypeError),
  ...each('request', 'timeoutMs', WRONG_U32, RangeError),
  ...each('request', 'timeoutMs', WRONG_U32_TYPE, TypeError),
  ...each('started', 'pid', WRONG_U32, RangeError),
  ...each('exit', 'code', WRONG_I32, RangeError),
  ...each('exit', 'code', ['0', 0n, true], TypeError),
  ...each('exit', 'signal', [...WRONG_I32, 'SIGNOPE', 'toString'], RangeError),
  ...each('exit', 'signal', [9n, true], TypeError),
  ...each('exit', 'truncated', [0, 'false', null, undefined], TypeError),
  ...each('request', 'matchedAcl', [7, {}, ['x']], TypeError),
  ...each('warning', 'kind', ['nope', '', 'constructor', '__proto__'], RangeError),
  ...each('warning', 'kind', [undefined, 3, null], TypeError),
  ...each('denial', 'reason', ['nope', 'EXEC_DISABLED'], RangeError),
  ...each('denial', 'reason', [undefined, 0], TypeError),
  ...each('request', 'argv', ['ls', null, undefined, { length: 1 }, new Set(['x'])], TypeError),
  ...each('request', 'argv', [['a', 7]], TypeError, 'argv[1]'),
  ...each('request', 'argv', [['a', undefined], holey], TypeError, 'argv[1]'),
  ...each('denial', 'argv', [[Symbol('s')], [{ toString: () => 'x' }]], TypeError, 'argv[0]'),
]

const GETTERS: readonly (readonly [Method, string])[] = [
  ['request', 'requestId'],
  ['request', 'argv'],
  ['request', 'stdinBytes'],
  ['started', 'pid'],
  ['warning', 'kind'],
  ['warning', 'bytes'],
  ['exit', 'signal'],
  ['exit', 'truncated'],
  ['denial', 'reason'],
]

/** Calls an event method with what its types would not allow. */
function call({ audit }: AuditUnderTest, method: Method, event: unknown): Promise<unknown> {
  return Reflect.apply(Reflect.get(audit, method), audit, [event])
}

describe('a mistake in an event', () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  it.each(CASES)('%s: a wrong %s fails in open mode (%#)', async (method, field, wrong) => {
    const tested = openAudit(dir.path('exec.log'))
    const before = tested.audit.started(startedEvent({ pid: 0 }))
    const outcome = await call(tested, method, { ...VALID[method], ...wrong })
    const after = tested.audit.started(startedEvent({ pid: 1 }))
    expect([await before, outcome, await after]).toEqual(['durable', 'failed', 'durable'])
    expect(tested.diagnostics.auditFailures).toBe(1)
    expect(tested.audit.stats().failures.encode).toBe(1)
    expect(tested.warned).toHaveLength(1)
    expect(tested.warned[0]?.message.startsWith(`exec audit: ${field}: expected `)).toBe(true)
    expect(tested.warned[0]?.object).toMatchObject({ code: 'AUDIT_INVALID_EVENT', stage: 'encode' })
    expect(log()).toBe(startedLine(0) + startedLine(1))
  })

  it('rejects with the same error for each of them in closed mode', async () => {
    const tested = openAudit(dir.path('exec.log'), { failureMode: 'closed' })
    const before = tested.audit.started(startedEvent({ pid: 0 }))
    for (const [method, field, wrong, error] of CASES) {
      const rejection = call(tested, method, { ...VALID[method], ...wrong })
      const thrown: unknown = await rejection.then(String, (reason: unknown) => reason)
      expect(thrown).toBeInstanceOf(error)
      expect(thrown).toMatchObject({ code: 'AUDIT_INVALID_EVENT', field })
    }
    expect(await before).toBe('durable')
    expect(await tested.audit.started(startedEvent({ pid: 1 }))).toBe('durable')
    expect(tested.diagnostics.auditFailures).toBe(CASES.length)
    expect(log()).toBe(startedLine(0) + startedLine(1))
  })

  it.each(GETTERS)(
    '%s: a getter of %s that throws is named, with its cause',
    async (method, name) => {
      const tested = openAudit(dir.path('exec.log'))
      const event = Object.defineProperties(
        { ...VALID[method] },
        Object.getOwnPropertyDescriptors(throwing(name)),
      )
      expect(await call(tested, method, event)).toBe('failed')
      const err = tested.warned[0]?.object.err
      expect(err).toMatchObject({ field: name, cause: new Error('getter') })
    },
  )

  it.each([[null], [undefined], [7], ['event'], [() => undefined]])(
    'an event that is %p is refused, never thrown at the caller',
    async (event) => {
      const tested = openAudit(dir.path('exec.log'))
      expect(await call(tested, 'request', event)).toBe('failed')
      expect(tested.warned[0]?.object.err).toMatchObject({ field: 'event' })
    },
  )

  it('does not read a missing field from a polluted Object.prototype', async () => {
    const tested = openAudit(dir.path('exec.log'))
    const polluted = { bytes: 666, pid: 666, signal: 666, code: 666, toJSON: () => ({}) }
    Object.assign(Object.prototype, polluted)
    try {
      const outcomes = [
        await call(tested, 'started', { requestId: REQUEST_ID }),
        await call(tested, 'warning', { requestId: REQUEST_ID, kind: 'cancelled' }),
      ]
      expect(outcomes).toEqual(['failed', 'durable'])
    } finally {
      for (const name of Object.keys(polluted)) Reflect.deleteProperty(Object.prototype, name)
    }
    expect(tested.warned[0]?.object.err).toMatchObject({ field: 'pid' })
    expect(log()).toBe(
      `{"event":"warning","ts_unix_ms":0,"request_id":"${REQUEST_ID}","kind":"cancelled","bytes":null}\n`,
    )
  })

  it('never shows an argument in a warning', async () => {
    const tested = openAudit(dir.path('exec.log'))
    await call(tested, 'request', { ...VALID.request, argv: 'curl -H token:s3cret' })
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
    expect(emitted).toHaveBeenCalledTimes(2)
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

  it('may be recorded from within a getter or redact of another event', async () => {
    const path = dir.path('exec.log')
    const nested: Promise<unknown>[] = []
    const { audit } = openAudit(path, {
      redact: (argv) => {
        nested.push(audit.started(startedEvent({ pid: 0 })))
        return argv
      },
    })
    expect(await audit.request(requestEvent())).toBe('durable')
    expect(await Promise.all(nested)).toEqual(['durable'])
    const [first, second] = readFileSync(path, 'utf8').trimEnd().split('\n')
    expect(`${first}\n`).toBe(startedLine(0))
    expect(JSON.parse(second ?? '')).toMatchObject({ event: 'request', argv: ['ls', '-la'] })
  })
})
