import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type DenialEvent, type EventContext, type RequestEvent, readAudit } from '../../../src'
import { MemoryAudit } from '../../../src/testing'
import { AGENT_ID, denialEvent, MACHINE_ID, REQUEST_ID, requestEvent } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'

const KIB = 1024
const ENTRIES_MAX = 64
const BYTES_MAX = 16 * KIB

const REQUEST = `{"event":"request","ts_unix_ms":0,"request_id":"${REQUEST_ID}","agent_id":"${AGENT_ID}","machine_id":"${MACHINE_ID}","argv":["ls","-la"],"matched_acl":"rule-1","stdin_bytes":0,"timeout_ms":30000`
const DENIAL = `{"event":"denial","ts_unix_ms":0,"request_id":"${REQUEST_ID}","agent_id":"${AGENT_ID}","machine_id":"${MACHINE_ID}","argv":["rm","-rf","/"],"reason":"argv_not_allowed"`

/** A context as strange code passes it. */
function withContext(context: unknown): RequestEvent {
  return Object.assign(requestEvent(), { context })
}

/** The lines that the events leave; those that fail leave none. */
function linesOf(events: readonly RequestEvent[]): readonly string[] {
  const audit = new MemoryAudit({ clock: () => 0, logger: { warn: () => undefined } })
  for (const event of events) void audit.request(event)
  return audit.lines
}

/** What the end of the line is, between `"timeout_ms":30000` and its brace. */
function tailOf(context: unknown): string | undefined {
  const [line] = linesOf([withContext(context)])
  expect(line?.slice(0, REQUEST.length) ?? REQUEST).toBe(REQUEST)
  return line?.slice(REQUEST.length, -1)
}

describe("an event's context", () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  it('is the last key of a request and of a denial, in the order given', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const context = { session: 's-1', principal: 'user:alice', cwd: '/srv/"x"', 'a.b_c-9': '' }
    await Promise.all([
      audit.request(requestEvent({ context })),
      audit.denial(denialEvent({ context })),
    ])
    const tail =
      ',"context":{"session":"s-1","principal":"user:alice","cwd":"/srv/\\"x\\"","a.b_c-9":""}}\n'
    expect(log()).toBe(REQUEST + tail + DENIAL + tail)
    const read: unknown[] = []
    for await (const event of readAudit(dir.path('exec.log'))) {
      if ('context' in event) read.push(event.context)
    }
    expect(read).toEqual([context, context])
    expect(audit.stats().events.succeeded).toBe(2)
  })

  it.each([
    ['absent', undefined],
    ['null', null],
    ['empty', {}],
    ['of undefined values alone', { principal: undefined }],
    ['on the prototype alone', Object.create({ principal: 'x' })],
    ['not enumerable', Object.defineProperty({}, 'principal', { value: 'x' })],
    ['under a symbol', { [Symbol('principal')]: 'x' }],
  ])('that is %s leaves the line as it is without one', (_, context) => {
    expect(tailOf(context)).toBe('')
  })

  it.each<[string, unknown]>([
    [
      'a class instance',
      new (class {
        principal = 'a'
        get cwd() {
          return '/'
        }
      })(),
    ],
    ['an object without a prototype', Object.assign(Object.create(null), { principal: 'a' })],
    ['a frozen object', Object.freeze({ principal: 'a' })],
    ['a proxy', new Proxy({ principal: 'a' }, {})],
    [
      'an object of getters',
      {
        get principal() {
          return 'a'
        },
      },
    ],
    ['one with undefined values between', { x: undefined, principal: 'a', y: undefined }],
  ])('may be %s', (_, context) => {
    expect(tailOf(context)).toBe(',"context":{"principal":"a"}')
  })

  it('reads each value once', () => {
    let reads = 0
    const context = {
      get principal() {
        return String(reads++)
      },
    }
    expect(tailOf(context)).toBe(',"context":{"principal":"0"}')
  })

  it('is taken as it is at the call, also if the event waits for room', async () => {
    const { audit } = openAudit(dir.path('exec.log'), { ringBytes: KIB })
    const context: Record<string, string> = { principal: 'before' }
    const outcomes = Array.from({ length: 50 }, () => audit.request(requestEvent({ context })))
    context.principal = 'after'
    context.other = 'new'
    await Promise.all(outcomes)
    expect(log()).toBe(`${REQUEST},"context":{"principal":"before"}}\n`.repeat(50))
  })

  it('is escaped as argv is', () => {
    const texts = ['\ud83d', '\ude00', '\0\x1b[2J\x7f\u2028"\\', '😀', '\ufeff', '"},"context":{']
    const context = Object.fromEntries(texts.map((text, i) => [`k${i}`, text]))
    const wellFormed = texts.map((text, i) => [`k${i}`, text.toWellFormed()])
    expect(tailOf(context)).toBe(`,"context":${JSON.stringify(Object.fromEntries(wellFormed))}`)
  })

  it('may have keys that Object.prototype has, and those of the line itself', () => {
    const context = {
      ...{ constructor: '1', toString: '2', toJSON: '3', hasOwnProperty: '4', valueOf: '5' },
      ...{ event: '6', stdin_bytes: '7', timeout_ms: '8', context: '9' },
    }
    const event: object = withContext(context)
    expect(tailOf(Reflect.get(event, 'context'))).toBe(`,"context":${JSON.stringify(context)}`)
  })

  it('is not lent by a polluted Object.prototype', () => {
    Reflect.set(Object.prototype, 'context', { principal: 'nobody' })
    try {
      expect(linesOf([requestEvent()])).toEqual([`${REQUEST}}`])
    } finally {
      Reflect.deleteProperty(Object.prototype, 'context')
    }
  })

  it('is not seen by redact', () => {
    const audit = new MemoryAudit({ clock: () => 0, redact: (argv) => argv.map(() => '***') })
    void audit.denial(denialEvent({ context: { principal: 'token=1' } }))
    const expected = DENIAL.replace('["rm","-rf","/"]', '["***","***","***"]')
    expect(audit.lines).toEqual([`${expected},"context":{"principal":"token=1"}}`])
  })

  it('has at most 64 properties, keys of 64 characters and 16 KiB of UTF-8', () => {
    const many = Object.fromEntries(
      Array.from({ length: ENTRIES_MAX }, (_, i) => [`k${i}`, String(i)]),
    )
    const longest = { ['k'.repeat(64)]: '' }
    const abcd = `${'é'.repeat((BYTES_MAX - 8) / 2)}\ud800x`
    for (const context of [many, longest, { abcd }, { abcd: 'x'.repeat(BYTES_MAX - 4) }]) {
      const written = JSON.parse(JSON.stringify(context).replace('\\ud800', '\ufffd'))
      expect(tailOf(context)).toBe(`,"context":${JSON.stringify(written)}`)
    }
  })
})

