import { findingText } from '../../src/cli/doctor/command'
import { eventLine } from '../../src/cli/shared/event-text'
import type { VerifyReport } from '../../src/cli/shared/verification/verify'
import { reportText } from '../../src/cli/verify/command'
import type { AuditRecord } from '../../src/format/records'
import { painter } from '../../src/toolkit/text/colour'
import { textWidth, wrapText } from '../../src/toolkit/text/width'
import { AGENT_ID, MACHINE_ID, REQUEST_ID } from '../support/events'

const paint = painter({ isTTY: false }, {})
const EVERYTHING = Number.POSITIVE_INFINITY

describe('an event on a narrow terminal', () => {
  const parties = { agentId: AGENT_ID, machineId: MACHINE_ID, argv: ['ls', '-la'] }
  const exit: AuditRecord = {
    ...{ event: 'exit', tsUnixMs: 12_345, requestId: REQUEST_ID, code: 0, signal: null },
    ...{ durationMs: 12, stdoutBytes: 1, stderrBytes: 2, truncated: false },
    ...{ line: 1, offset: 0, length: 1 },
  }
  const onTerminal = (width: number, record = exit) =>
    eventLine(record, parties, { paint, width, isUtc: true })

  const output = '(stdout 1 B, stderr 2 B)'

  it.each([
    [
      156,
      `1970-01-01 00:00:12.345Z  exit     01234567  a1a1a1a1  exit 0  after 12 ms  ls -la  ${output}`,
    ],
    [155, `00:00:12.345  exit     01234567  a1a1a1a1  exit 0  after 12 ms  ls -la  ${output}`],
    [132, `00:00:12.345  exit     01234567  a1a1a1a1  exit 0  after 12 ms  ls -la  ${output}`],
    [131, `00:00:12.345  exit     01234567  a1a1a1a1  exit 0 12ms  ls -la  ${output}`],
    [116, `00:00:12.345  exit     01234567  a1a1a1a1  exit 0 12ms  ls -la  ${output}`],
    [115, `00:00:12  exit     01234567  a1a1a1a1  exit 0 12ms  ls -la  ${output}`],
    [108, `00:00:12  exit     01234567  a1a1a1a1  exit 0 12ms  ls -la  ${output}`],
    [107, `00:00:12  exit     01234567  exit 0 12ms  ls -la  ${output}`],
    [88, `00:00:12  exit     01234567  exit 0 12ms  ls -la  ${output}`],
    [87, `00:00:12 exit    012345  exit 0 12ms  ls -la  ${output}`],
    [68, '00:00:12 exit    012345  exit 0 12ms  ls -la  (stdout 1 B, stderr 2…'],
    [35, '00:00:12 exit    012345  exit 0 12…'],
    [34, 'exit    012345  exit 0 12ms  ls -…'],
    [17, 'exit    012345  …'],
  ])(
    'of %d cells leaves out the date, words of the end, milliseconds, the agent, digits of the id, and last the time',
    (width, line) => {
      expect(onTerminal(width)).toBe(line)
    },
  )

  it('is never longer than the terminal is wide, and its id never cut from 15 cells on', () => {
    for (let width = 15; width < 160; width++) {
      const line = onTerminal(width)
      expect([width, textWidth(line) <= width, line.includes('012345')]).toEqual([
        width,
        true,
        true,
      ])
    }
  })

  it('keeps a time that no calendar has', () => {
    const line = onTerminal(71, { ...exit, tsUnixMs: 2 ** 53 - 1 })
    expect(line).toBe('9007199254740991 ms after 1970 exit    012345  exit 0 12ms  ls -la  (s…')
  })
})

describe('text in lines', () => {
  it('is broken at spaces, and a word that is longer than a line stays whole', () => {
    const wrapped = (text: string, width: number) => wrapText(text, { width, column: 4, indent: 2 })
    expect(wrapped('one two three', EVERYTHING)).toBe('one two three')
    expect(wrapped('one two three', 11)).toBe('one two\n  three')
    expect(wrapped('one two three', 10)).toBe('one\n  two\n  three')
    expect(wrapped('a /path/longer/than/that b', 10)).toBe('a\n  /path/longer/than/that\n  b')
    expect(wrapped('日本 日本 日本', 13)).toBe('日本 日本\n  日本')
    expect(wrapped('', 10)).toBe('')
  })

  it("are the doctor's findings, beside their names or below, and a remedy in one", () => {
    const finding = {
      ...{ check: 'clock', status: 'warn' as const },
      ...{
        found: 'it is not kept by any service that runs here now',
        remedy: 'timedatectl set-ntp true',
      },
    }
    expect(findingText(finding, paint, EVERYTHING)).toBe(
      'warn  clock        it is not kept by any service that runs here now\n      $ timedatectl set-ntp true\n',
    )
    expect(findingText(finding, paint, 60)).toBe(
      'warn  clock        it is not kept by any service that runs\n                   here now\n      $ timedatectl set-ntp true\n',
    )
    expect(findingText(finding, paint, 30)).toBe(
      'warn  clock        it is not\n      kept by any service that\n      runs here now\n      $ timedatectl set-ntp true\n',
    )
  })
})

describe("verify's report", () => {
  const report: VerifyReport = {
    ...{ verdict: 'broken', files: 1, lines: 2, events: 1, bytes: 9_999_999, broken: 1, unsure: 0 },
    byKind: { foreign: 1 },
    notes: {
      ...{
        blankLines: 0,
        duplicates: 1,
        erasedLines: 0,
        tornLines: 0,
        stepsBack: 0,
        stepBackMsMax: 0,
      },
      ...{ openRequests: 0, forgottenRequests: 0 },
    },
    findings: [
      {
        ...{ file: 'exec.log', line: 2, offset: 9, kind: 'foreign', verdict: 'broken' },
        ...{ message: 'it is no JSON, and no fragment of it', excerpt: 'x'.repeat(80) },
      },
    ],
  }

  it('is made for the width of the terminal', () => {
    expect(reportText(report, 0.05, paint, 40)).toBe(
      `exec.log:2:9: foreign: it is no JSON,
  and no fragment of it
  ${'x'.repeat(37)}…

BROKEN  2 lines of 1 file: 1 foreign
  1 line twice, as happens when a worker
    dies beside other writers
`,
    )
  })

  it('reports its speed if the log is large enough', () => {
    const last = (bytes: number, seconds: number) =>
      reportText({ ...report, bytes }, seconds, paint, EVERYTHING)
        .split('\n')
        .at(-2)
    expect(last(10_000_000, 0.04)).toBe('  10 MB in 0.04 s, 250 MB/s')
    expect(last(9_999_999, 3)).toBe(
      '  1 line twice, as happens when a worker dies beside other writers',
    )
  })
})
