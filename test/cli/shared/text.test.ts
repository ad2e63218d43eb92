import { quoteArgument, visible, visibleJson } from '../../../src/cli/shared/escape'
import { csvRow, eventLine, exactJson, hasDate } from '../../../src/cli/shared/event-text'
import { RequestMemory } from '../../../src/cli/shared/request-memory'
import type { WarningKind } from '../../../src/format/events'
import type { AuditRecord, DenialRecord } from '../../../src/format/records'
import { painter } from '../../../src/toolkit/text/colour'
import { formatBytes } from '../../../src/toolkit/text/numbers'
import {
  formatBriefDuration,
  formatDuration,
  formatTime,
  parseWhen,
} from '../../../src/toolkit/text/time'
import { AGENT_ID, MACHINE_ID, REQUEST_ID } from '../../support/events'

const parties = { agentId: AGENT_ID, machineId: MACHINE_ID }
const asker = { ...parties, argv: [] }
const place = { line: 1, offset: 0, length: 1 }
const denial = (argv: readonly string[]): DenialRecord => ({
  ...{ event: 'denial', tsUnixMs: 0, requestId: REQUEST_ID, ...parties, argv },
  ...{ reason: 'spawn_failed', ...place },
})

describe('text from strangers', () => {
  it.each([
    ['plain-1.0_x/y:z=@%+,', 'plain-1.0_x/y:z=@%+,'],
    ['', "''"],
    ['a b', "'a b'"],
    ["it's", "'it'\\''s'"],
    ['$(x)', "'$(x)'"],
    ['größe', 'größe'],
    ['\x1b[2J', "$'\\x1b[2J'"],
    ["\n'\\", "$'\\n\\'\\\\'"],
    ['\x9b31m', "$'\\x9b31m'"],
    ['a\u202eb', "$'a\\u202eb'"],
    ['\u2066\u2069\u200e\u061c', "$'\\u2066\\u2069\\u200e\\u061c'"],
    ['\u200b\u2028\u2029\ufeff\xad', "$'\\u200b\\u2028\\u2029\\ufeff\\xad'"],
    ['\u{e0041}', "$'\\U000e0041'"],
    ['\x7f\t\r', "$'\\x7f\\t\\x0d'"],
    // Letters, marks and symbols of which nothing shows: an argument of these would look like none.
    ['\u115f\u1160\u3164\uffa0', "$'\\u115f\\u1160\\u3164\\uffa0'"],
    [
      'a\u034f\u17b4\u180b\u2800\ufe00\u{e0100}',
      "$'a\\u034f\\u17b4\\u180b\\u2800\\ufe00\\U000e0100'",
    ],
  ])('shows the argument %j as bash would take it: %s', (argument, quoted) => {
    expect(quoteArgument(argument)).toBe(quoted)
  })

  it('leaves nothing that a terminal acts on, and JSON that means the same', () => {
    for (let code = 0; code <= 0x2fff; code++) {
      const text = `a${String.fromCharCode(code)}b`
      const isActed = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u
      expect([code, isActed.test(visible(text)), isActed.test(quoteArgument(text))]).toEqual([
        code,
        false,
        false,
      ])
      const json = visibleJson(JSON.stringify(text))
      expect([code, isActed.test(json), JSON.parse(json)]).toEqual([code, false, text])
    }
    expect(
      exactJson({ a: 2n ** 64n - 1n, b: ['\u202e', null], c: undefined, d: { e: true } }),
    ).toBe('{"a":18446744073709551615,"b":["\\u202e",null],"d":{"e":true}}')
  })

  it.each(['=1+1', '+1', '-1', '@x'])('keeps a spreadsheet from running %s', (matchedAcl) => {
    const record: AuditRecord = {
      ...{ event: 'request', tsUnixMs: 0, requestId: REQUEST_ID, ...parties, argv: ['a,"b'] },
      ...{ matchedAcl, stdinBytes: 1, timeoutMs: 2, ...place },
    }
    expect(csvRow(record, asker, { line: 1, file: '=log' })).toBe(
      `1970-01-01T00:00:00.000Z,0,request,${REQUEST_ID},${AGENT_ID},${MACHINE_ID},"[""a,\\""b""]",'${matchedAcl},1,2,,,,,,,,,,,1,0,'=log,,,,,`,
    )
  })
})