const KEY_RULE =
  "expected a key of 1 to 64 characters, a letter first, then letters, digits, '_', '.' and '-'"
const throwing = {
  get cwd(): string {
    throw new Error('secret')
  },
}
const failing = {
  ownKeys: () => {
    throw new Error('secret')
  },
}
const tooMany = Object.fromEntries(Array.from({ length: ENTRIES_MAX + 1 }, (_, i) => [`k${i}`, '']))

/** Made late: a table that shows them would read them. */
type Mistake = readonly [
  name: string,
  make: () => unknown,
  field: string,
  error: string,
  text: string,
]
const NO_OBJECT = 'expected an object of strings, got'
const TOO_LARGE = 'expected at most 16384 bytes of UTF-8 in keys and values, got 16385'
const UNREADABLE = 'expected a readable value, but reading it threw'

const MISTAKES: readonly Mistake[] = [
  ['text', () => 'x', 'context', 'TypeError', `${NO_OBJECT} a string of 1 characters`],
  ['a number', () => 7, 'context', 'TypeError', `${NO_OBJECT} the number 7`],
  ['an array', () => ['a', 'b'], 'context', 'TypeError', `${NO_OBJECT} an array`],
  ['a Map', () => new Map([['a', 'b']]), 'context', 'TypeError', `${NO_OBJECT} a Map`],
  ['a function', () => () => 'x', 'context', 'TypeError', `${NO_OBJECT} function`],
  [
    'a number in it',
    () => ({ cwd: 7 }),
    'context.cwd',
    'TypeError',
    'expected a string, got the number 7',
  ],
  ['null in it', () => ({ cwd: null }), 'context.cwd', 'TypeError', 'expected a string, got null'],
  [
    'an object in it',
    () => ({ a: 'x', cwd: {} }),
    'context.cwd',
    'TypeError',
    'expected a string, got an object',
  ],
  [
    '65 properties',
    () => tooMany,
    'context',
    'RangeError',
    'expected at most 64 properties, got 65',
  ],
  ['an empty key', () => ({ '': 'x' }), 'context[""]', 'RangeError', KEY_RULE],
  ['an index', () => ({ '1': 'x' }), 'context["1"]', 'RangeError', KEY_RULE],
  ['a space in a key', () => ({ 'a b': 'x' }), 'context["a b"]', 'RangeError', KEY_RULE],
  ['a line break in a key', () => ({ 'a\n': 'x' }), 'context["a\\n"]', 'RangeError', KEY_RULE],
  ['an umlaut as a key', () => ({ é: undefined }), 'context["\\u00e9"]', 'RangeError', KEY_RULE],
  [
    '__proto__',
    () => JSON.parse('{"__proto__":"x"}'),
    'context["__proto__"]',
    'RangeError',
    KEY_RULE,
  ],
  [
    'a long key',
    () => ({ ['k'.repeat(65)]: '' }),
    `context["${'k'.repeat(40)}..."]`,
    'RangeError',
    KEY_RULE,
  ],
  ['a byte too many', () => ({ a: 'x'.repeat(BYTES_MAX) }), 'context', 'RangeError', TOO_LARGE],
  [
    'a byte of UTF-8 too many',
    () => ({ a: `${'é'.repeat(BYTES_MAX / 2 - 1)}`, bc: '' }),
    'context',
    'RangeError',
    TOO_LARGE,
  ],
  ['a throwing getter', () => throwing, 'context.cwd', 'TypeError', UNREADABLE],
  ['a throwing proxy', () => new Proxy({}, failing), 'context', 'TypeError', UNREADABLE],
]

