import { readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { runCli } from '../../support/cli'
import { AGENT_ID, MACHINE_ID, startedLine } from '../../support/events'
import { idOf, OTHER_AGENT, SAMPLE_START_MS, writeSampleLog } from '../../support/sample-log'
import { useTempDir } from '../../support/temp-dir'

const dir = useTempDir()
const log = () => dir.path('exec.log')
const head = (id: string, agent = AGENT_ID) =>
  `request  ${id}\nagent    ${agent}\nmachine  ${MACHINE_ID}\n\n`

describe('show', () => {
  it("shows a command's events with the time between them", async () => {
    await writeSampleLog(log())
    expect(await runCli(['show', '010101', log()])).toEqual({
      code: 0,
      stdout: `${head(idOf('01'))}2026-11-22 22:01:02.985                      request  ls 'x y' 'it'\\''s'  (rule rule-1, limit 30 s)
2026-11-22 22:01:03.002    +17 ms    +17 ms  started  pid 77
2026-11-22 22:01:04.819  +1.834 s  +1.817 s  warning  stdout_cap_hit at 1.0 MiB
2026-11-22 22:01:04.836  +1.851 s    +17 ms  exit     exit 0  after 12 ms  (stdout 8.0 EiB, stderr 56 B, truncated)

4 events in 1.851 s; ended
`,
      stderr: '',
    })
  })

  it('takes a request id in the form of a UUID, whole or its beginning', async () => {
    await writeSampleLog(log())
    const shown = await runCli(['show', idOf('01'), log()])
    expect(shown.code).toBe(0)
    expect(await runCli(['show', '01010101-0101-0101-0101-010101010101', log()])).toEqual(shown)
    expect(await runCli(['show', '01010101-01', log()])).toEqual(shown)
    expect((await runCli(['show', '0101-01010101', log()])).code).toBe(2)
  })

  it('says of a denial, of a command without an end, and of one without a beginning', async () => {
    await writeSampleLog(log())
    const denied = await runCli(['show', '--utc', '04', log()])
    expect(denied.stdout).toBe(
      `${head(idOf('04'))}2026-11-22 22:01:02.985Z      denial   argv_not_allowed  rm -rf /\n\n1 event in 0 ms; denied\n`,
    )
    const waiting = await runCli(['show', '12', log()])
    expect(waiting.stdout.split('\n').at(-2)).toBe(
      '1 event in 0 ms; neither its start nor its exit is recorded: it is about to start, or the gateway ended before it, or both are in another log',
    )
    writeFileSync(log(), startedLine(7))
    expect((await runCli(['show', '0123', log()])).stdout).toBe(
      `request  0123456789abcdef0123456789abcdef
neither the agent that asked for it nor its command is in the logs searched

1970-01-01 01:00:00.000      started  pid 7

1 event in 0 ms; no exit is recorded: it still runs, or the gateway ended before it, or the exit is in another log
`,
    )
  })

  it('lists the requests that the digits are too few for, their arguments escaped', async () => {
    await writeSampleLog(log())
    expect(await runCli(['show', '0', log()])).toEqual({
      code: 2,
      stdout: '',
      stderr: `x0x-exec-audit: several requests begin with 0; give more digits:
  ${idOf('01')}  2026-11-22 22:01:02.985  ls 'x y' 'it'\\''s'
  ${idOf('02')}  2026-11-22 23:01:02.985  echo $'\\x1b[31mred\\u202e\\n2026-01-01 fake' 日本 ''
  ${idOf('04')}  2026-11-22 23:01:02.985  rm -rf /
`,
    })
  })

  it('says what was searched when there is no such request', async () => {
    await writeSampleLog(log())
    writeFileSync(dir.path('empty.log'), '')
    expect(await runCli(['show', 'ff', log()])).toEqual({
      code: 1,
      stdout: '',
      stderr: `x0x-exec-audit: no request begins with ff; searched ${log()}: 8 events from 2026-11-22 22:01:02.985 to 2026-11-23 00:01:02.985. It may be in a log that was rotated: name those too\n`,
    })
    const empty = await runCli(['show', 'ff', dir.path('empty.log')])
    expect([empty.code, empty.stderr.includes(': no events. It may be')]).toEqual([1, true])
  })

  it('puts the events of several logs in order, and prints them as JSON', async () => {
    await writeSampleLog(log())
    const lines = readFileSync(log(), 'utf8').split('\n')
    writeFileSync(dir.path('new.log'), `${lines[5]}\n`)
    writeFileSync(dir.path('old.log'), `${lines[4]}\nbroken\n`)
    const args = ['show', '02', '--json', dir.path('new.log'), dir.path('old.log')]
    const { code, stdout, stderr } = await runCli(args)
    expect([code, stderr]).toEqual([
      0,
      `x0x-exec-audit: 1 line is no event (1 foreign), at ${dir.path('old.log')}:2:${Buffer.byteLength(lines[4] ?? '') + 1}; see x0x-exec-audit verify ${dir.path('old.log')}\n`,
    ])
    const place = { line: 1, offset: 0 }
    const base = { tsUnixMs: SAMPLE_START_MS + 3_600_000, requestId: idOf('02') }
    expect(JSON.parse(stdout)).toEqual({
      ...{ version: 1, command: 'show', requestId: idOf('02'), state: 'ended', totalMs: 0 },
      events: [
        {
          ...{ event: 'exit', ...base, code: null, signal: 9, durationMs: 12 },
          ...{ stdoutBytes: 34, stderrBytes: 56, truncated: false, ...place },
          length: Buffer.byteLength(lines[5] ?? ''),
        },
        {
          ...{ event: 'request', ...base, agentId: OTHER_AGENT, machineId: MACHINE_ID },
          argv: ['echo', '\x1b[31mred\u202e\n2026-01-01 fake', '日本', ''],
          ...{ matchedAcl: '=1+1', stdinBytes: 5, timeoutMs: 30_000, ...place },
          length: Buffer.byteLength(lines[4] ?? ''),
        },
      ],
    })
  })

  it('shows an event once that stands in two logs, and says so; what one log repeats stays', async () => {
    await writeSampleLog(log())
    const text = readFileSync(log(), 'utf8')
    writeFileSync(`${log()}.1`, text)
    writeFileSync(`${log()}.1.gz`, gzipSync(text))
    const plain = await runCli(['show', '01', log()])
    const { code, stdout, stderr } = await runCli(['show', '01', `${log()}.1`, `${log()}.1.gz`])
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: plain.stdout,
      stderr: `x0x-exec-audit: 4 events stand in ${log()}.1 and again in ${log()}.1.gz; shown once\n`,
    })
    writeFileSync(log(), text.repeat(2))
    const repeated = await runCli(['show', '04', log()])
    expect([repeated.stdout.split('\n').at(-2), repeated.stderr]).toEqual([
      '2 events in 0 ms; denied',
      '',
    ])
  })

  it('refuses what is no id, and a file that cannot be read', async () => {
    const wrong = await runCli(['show', 'xyz'])
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      'x0x-exec-audit: REQUEST: expected 1 to 32 hexadecimal digits, with the dashes of a UUID or without, got xyz (--help shows the usage)\n',
    ])
    const missing = await runCli(['show', '01', dir.path('none.log')])
    expect([missing.code, missing.stdout]).toEqual([2, ''])
    const byDefault = await runCli(['show', '01'])
    expect(byDefault).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'x0x-exec-audit: /var/log/x0x/exec.log: ENOENT: no such file or directory; the log is the auditLogPath of the policy, and - is standard input\n',
    })
  })
})
