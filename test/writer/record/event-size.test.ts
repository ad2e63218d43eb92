import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import type { ExecAuditOptions } from '../../../src'
import { cutToSize } from '../../../src/writer/record/cut-argv'
import {
  STRING_LENGTH_BYTES,
  STRING_LENGTHS_OFFSET,
} from '../../../src/writer/record/record-layout'
import { RECORD_HEADER_BYTES } from '../../../src/writer/ring/record-header'
import { requestEvent, startedEvent } from '../../support/events'
import { type AuditUnderTest, openAudit } from '../../support/open-audit'
import { useTempDir } from '../../support/temp-dir'

const KIB = 1024
const MIB = 1024 * KIB

describe('the size of an event', () => {
  const dir = useTempDir()
  const lines = () => {
    const text = readFileSync(dir.path('exec.log'), 'utf8').trimEnd()
    return text.split('\n').map((line): { event: string; argv: string[]; pid: number } => {
      return JSON.parse(line)
    })
  }

  it('may be many times the size of the ring: the event is written whole and in order', async () => {
    const { audit } = openAudit(dir.path('exec.log'), {
      ringBytes: 64 * KIB,
      maxEventBytes: 64 * MIB,
    })
    const argv = ['a'.repeat(20 * MIB), 'é'.repeat(10 * MIB), '"\n']
    const outcomes = [
      audit.started(startedEvent({ pid: 0 })),
      audit.request(requestEvent({ argv })),
      audit.started(startedEvent({ pid: 1 })),
      audit.request(requestEvent({ argv: argv.slice(1) })),
      audit.started(startedEvent({ pid: 2 })),
    ]
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['durable']))
    const written = lines()
    expect(written.map(({ event }) => event)).toEqual([
      'started',
      'request',
      'started',
      'request',
      'started',
    ])
    expect(written[1]?.argv.map((argument, i) => argument === argv[i])).toEqual([true, true, true])
    expect(written[3]?.argv.map((argument, i) => argument === argv[i + 1])).toEqual([true, true])
    expect(audit.stats().waiting.bytes).toBe(0)
  })

  it.each([[1], [0], [-1], [8]])(
    "at the limit of the ring's own records, %i bytes beside it",
    async (beside) => {
      const ringBytes = 4 * KIB
      const { audit } = openAudit(dir.path('exec.log'), { ringBytes })
      for (const recordBytes of [ringBytes / 4, ringBytes / 2, ringBytes]) {
        const argument = 'x'.repeat(
          recordBytes + beside - STRING_LENGTHS_OFFSET - 2 * STRING_LENGTH_BYTES - 'rule-1'.length,
        )
        const outcome = await audit.request(requestEvent({ argv: [argument] }))
        expect(outcome).toBe('durable')
        expect(lines().at(-1)?.argv).toEqual([argument])
      }
      expect(RECORD_HEADER_BYTES).toBeLessThan(ringBytes)
    },
  )

  it('of a million empty arguments is no trouble', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const argv = new Array<string>(1_000_000).fill('')
    expect(await audit.request(requestEvent({ argv }))).toBe('durable')
    expect(lines()[0]?.argv).toEqual(argv)
  })

  it('above maxEventBytes cuts argv, and the last element says what was cut', async () => {
    const { audit, warned } = openAudit(dir.path('exec.log'), { maxEventBytes: 2 * KIB })
    const cut = ['é'.repeat(2_000), 'last\ud800']
    expect(await audit.request(requestEvent({ argv: ['sh', '-c', ...cut] }))).toBe('durable')
    const sha256 = createHash('sha256').update(cut.join('\0')).digest('hex')
    expect(lines()[0]?.argv).toEqual([
      'sh',
      '-c',
      `[x0x-exec-audit: cut 2 arguments, 4007 bytes, sha256 ${sha256}]`,
    ])
    expect(warned).toEqual([])
  })

  it('of one argument of 200 MB costs no more than its hash', async () => {
    const { audit } = openAudit(dir.path('exec.log'))
    const huge = 'x'.repeat(200_000_000)
    expect(await audit.request(requestEvent({ argv: ['echo', huge, huge, huge] }))).toBe('durable')
    const hash = createHash('sha256')
    for (const part of [huge, '\0', huge, '\0', huge]) hash.update(part)
    expect(lines()[0]?.argv).toEqual([
      'echo',
      `[x0x-exec-audit: cut 3 arguments, 600000000 bytes, sha256 ${hash.digest('hex')}]`,
    ])
  })

  it('is cut as well if its line would be longer than a string can be', async () => {
    const { audit } = openAudit(dir.path('exec.log'), { maxEventBytes: KIB * MIB })
    const argument = '\x01'.repeat(90 * MIB)
    expect(await audit.request(requestEvent({ argv: ['echo', argument] }))).toBe('durable')
    const sha256 = createHash('sha256').update(argument).digest('hex')
    expect(lines()[0]?.argv).toEqual([
      'echo',
      `[x0x-exec-audit: cut 1 arguments, ${90 * MIB} bytes, sha256 ${sha256}]`,
    ])
  })

  it.each([
    ['x', 1],
    ['é', 1],
    ['"', 2],
    ['\\', 2],
    ['\x01', 6],
  ])('and %j counts at its length in the line', (unit, unitsEach) => {
    const lineUnitsMax = 6_000
    // Two quotes and a comma; the mark has its room.
    const count = Math.floor((lineUnitsMax - 256 - 3) / unitsEach)
    const none = { matchedAcl: null, context: [] }
    const cut = (n: number) => cutToSize([unit.repeat(n), 'y'.repeat(300)], none, MIB, lineUnitsMax)
    expect(cut(count)).toEqual([
      unit.repeat(count),
      expect.stringContaining('cut 1 arguments, 300'),
    ])
    expect(cut(count + 1)).toEqual([expect.stringContaining('cut 2 arguments')])
    const whole = [unit.repeat(count), 'y']
    expect(cutToSize(whole, none, MIB, lineUnitsMax)).toBe(whole)
  })

  it('cannot be met by cutting argv when matchedAcl alone is too large', async () => {
    const { audit, warned } = openAudit(dir.path('exec.log'), { maxEventBytes: KIB })
    const matchedAcl = 'x'.repeat(1_000)
    expect(await audit.request(requestEvent({ matchedAcl }))).toBe('failed')
    expect(warned[0]?.message).toBe(
      'exec audit: matchedAcl: expected at most 636 bytes of UTF-8 (maxEventBytes=1024), got 1000',
    )
  })
})

