import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { gzipSync } from 'node:zlib'
import { runCli } from '../../support/cli'
import { useTempDir } from '../../support/temp-dir'
import { lineText } from '../../support/verified'

const A = 'a'.repeat(32)
const B = 'b'.repeat(32)
const REQUEST = lineText('request', A, 1_000)
const STARTED = lineText('started', A, 1_001)
const EXIT = lineText('exit', A, 1_002)
const text = (...lines: readonly string[]) => lines.map((line) => `${line}\n`).join('')

const dir = useTempDir()
/** Writes a log and verifies it. */
async function verified(lines: string, args: readonly string[] = []) {
  const path = dir.path('exec.log')
  writeFileSync(path, lines)
  return await verify([path, ...args])
}
async function verify(args: readonly string[], input?: string) {
  const { code, stdout, stderr } = await runCli(['verify', ...args], input)
  const lines = stdout
    .replaceAll(dirname(dir.path('x')), '')
    .replaceAll('/exec.log', 'exec.log')
    .split('\n')
  return { code, lines, stderr }
}

describe('verify', () => {
  it('says that a log is good, and adds its notes', async () => {
    const lines = text(REQUEST, STARTED, EXIT, '', lineText('request', B, 400), EXIT)
    expect(await verified(lines)).toEqual({
      code: 0,
      stderr: '',
      lines: [
        'GOOD  6 lines of 1 file',
        '  1 request without an end: still running, or lost',
        '  1 line twice, as happens when a worker dies beside other writers',
        '  the time goes back 1 time, by 602 ms at most',
        '  1 blank line',
        '',
      ],
    })
  })

  it('says where a log is broken, and how often', async () => {
    const lost = lineText('started', B, 90_000)
    const lines = text(REQUEST, EXIT, STARTED, '{"a\u001b[2J":1}', REQUEST.slice(0, 50), lost)
    const at = (count: number) =>
      Buffer.byteLength(lines.split('\n').slice(0, count).join('\n')) + 1
    expect(await verified(lines)).toEqual({
      code: 1,
      stderr: '',
      lines: [
        `exec.log:2:${at(1)}: impossible: an exit of a request without a started; its last event is at line 1`,
        `  ${EXIT.slice(0, 120)}`,
        `exec.log:4:${at(3)}: foreign: it is no JSON`,
        '  {"a\\x1b[2J":1}',
        `exec.log:5:${at(4)}: torn: a fragment of an event`,
        `  ${REQUEST.slice(0, 50)}`,
        `exec.log:6:${at(5)}: impossible: a started without a request`,
        `  ${lost}`,
        '',
        'BROKEN  6 lines of 1 file: 2 impossible, 1 foreign, 1 torn',
        '  2 requests without an end: still running, or lost',
        '  the time goes back 1 time, by 1 ms at most',
        '',
      ],
    })
  })

  it('shows the first problems, and counts all', async () => {
    const { code, lines } = await verified(text('x', 'y', 'z'), ['--max-problems', '1'])
    expect([code, lines]).toEqual([
      1,
      [
        'exec.log:1:0: foreign: it is no JSON',
        '  x',
        'and 2 more problems (--max-problems shows more)',
        '',
        'BROKEN  3 lines of 1 file: 3 foreign',
        '',
      ],
    ])
  })

  it('cannot tell of events whose request may stand in an older file', async () => {
    const { code, lines } = await verified(text(STARTED, EXIT))
    expect([code, lines]).toEqual([
      3,
      [
        'exec.log:1:0: cannot tell: a started without a request, which may stand in an older file',
        `  ${STARTED}`,
        '',
        'CANNOT TELL  2 lines of 1 file: 1 unseen',
        '',
      ],
    ])
    const whole = await verified(text(STARTED, EXIT), ['--from-start'])
    expect([whole.code, whole.lines[0]]).toEqual([
      1,
      'exec.log:1:0: impossible: a started without a request',
    ])
  })

  it('cannot tell of a last line that may still be being written, but of one in a file before', async () => {
    const { code, lines } = await verified(text(REQUEST, STARTED) + EXIT)
    const at = Buffer.byteLength(text(REQUEST, STARTED))
    expect([code, lines[0]]).toEqual([
      3,
      `exec.log:3:${at}: cannot tell: incomplete: a whole event, but for its newline; it may still be being written`,
    ])
    const [old, log] = [dir.path('exec.log.1'), dir.path('exec.log')]
    writeFileSync(old, text(REQUEST) + STARTED)
    const both = await verify([old, log])
    expect([both.code, both.lines[0]]).toEqual([
      1,
      `exec.log.1:2:${Buffer.byteLength(text(REQUEST))}: torn: incomplete: a whole event, but for its newline`,
    ])
  })

  it('accepts the fragments of a crash with --allow-torn', async () => {
    const { code, lines } = await verified(text(REQUEST.slice(0, 50), REQUEST), ['--allow-torn'])
    expect([code, lines.slice(0, 3)]).toEqual([
      0,
      [
        'GOOD  2 lines of 1 file',
        '  1 request without an end: still running, or lost',
        '  1 torn line, which nobody has acknowledged',
      ],
    ])
  })

  it('says that a log is empty', async () => {
    const { code, lines } = await verified('')
    expect([code, lines]).toEqual([0, ['GOOD  the log is empty', '']])
    const both = await verify([dir.path('exec.log'), '-'])
    expect([both.code, both.lines[0]]).toEqual([0, 'GOOD  all 2 files are empty'])
    const blank = await verified('\n')
    expect(blank.lines).toEqual(['GOOD  1 line of 1 file', '  1 blank line', ''])
  })

  it('takes several files, compressed ones and standard input, as one log', async () => {
    writeFileSync(dir.path('exec.log.2.gz'), gzipSync(text(REQUEST)))
    writeFileSync(dir.path('exec.log.1'), text(STARTED))
    const args = [dir.path('exec.log.2.gz'), dir.path('exec.log.1'), '-', '--from-start']
    const { code, lines } = await verify(args, text(EXIT))
    expect([code, lines[0]]).toEqual([0, 'GOOD  3 lines of 3 files'])
    const again = await verify(
      args,
      text(EXIT.replace('"code":0', '"code":1'), STARTED.replace('4242', '4243')),
    )
    expect(again.lines.filter((line) => line.includes(': impossible: '))).toEqual([
      `(stdin):2:${EXIT.length + 1}: impossible: a second started of its request; its last event is at line 1`,
    ])
    writeFileSync(dir.path('exec.log.older'), text(REQUEST))
    const wrong = await verify([dir.path('exec.log.1'), dir.path('exec.log.older')])
    expect(wrong.lines.filter((line) => line.includes(': impossible: '))).toEqual([
      'exec.log.older:1:0: impossible: a request after other events of its own; its last event is at line 1 of exec.log.1',
    ])
  })

  it('prints its report as JSON', async () => {
    const path = dir.path('exec.log')
    writeFileSync(path, text(REQUEST))
    appendFileSync(path, '{}\n')
    const { code, stdout } = await runCli(['verify', '--json', path])
    const { seconds, megabytesPerSecond, ...report } = JSON.parse(stdout)
    expect(seconds > 0 && megabytesPerSecond > 0).toBe(true)
    const finding = { file: path, line: 2, offset: Buffer.byteLength(REQUEST) + 1, kind: 'foreign' }
    expect([code, report]).toEqual([
      1,
      {
        version: 1,
        command: 'verify',
        verdict: 'broken',
        files: 1,
        lines: 2,
        events: 1,
        bytes: Buffer.byteLength(REQUEST) + 4,
        broken: 1,
        unsure: 0,
        byKind: { foreign: 1 },
        notes: {
          blankLines: 0,
          duplicates: 0,
          tornLines: 0,
          erasedLines: 0,
          stepsBack: 0,
          stepBackMsMax: 0,
          openRequests: 1,
          forgottenRequests: 0,
        },
        findings: [{ ...finding, verdict: 'broken', message: 'event: missing', excerpt: '{}' }],
      },
    ])
  })

  it('says what it cannot read', async () => {
    mkdirSync(dir.path('folder'))
    const usage = '(--help shows the usage)\n'
    expect(await runCli(['verify', dir.path('none')])).toEqual({
      code: 2,
      stdout: '',
      stderr: `x0x-exec-audit: ${dir.path('none')}: ENOENT: no such file or directory; the log is the auditLogPath of the policy, and - is standard input\n`,
    })
    expect(await runCli(['verify', dir.path('folder')])).toEqual({
      code: 2,
      stdout: '',
      stderr: `x0x-exec-audit: ${dir.path('folder')} is a folder; name the files in it ${usage}`,
    })
  })
})