describe('a line', () => {
  const plain = (record: AuditRecord) => {
    const style = { paint: painter({ isTTY: false }, {}), width: Infinity, isUtc: true }
    return eventLine(record, asker, style).slice('1970-01-01 00:00:00.000Z  '.length)
  }

  it('distinguishes an empty argv from an empty argument, and from one with the text of its mark', () => {
    expect([[], [''], ['(empty argv)']].map((argv) => plain(denial(argv)))).toEqual([
      'denial   01234567  a1a1a1a1  spawn_failed  (empty argv)',
      "denial   01234567  a1a1a1a1  spawn_failed  ''",
      "denial   01234567  a1a1a1a1  spawn_failed  '(empty argv)'",
    ])
  })

  it.each([
    [0, 'limit 0, which is 1 s'],
    [1, 'limit 1 ms'],
    [30_000, 'limit 30 s'],
    [2 ** 31 - 2, 'limit 24 d 20 h'],
    [2 ** 31 - 1, 'no limit'],
  ])('says of a time limit of %d: %s', (timeoutMs, text) => {
    const record: AuditRecord = {
      ...{ event: 'request', tsUnixMs: 0, requestId: REQUEST_ID, ...parties, argv: [] },
      ...{ matchedAcl: null, stdinBytes: 0, timeoutMs, ...place },
    }
    expect(plain(record)).toBe(`request  01234567  a1a1a1a1  (empty argv)  (no rule, ${text})`)
  })
})

describe('a line on a terminal', () => {
  const onTerminal = (env: NodeJS.ProcessEnv, width: number, argv: readonly string[]) => {
    const paint = painter({ isTTY: true }, env)
    return eventLine(denial(argv), asker, { paint, width, isUtc: true })
  }
  /** So much that half of the line is left to it, and the head stays whole. */
  const FILLER = 'f'.repeat(90)
  const START = '1970-01-01 00:00:00.000Z  denial   01234567  a1a1a1a1  spawn_failed  '
  const FILLED = `${START}${FILLER} `

  it('is coloured, unless NO_COLOR is set', () => {
    const dim = (text: string) => `\x1b[2m${text}\x1b[22m`
    const red = (text: string) => `\x1b[31m${text}\x1b[39m`
    expect(onTerminal({}, 200, ['ls'])).toBe(
      `${dim('1970-01-01 00:00:00.000Z  ')}${red('denial   ')}01234567  a1a1a1a1  ${red('spawn_failed')}  \x1b[1mls\x1b[22m`,
    )
    expect(onTerminal({ NO_COLOR: '1' }, 200, ['ls'])).toBe(`${START}ls`)
    expect(onTerminal({ TERM: 'dumb' }, 200, ['ls'])).toBe(`${START}ls`)
  })

  it('is cut to its width, wide characters counted as two cells and marks as none', () => {
    const cut = (extra: number, ...argv: string[]) =>
      onTerminal({ NO_COLOR: '1' }, FILLED.length + extra, [FILLER, ...argv]).slice(FILLED.length)
    expect(cut(6, 'abcdef')).toBe('abcdef')
    expect(cut(5, 'abcdef')).toBe('abcd…')
    expect(cut(6, '日本語')).toBe('日本語')
    expect(cut(5, '日本語')).toBe('日本…')
    expect(cut(4, '日本語')).toBe('日…')
    expect(cut(2, 'e\u0301f')).toBe('e\u0301f')
  })
})