describe('redact', () => {
  const dir = useTempDir()
  const argvs = () => {
    const text = readFileSync(dir.path('exec.log'), 'utf8').trimEnd()
    return text.split('\n').map((line): string[] => JSON.parse(line).argv)
  }

  it("changes the logged argv, and not the caller's", async () => {
    const { audit } = openAudit(dir.path('exec.log'), {
      redact: (argv) => argv.map((argument) => argument.replace(/token=.*/, 'token=***')),
    })
    const argv = ['curl', 'token=s3cret']
    await audit.request(requestEvent({ argv }))
    expect([argvs(), argv]).toEqual([[['curl', 'token=***']], ['curl', 'token=s3cret']])
  })

  const open = (options: ExecAuditOptions | { redact: () => unknown }): AuditUnderTest =>
    Reflect.apply(openAudit, undefined, [dir.path('exec.log'), options])
  const THREW = 'redact(argv): expected an array of strings, but it threw'
  const FAILING: readonly (readonly [string, () => unknown, string, string])[] = [
    ['throws', () => JSON.parse('token=s3cret'), THREW, 'redact(argv)'],
    [
      'returns no array',
      () => 'nope',
      'redact(argv): expected an array of strings, got a string of 4 characters',
      'redact(argv)',
    ],
    [
      'returns an array of other things',
      () => [7],
      'redact(argv)[0]: expected a string, got the number 7',
      'redact(argv)[0]',
    ],
  ]

  it.each(FAILING)('that %s withholds argv in open mode, and says so', async (_, redact, text) => {
    const { audit, warned, diagnostics } = open({ redact })
    expect(await audit.request(requestEvent({ argv: ['a', 'b'] }))).toBe('durable')
    expect(argvs()).toEqual([['[x0x-exec-audit: redact failed, 2 arguments withheld]']])
    expect(warned.map(({ object: { code }, message }) => [code, message])).toEqual([
      ['AUDIT_REDACT_FAILED', `exec audit: ${text}; argv was withheld from the log: fix redact`],
    ])
    expect(diagnostics.auditFailures).toBe(0)
  })

  it.each(FAILING)(
    'that %s refuses the event in closed mode, and says so',
    async (_, redact, text, field) => {
      const { audit, warned, diagnostics } = open({ failureMode: 'closed', redact })
      await expect(audit.request(requestEvent())).rejects.toMatchObject({
        name: 'TypeError',
        code: 'AUDIT_INVALID_EVENT',
        message: text,
        field,
      })
      expect(warned.map(({ object: { code }, message }) => [code, message])).toEqual([
        ['AUDIT_REDACT_FAILED', `exec audit: ${text}; the event was refused: fix redact`],
        ['AUDIT_INVALID_EVENT', `exec audit: ${text}`],
      ])
      expect(diagnostics.auditFailures).toBe(1)
    },
  )

  it('that throws is reported by its place, and not by its text, which may quote an argument', async () => {
    const { audit, warned } = open({
      redact: function ofTheGateway(): never {
        throw new Error('cannot parse\n    at token=s3cret')
      },
    })
    await audit.request(requestEvent({ argv: ['token=s3cret'] }))
    const reported = inspect(warned, { depth: 9 })
    expect(reported).not.toContain('s3cret')
    expect(reported).toMatch(/^ +at .*ofTheGateway/m)
  })
})
