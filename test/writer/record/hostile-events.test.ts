import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RequestEvent } from '../../../src'
import {
  STRING_LENGTH_BYTES,
  STRING_LENGTHS_OFFSET,
} from '../../../src/writer/record/record-layout'
import { AGENT_ID, MACHINE_ID, REQUEST_ID, requestEvent } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'

const KIB = 1024
const MIB = 1024 * KIB
/** A default test event of 200 MB needs some 2 GB for its copies. */
const HUGE_BYTES = times('HUGE_BYTES', 64 * MIB, 200 * 1000 * 1000)
const MILLION = 1_000_000

/** The line of {@link requestEvent} at time 0 with these texts, made without this package. */
function lineOf(argv: readonly string[], matchedAcl: string | null = 'rule-1'): string {
  const line = {
    event: 'request',
    ts_unix_ms: 0,
    request_id: REQUEST_ID,
    agent_id: AGENT_ID,
    machine_id: MACHINE_ID,
    argv: argv.map((argument) => argument.toWellFormed()),
    matched_acl: matchedAcl?.toWellFormed() ?? null,
    stdin_bytes: 0,
    timeout_ms: 30_000,
  }
  return `${JSON.stringify(line)}\n`
}

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i))

const HOSTILE: readonly (readonly [string, readonly string[]])[] = [
  ['line breaks of every kind', ['\n', '\r', '\r\n', '\u2028', '\u2029', '\u0085', '\v', '\f']],
  ['every C0 and C1 control, and DEL', range(0, 0x1f).concat(range(0x7f, 0x9f))],
  ['terminal escapes', ['\x1b[2J\x1b[H', '\x1b]0;title\x07', '\x9b31m', '\b\b\b', '\x7f']],
  [
    'bidi controls',
    [...range(0x202a, 0x202e), ...range(0x2066, 0x2069), '\u200e', '\u200f', '\u061c'],
  ],
  ['byte order marks, alone and in front', ['\ufeff', '\ufeffls', 'ls\ufeff', '\ufffe', '\uffff']],
  ['NULs, and no text at all', ['\0', '\0\0', 'a\0b', '', '']],
  ['quotes and backslashes', ['"', '\\', '\\"', '\\u0000', '"],"argv":["', '\\n']],
  ['a forged line', [lineOf(['forged']), `\n${lineOf(['forged'])}`]],
  ['names of Object.prototype', ['__proto__', 'constructor', 'toString', 'toJSON']],
  ['lone surrogates, and pairs that two arguments share', ['\ud83d', '\ude00', '\ude00\ud83d']],
  ['text beside the planes', ['😀', '\u{10ffff}', '\u{1d11e}', 'e\u0301', '\u200d', '👩‍👩‍👧']],
]