describe('the lines of events on a terminal', () => {
  const ALICE = {
    ...parties,
    argv: ['make', 'x'.repeat(120)],
    context: { principal: 'user:alice' },
  }
  const of = { tsUnixMs: 45_296_789, requestId: REQUEST_ID, ...place }
  const argv = ALICE.argv
  const rule = { matchedAcl: null, stdinBytes: 0, timeoutMs: 300_000 }
  const output = { stdoutBytes: 3, stderrBytes: 4, truncated: false }
  const exit = (code: number | null, signal: number | null, durationMs: number): AuditRecord => ({
    ...{ event: 'exit', ...of, code, signal, durationMs, ...output },
  })
  const warning = (kind: WarningKind): AuditRecord => ({
    ...{ event: 'warning', ...of, kind, bytes: 1_048_576 },
  })
  const RECORDS: readonly AuditRecord[] = [
    { event: 'request', ...of, ...parties, argv, ...rule },
    { event: 'started', ...of, pid: 1_234_567 },
    warning('stdout_cap_hit'),
    warning('duration_approaching_cap'),
    exit(0, null, 1_260),
    exit(127, null, 59_999),
    exit(null, 9, 12),
    exit(null, 15, 300_007),
    { event: 'denial', ...of, ...parties, argv, reason: 'argv_not_allowed' },
  ]
  const style = (width: number) => {
    const whoWidth = 'user:alice'.length
    return { paint: painter({ isTTY: true }, { NO_COLOR: '1' }), width, isUtc: true, whoWidth }
  }
  const linesAt = (width: number) =>
    RECORDS.map((record) => eventLine(record, { ...ALICE, timeoutMs: 300_000 }, style(width)))
  const filled = (heads: readonly string[], width: number) =>
    heads.map((head) => `${head}make ${'x'.repeat(width - head.length - 6)}…`)

  it('leave half of 80 columns to the arguments: the id shorter, who asked once, the end short', () => {
    const heads = [
      '12:34:56 request 012345  user:alice  ',
      '12:34:56 started 012345  pid 1234567  ',
      '12:34:56 warning 012345  stdout cap  ',
      '12:34:56 warning 012345  near limit  ',
      '12:34:56 exit    012345  exit 0 1.2s  ',
      '12:34:56 exit    012345  exit 127 59s  ',
      '12:34:56 exit    012345  SIGKILL 12ms  ',
      '12:34:56 exit    012345  timed out 5m  ',
      '12:34:56 denial  012345  user:alice  argv_not_allowed  ',
    ]
    expect(linesAt(80)).toEqual(filled(heads, 80))
    expect(heads.slice(0, -1).filter((head) => head.length > 40)).toEqual([])
    expect(hasDate(style(80))).toBe(false)
  })

  it('leave half of 120 columns to the arguments, with who asked in each line if that has room', () => {
    const heads = [
      '12:34:56.789  request  01234567  user:alice  ',
      '12:34:56.789  started  01234567  user:alice  pid 1234567  ',
      '12:34:56.789  warning  01234567  user:alice  stdout cap  ',
      '12:34:56.789  warning  01234567  user:alice  near limit  ',
      '12:34:56.789  exit     01234567  user:alice  exit 0 1.2s  ',
      '12:34:56.789  exit     01234567  user:alice  exit 127 59s  ',
      '12:34:56.789  exit     01234567  user:alice  SIGKILL 12ms  ',
      '12:34:56.789  exit     01234567  user:alice  timed out 5m  ',
      '12:34:56.789  denial   01234567  user:alice  argv_not_allowed  ',
    ]
    expect(linesAt(120)).toEqual(filled(heads, 120))
    expect(heads.slice(0, -1).filter((head) => head.length > 60)).toEqual([])
    expect(hasDate(style(120))).toBe(false)
  })

  it('say all that they leave out where no half is missed, and without a width', () => {
    const HEAD = '1970-01-01 12:34:56.789Z  exit     01234567  user:alice  '
    const ends = (width: number) => linesAt(width).slice(4, 8)
    const tail = '  (stdout 3 B, stderr 4 B)'
    const command = `make ${'x'.repeat(120)}`
    expect(ends(Number.POSITIVE_INFINITY)).toEqual([
      `${HEAD}exit 0  after 1.260 s  ${command}${tail}`,
      `${HEAD}exit 127  after 59.999 s  ${command}${tail}`,
      `${HEAD}killed by SIGKILL  after 12 ms  ${command}${tail}`,
      `${HEAD}timed out after 5 min  ${command}  (SIGTERM, stdout 3 B, stderr 4 B)`,
    ])
    expect([159, 160].map((width) => hasDate(style(width)))).toEqual([false, true])
    expect(ends(160).map((line) => line.slice(HEAD.length, HEAD.length + 15))).toEqual([
      ...['exit 0  after 1', 'exit 127 59s  m', 'SIGKILL 12ms  m', 'timed out after'],
    ])
  })

  it('keep the id on a terminal that has no room for a time', () => {
    const [request = '', ...others] = linesAt(30)
    expect([request, others[3]]).toEqual([
      'request 012345  make xxxxxxxx…',
      'exit    012345  exit 0 1.2s  …',
    ])
  })
})