describe('a mistake in a context', () => {
  it.each(MISTAKES)('is named: %s', async (_, make, field, name, text) => {
    const warned: string[] = []
    const audit = new MemoryAudit({
      failureMode: 'closed',
      logger: { warn: (_, message) => warned.push(message) },
    })
    const message = `${field}: ${text}`
    await expect(audit.request(withContext(make()))).rejects.toMatchObject({
      ...{ name, message, field, code: 'AUDIT_INVALID_EVENT' },
    })
    expect([audit.lines, warned]).toEqual([[], [`exec audit: ${message}`]])
  })
})

describe('maxEventBytes and a context', () => {
  const dir = useTempDir()
  const written = (): readonly DenialEvent[] => {
    const lines = readFileSync(dir.path('exec.log'), 'utf8').trimEnd().split('\n')
    return lines.map((line): DenialEvent => JSON.parse(line))
  }
  const mark = (cut: readonly string[]) => {
    const bytes = cut.reduce((sum, argument) => sum + Buffer.byteLength(argument), 0)
    const sha256 = createHash('sha256').update(cut.join('\0')).digest('hex')
    return `[x0x-exec-audit: cut ${cut.length} arguments, ${bytes} bytes, sha256 ${sha256}]`
  }
  const full: EventContext = { abcd: 'x'.repeat(BYTES_MAX - 4) }

  it.each([KIB, 1024 * KIB])(
    'never cut the context, but argv: to its note where the context alone is larger; ring of %i bytes',
    async (ringBytes) => {
      const { audit } = openAudit(dir.path('exec.log'), { ringBytes, maxEventBytes: KIB })
      const argv = ['rm', '-rf', '/']
      const events = [{ argv }, { argv, context: full }, { argv: [], context: full }]
      const outcomes = await Promise.all(events.map((event) => audit.denial(denialEvent(event))))
      expect(outcomes).toEqual(['durable', 'durable', 'durable'])
      expect(written().map(({ argv, context }) => ({ argv, context }))).toEqual([
        { argv, context: undefined },
        { argv: [mark(argv)], context: full },
        { argv: [], context: full },
      ])
    },
  )

  it('count its bytes and lengths', async () => {
    const { audit } = openAudit(dir.path('exec.log'), { maxEventBytes: KIB })
    // The record's fixed part, one argument, a key and a value with their lengths.
    const room = KIB - 128 - 3 * 4 - 'a'.length
    const context = { a: 'x'.repeat(100) }
    for (const over of [0, 1]) {
      await audit.denial(denialEvent({ argv: ['y'.repeat(room - 100 + over)], context }))
    }
    expect(written().map(({ argv, context }) => [argv, context])).toEqual([
      [['y'.repeat(room - 100)], context],
      [[mark(['y'.repeat(room - 99)])], context],
    ])
  })

  it('leave no way around the limit of matchedAcl', async () => {
    const { audit, warned } = openAudit(dir.path('exec.log'), { maxEventBytes: KIB })
    const event = requestEvent({ matchedAcl: 'x'.repeat(1_000), context: full })
    expect(await audit.request(event)).toBe('failed')
    expect(warned[0]?.message).toBe(
      'exec audit: matchedAcl: expected at most 636 bytes of UTF-8 (maxEventBytes=1024), got 1000',
    )
  })
})