describe('a hostile event is one line, byte for byte', () => {
  const dir = useTempDir()
  const log = () => readFileSync(dir.path('exec.log'), 'utf8')

  /** Records the events at once; their lines must be all that the log holds. */
  const expectLines = async (
    ringBytes: number,
    events: readonly Partial<RequestEvent>[],
    lines: readonly string[],
    options = {},
  ): Promise<void> => {
    const { audit, warned } = openAudit(dir.path('exec.log'), { ringBytes, ...options })
    const outcomes = await Promise.all(events.map((event) => audit.request(requestEvent(event))))
    expect(new Set(outcomes)).toEqual(new Set(['durable']))
    const { waiting, ring } = audit.stats()
    expect([waiting.events, waiting.bytes, ring.usedBytes, warned]).toEqual([0, 0, 0, []])
    const found = log()
    // Not by `toBe` alone: the difference of megabytes would take minutes to show.
    if (found.length > MIB) expect(found === lines.join('')).toBe(true)
    else expect(found).toBe(lines.join(''))
    await audit.close()
  }

  it.each(HOSTILE)('with %s, as arguments and as the rule', async (_, texts) => {
    const rules = texts.map((matchedAcl) => ({ argv: [matchedAcl], matchedAcl }))
    const joined = texts.join('')
    await expectLines(
      64 * KIB,
      [{ argv: texts }, { argv: [joined], matchedAcl: joined }, ...rules],
      [lineOf(texts), lineOf([joined], joined), ...texts.map((text) => lineOf([text], text))],
    )
  })

  it.each([
    ['inline and beside', KIB],
    ['inline and beside', 4 * KIB],
  ])('with 4-byte characters at each offset, %s a ring of %i bytes', async (_, ringBytes) => {
    // The record grows byte by byte past the inline limit, so its end takes every alignment and the
    // records after it every distance from the ring's end.
    const limit = ringBytes / 4 - STRING_LENGTHS_OFFSET - 2 * STRING_LENGTH_BYTES - 'rule-1'.length
    const argvs: string[][] = []
    for (let bytes = 0; bytes <= limit + 16; bytes++) {
      argvs.push([`${'x'.repeat(bytes % 4)}${'😀'.repeat(bytes / 4)}`])
      if (bytes % 3 === 0) argvs.push([`${'😀'.repeat(bytes / 8)}é\n`, '\ud83d', '\ude00'])
    }
    await expectLines(
      ringBytes,
      argvs.map((argv) => ({ argv })),
      argvs.map((argv) => lineOf(argv)),
    )
  })

  it.each([KIB, 4 * KIB])(
    'whose record is a part of a ring of %i bytes, or all of it, give or take a byte',
    async (ringBytes) => {
      const fixed = STRING_LENGTHS_OFFSET + 2 * STRING_LENGTH_BYTES + 'rule-1'.length
      const sizes = [ringBytes / 4, ringBytes / 2, ringBytes, 2 * ringBytes]
      const argvs = sizes.flatMap((size) =>
        [-8, -7, -1, 0, 1, 7, 8].flatMap((beside) => {
          const bytes = size + beside - fixed
          return ['x'.repeat(bytes), `${'x'.repeat(bytes % 4)}${'😀'.repeat(bytes / 4)}`]
        }),
      )
      await expectLines(
        ringBytes,
        argvs.map((argument) => ({ argv: [argument] })),
        argvs.map((argument) => lineOf([argument])),
      )
    },
  )

  it(`with one argument of ${HUGE_BYTES} bytes`, async () => {
    const argument = '\u2028"😀 \n'.repeat(HUGE_BYTES / 10)
    const options = { maxEventBytes: 2 ** 28 }
    await expectLines(64 * KIB, [{ argv: ['sh', argument] }], [lineOf(['sh', argument])], options)
  })

  it('with a million empty arguments, or a million of one character', async () => {
    const argvs = ['', '\0'].map((text) => new Array<string>(MILLION).fill(text))
    await expectLines(
      64 * KIB,
      argvs.map((argv) => ({ argv })),
      argvs.map((argv) => lineOf(argv)),
    )
  })

  it('cut by whole arguments if maxEventBytes ends inside a 4-byte character', async () => {
    const maxEventBytes = 2 * KIB
    const fixed = STRING_LENGTHS_OFFSET + STRING_LENGTH_BYTES + 'rule-1'.length
    const argvOf = (bytes: number) => ['sh', `${'x'.repeat(bytes % 4)}${'😀'.repeat(bytes / 4)}`]
    const room = maxEventBytes - fixed - 2 * STRING_LENGTH_BYTES - 'sh'.length
    const sizes = Array.from({ length: 17 }, (_, i) => room - 8 + i)
    const lines = sizes.map((size) => {
      const [first = '', second = ''] = argvOf(size)
      if (size <= room) return lineOf([first, second])
      const sha256 = createHash('sha256').update(second).digest('hex')
      return lineOf([first, `[x0x-exec-audit: cut 1 arguments, ${size} bytes, sha256 ${sha256}]`])
    })
    expect(lines.filter((line) => line.includes('x0x-exec-audit'))).toHaveLength(8)
    const events = sizes.map((size) => ({ argv: argvOf(size) }))
    await expectLines(64 * KIB, events, lines, { maxEventBytes })
  })

  it('cut after arguments that end in lone surrogates, with the hash of their bytes in the log', async () => {
    const cut = ['\ud83d'.repeat(KIB), '\ude00', '', '\0']
    const bytes = Buffer.from(cut.join('\0'), 'utf8')
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const mark = `[x0x-exec-audit: cut 4 arguments, ${3 * KIB + 4} bytes, sha256 ${sha256}]`
    const event = { argv: ['sh', ...cut] }
    await expectLines(64 * KIB, [event], [lineOf(['sh', mark])], { maxEventBytes: 2 * KIB })
  })
})