describe('times', () => {
  const now = new Date(2026, 10, 23, 15, 45).getTime()
  it.each<[string, number | undefined]>([
    ['now', now],
    ['today', new Date(2026, 10, 23).getTime()],
    ['yesterday', new Date(2026, 10, 22).getTime()],
    ['30s', now - 30_000],
    ['30m', now - 1_800_000],
    ['2h', now - 7_200_000],
    ['2 h ago', now - 7_200_000],
    ['1d', now - 86_400_000],
    ['1w', now - 7 * 86_400_000],
    ['15:30', new Date(2026, 10, 23, 15, 30).getTime()],
    ['15:30:01.5', new Date(2026, 10, 23, 15, 30, 1, 500).getTime()],
    ['2026-11-22', new Date(2026, 10, 22).getTime()],
    ['2026-11-22 04:05', new Date(2026, 10, 22, 4, 5).getTime()],
    ['2026-11-22T04:05:06.789Z', Date.UTC(2026, 10, 22, 4, 5, 6, 789)],
    ['2026-11-22T04:05+02:00', Date.UTC(2026, 10, 22, 2, 5)],
    ['2026-11-22T04:05-0530', Date.UTC(2026, 10, 22, 9, 35)],
    ['1795381262971', 1_795_381_262_971],
    ['@1795381262', 1_795_381_262_000],
    ['@1795381262.971', 1_795_381_262_971],
    ['@0', 0],
    ['@1795381262971', undefined],
    ['1795381262', undefined],
    ['9999999999999999', undefined],
    ['2026-11-22T21:01:02.971123Z', Date.UTC(2026, 10, 22, 21, 1, 2, 971)],
    ['2026-11-22T21:01:02.971999999Z', Date.UTC(2026, 10, 22, 21, 1, 2, 971)],
    ['2026-11-22T21:01:02,5z', Date.UTC(2026, 10, 22, 21, 1, 2, 500)],
    ['2026-11-22 21:01:02 UTC', Date.UTC(2026, 10, 22, 21, 1, 2)],
    ['2026-11-22 21:01:02 +0100', Date.UTC(2026, 10, 22, 20, 1, 2)],
    ['2026-11-22T21:01+01', Date.UTC(2026, 10, 22, 20, 1)],
    ['2026-11-22T21:01+24:00', undefined],
    ['2026-11-22T21:01+01:60', undefined],
    ['1h30m', now - 5_400_000],
    ['1h 30min', now - 5_400_000],
    ['1 hour ago', now - 3_600_000],
    ['2 hours ago', now - 7_200_000],
    ['2 days, 3 hours ago', now - 183_600_000],
    ['90 min', now - 5_400_000],
    ['500ms', now - 500],
    ['-2h', now - 7_200_000],
    ['2 months ago', undefined],
    ['5 ago', undefined],
    ['ago', undefined],
    ['today 14:00', new Date(2026, 10, 23, 14).getTime()],
    ['yesterday 14:00', new Date(2026, 10, 22, 14).getTime()],
    ['Yesterday at 14:00:01.5', new Date(2026, 10, 22, 14, 0, 1, 500).getTime()],
    ['yesterday 24:00', undefined],
    ['yesterday 2h', undefined],
    ['0050-01-01', undefined],
    ['2026-02-29', undefined],
    ['2026-13-01', undefined],
    ['24:00', undefined],
    ['2026-11-22T04:60', undefined],
    ['tomorrow', undefined],
    ['2', undefined],
    ['', undefined],
  ])('reads %j', (text, expected) => {
    expect(parseWhen(text, now)).toBe(expected)
  })

  it('are written with the figures that matter', () => {
    expect(
      [0, 999, 1_000, 1_860, 59_999, 60_000, 200_000, 7_500_000, 90_000_000, -5].map(
        formatDuration,
      ),
    ).toEqual(
      '0 ms,999 ms,1 s,1.860 s,59.999 s,1 min,3 min 20 s,2 h 5 min,1 d 1 h,-5 ms'.split(','),
    )
    expect(
      [0, 99, 100, 9_999, 10_000, 59_999, 60_000, 3_599_999, 3_600_000, 86_400_000].map(
        formatBriefDuration,
      ),
    ).toEqual('0ms,99ms,0.1s,9.9s,10s,59s,1m,59m,1h,1d'.split(','))
    expect([0, 1_023, 1_024, 1_572_864, 2n ** 64n - 1n].map(formatBytes)).toEqual(
      '0 B,1023 B,1.0 KiB,1.5 MiB,16.0 EiB'.split(','),
    )
    expect(formatTime(2 ** 53 - 1)).toBe('9007199254740991 ms after 1970')
    const local = new Date(now).getTimezoneOffset() * 60_000
    expect(formatTime(now + local)).toBe(new Date(now).toISOString().slice(0, -1).replace('T', ' '))
  })
})

