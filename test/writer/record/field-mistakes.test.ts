import { readFileSync } from 'node:fs'
import { startedEvent, startedLines, VALID_EVENTS } from '../../support/events'
import { call, METHODS, type Method, openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'

/** Values that a field must not have, the error for each, and the values it says are allowed. */
interface Mistake {
  readonly error: typeof TypeError | typeof RangeError
  readonly allowed: string
  readonly values: readonly unknown[]
  /** The name in the error, if it is not the field itself. */
  readonly named?: string
}

const NO_NUMBERS = ['1', '', true, {}, [], Symbol('s'), () => 1]
const NULLS = [null, undefined]
const BEYOND_DOUBLES = [2 ** 53, 1e21, Number.NaN, Number.POSITIVE_INFINITY]

/** An id that says it is a byte longer than it is. */
class Boaster extends Uint8Array {
  override get byteLength(): number {
    return super.byteLength + 1
  }
}

function id(bytes: number): Mistake[] {
  const digits = bytes * 2
  const orUuid = bytes === 16 ? ' or a UUID with its dashes' : ''
  const lengths = [0, bytes - 1, bytes + 1]
  return [
    {
      error: RangeError,
      allowed: `a Uint8Array of ${bytes} bytes`,
      values: [...lengths.map((length) => new Uint8Array(length)), new Boaster(bytes - 1)],
    },
    {
      error: RangeError,
      allowed: `${digits} hexadecimal digits${orUuid || ' (idOf makes them of a name)'}`,
      values: [
        ...[0, 2, bytes, digits - 1, digits + 1].map((length) => 'a'.repeat(length)),
        // The last one has characters whose low byte is that of a digit.
        ...['g', ' ', '\u0130'].map((character) => character.repeat(digits)),
        // In either half of a byte.
        ...['\u01300', '0\u0130'].map((pair) => pair.repeat(digits / 2)),
      ],
    },
    {
      error: TypeError,
      allowed: `a Uint8Array of ${bytes} bytes or ${digits} hexadecimal digits${orUuid}`,
      values: [
        ...NULLS,
        ...[7, 7n, Number.NaN, true, {}, Symbol('s'), new Array(bytes).fill(1)],
        ...[new Uint16Array(bytes), new ArrayBuffer(bytes), new DataView(new ArrayBuffer(bytes))],
      ],
    },
  ]
}

const U64 = 'an integer from 0 to 2^53 - 1, or a bigint to 2^64 - 1'
const OPTIONAL_U64: readonly Mistake[] = [
  { error: RangeError, allowed: U64, values: [-1, 1.5, ...BEYOND_DOUBLES] },
  { error: RangeError, allowed: 'a bigint from 0 to 2^64 - 1', values: [-1n, 2n ** 64n] },
  { error: TypeError, allowed: U64, values: NO_NUMBERS },
]
const REQUIRED_U64 = [...OPTIONAL_U64, { error: TypeError, allowed: U64, values: NULLS }]

const U32 = 'an integer from 0 to 2^32 - 1'
const REQUIRED_U32: readonly Mistake[] = [
  { error: RangeError, allowed: U32, values: [-1, 1.5, 2 ** 32, ...BEYOND_DOUBLES] },
  { error: TypeError, allowed: U32, values: [...NO_NUMBERS, ...NULLS, 1n] },
]

const I32 = 'an integer from -2^31 to 2^31 - 1, or null'
const NO_I32 = [2 ** 31, -(2 ** 31) - 1, 0.5, ...BEYOND_DOUBLES]
const OPTIONAL_I32: readonly Mistake[] = [
  { error: RangeError, allowed: I32, values: NO_I32 },
  { error: TypeError, allowed: I32, values: [...NO_NUMBERS, 1n] },
]
const OPTIONAL_SIGNAL: readonly Mistake[] = [
  { error: RangeError, allowed: I32, values: NO_I32 },
  { error: TypeError, allowed: I32, values: [true, {}, [], Symbol('s'), () => 1, 1n] },
  {
    error: RangeError,
    allowed: 'a signal name such as SIGTERM, an integer or null',
    values: ['', '9', 'SIGNOPE', 'sigterm', 'toString', '__proto__'],
  },
]

const REQUIRED_BOOLEAN: readonly Mistake[] = [
  {
    error: TypeError,
    allowed: 'a boolean',
    values: [0, 1, Number.NaN, 'false', 0n, {}, Symbol('s'), ...NULLS],
  },
]
const OPTIONAL_STRING: readonly Mistake[] = [
  {
    error: TypeError,
    allowed: 'a string or null',
    values: [7, Number.NaN, 7n, false, {}, ['x'], Symbol('s'), Object('x')],
  },
]

function name(...names: string[]): Mistake[] {
  const allowed = `one of ${names.join(', ')}`
  const [first = ''] = names
  const strange = ['', 'nope', first.toUpperCase(), ` ${first}`, 'constructor', '__proto__']
  return [
    { error: RangeError, allowed, values: strange },
    {
      error: TypeError,
      allowed,
      values: [0, Number.NaN, 1n, true, {}, [first], Symbol('s'), ...NULLS],
    },
  ]
}

const NO_STRINGS = [7, Number.NaN, 7n, true, {}, ['x'], Symbol('s'), Object('x'), ...NULLS]
/** With a hole in place of its second element. */
const holey: unknown[] = ['a']
holey[2] = 'c'
const ARGV: readonly Mistake[] = [
  {
    error: TypeError,
    allowed: 'an array of strings',
    values: [
      ...['ls', '', 7, 7n, true, Symbol('s'), () => [], ...NULLS],
      ...[{ length: 1, 0: 'x' }, new Set(['x']), new Uint8Array(1), Object('ls')],
    ],
  },
  { error: TypeError, allowed: 'a string', named: 'argv[0]', values: NO_STRINGS.map((x) => [x]) },
  {
    error: TypeError,
    allowed: 'a string',
    named: 'argv[1]',
    values: [holey, ...NO_STRINGS.slice(0, 8).map((x) => ['a', x, 'c'])],
  },
  { error: TypeError, allowed: 'a string', named: 'argv[0]', values: [new Array(3)] },
]

const PARTIES = { requestId: id(16), agentId: id(32), machineId: id(32), argv: ARGV }
const REASONS = [
  ...['exec_disabled', 'unverified_sender', 'trust_rejected', 'agent_machine_not_in_acl'],
  ...['argv_not_allowed', 'stdin_too_large', 'timeout_too_large', 'cwd_not_allowed'],
  ...['concurrency_limit_reached', 'shell_metachar_in_argv', 'spawn_failed', 'malformed_frame'],
]
const KINDS = [
  ...['stdout_cap_hit', 'stderr_cap_hit', 'duration_approaching_cap', 'stdout_approaching_cap'],
  ...['stderr_approaching_cap', 'lease_expired', 'peer_disconnected', 'cancelled'],
]

const FIELDS: Readonly<Record<Method, Readonly<Record<string, readonly Mistake[]>>>> = {
  request: {
    ...PARTIES,
    matchedAcl: OPTIONAL_STRING,
    stdinBytes: REQUIRED_U64,
    timeoutMs: REQUIRED_U32,
  },
  started: { requestId: id(16), pid: REQUIRED_U32 },
  warning: { requestId: id(16), kind: name(...KINDS), bytes: OPTIONAL_U64 },
  exit: {
    requestId: id(16),
    code: OPTIONAL_I32,
    signal: OPTIONAL_SIGNAL,
    durationMs: REQUIRED_U64,
    stdoutBytes: REQUIRED_U64,
    stderrBytes: REQUIRED_U64,
    truncated: REQUIRED_BOOLEAN,
  },
  denial: { ...PARTIES, reason: name(...REASONS) },
}
const ROWS = METHODS.flatMap((method) =>
  Object.entries(FIELDS[method]).map(([field, mistakes]) => {
    const cases = mistakes.flatMap(({ values, ...mistake }) =>
      values.map((value) => ({ ...mistake, named: mistake.named ?? field, value })),
    )
    return [method, field, cases] as const
  }),
)

describe('a wrong value', () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  it('is tried for every field', () => {
    const fields = METHODS.map((method) => Object.keys(FIELDS[method]).sort())
    expect(fields).toEqual(METHODS.map((method) => Object.keys(VALID_EVENTS[method]).sort()))
  })

  describe.each(['open', 'closed'] as const)('in %s mode', (failureMode) => {
    it.each(ROWS)(
      'of %s: %s gets its error, and its neighbours are written',
      async (method, field, cases) => {
        const tested = openAudit(dir.path('exec.log'), { failureMode })
        const { audit, diagnostics, warned } = tested
        // All at once, so that nothing is between an event and its neighbours.
        const neighbours = [audit.started(startedEvent({ pid: 0 }))]
        const answers = cases.map(({ value }, i) => {
          const answer = call(tested, method, { ...VALID_EVENTS[method], [field]: value })
          neighbours.push(audit.started(startedEvent({ pid: i + 1 })))
          return answer.catch((thrown: unknown) => thrown)
        })
        const answered = await Promise.all(answers)
        expect(new Set(await Promise.all(neighbours))).toEqual(new Set(['durable']))
        expect(log()).toBe(startedLines(cases.length + 1))

        for (const [i, { error, allowed, named }] of cases.entries()) {
          const text = `${named}: expected ${allowed}, got `
          const { object, message = '' } = warned[i] ?? {}
          expect(message).toMatch(/, got ./)
          expect(message.slice(0, message.indexOf(', got ') + 6)).toBe(`exec audit: ${text}`)
          expect(object).toMatchObject({ code: 'AUDIT_INVALID_EVENT', stage: 'encode' })
          expect(object?.err).toBeInstanceOf(error)
          expect(object?.err).toMatchObject({ field: named })
          expect(answered[i]).toBe(failureMode === 'open' ? 'failed' : object?.err)
        }
        const { failures, events } = audit.stats()
        expect([warned.length, diagnostics.auditFailures, failures.encode]).toEqual(
          new Array(3).fill(cases.length),
        )
        expect(events).toMatchObject({ accepted: cases.length + 1, failed: cases.length })
      },
    )
  })
})