describe('RequestMemory', () => {
  const started = (requestId: string): AuditRecord => ({
    ...{ event: 'started', tsUnixMs: 0, requestId, pid: 1, ...place },
  })
  const denied = (requestId: string, argv: readonly string[]) => ({ ...denial(argv), requestId })

  it('knows who asked for the latest requests, and forgets the others', () => {
    const memory = new RequestMemory({ max: 2 })
    const asked = (requestId: string) => memory.of(denied(requestId, ['ls']))
    const known = { ...parties, argv: ['ls'] }
    expect(memory.of(started('a'))).toBeUndefined()
    expect(asked('a')).toEqual(known)
    asked('b')
    expect(memory.of(started('a'))).toEqual({ ...known, pid: 1 })
    asked('c')
    expect([memory.of(started('b')), memory.of(started('a'))]).toEqual([
      undefined,
      { ...known, pid: 1 },
    ])
  })

  it('keeps the first characters of the arguments, and says how many are left out', () => {
    const memory = new RequestMemory()
    const argvOf = (argv: readonly string[]) => {
      const { argv: kept, argvLeft } = memory.of(denied('a', argv)) ?? {}
      memory.of(started('b'))
      return [kept, argvLeft]
    }
    const fresh = (argv: readonly string[]) => {
      const { argv: kept, argvLeft } = new RequestMemory().of(denied('a', argv)) ?? {}
      return [kept, argvLeft]
    }
    expect(argvOf(['x'.repeat(512)])).toEqual([['x'.repeat(512)], undefined])
    expect(fresh(['x'.repeat(513)])).toEqual([['x'.repeat(512)], 1])
    expect(fresh(['x'.repeat(500), 'abcd', 'efgh'])).toEqual([['x'.repeat(500), 'abcd'], 4])
    expect(fresh([`${'x'.repeat(511)}\u{1f600}`])).toEqual([['x'.repeat(511)], 2])
    expect(fresh(Array<string>(100).fill(''))[1]).toBe(0)
  })

  it('holds no more characters than it may, whatever is asked for', () => {
    const memory = new RequestMemory({ charactersMax: 1_000 })
    memory.of(denied('a', ['x'.repeat(400)]))
    memory.of(denied('b', ['x'.repeat(400)]))
    expect(memory.of(started('a'))).toBeUndefined()
    expect(memory.of(started('b'))?.pid).toBe(1)
  })
})
