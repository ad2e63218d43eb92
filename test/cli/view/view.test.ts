import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { gzipSync } from 'node:zlib'
import { runCli, startCli } from '../../support/cli'
import { MACHINE_ID, startedEvent, startedLine, startedLines } from '../../support/events'
import { openAudit } from '../../support/open-audit'
import { idOf, OTHER_AGENT, writeSampleLog } from '../../support/sample-log'
import { useTempDir } from '../../support/temp-dir'
import { lineText } from '../../support/verified'
import { until } from '../../support/waiting'

const dir = useTempDir()
const log = () => dir.path('exec.log')

const PRETTY = [
  "2026-11-22 22:01:02.985  request  01010101  a1a1a1a1  ls 'x y' 'it'\\''s'  (rule rule-1, limit 30 s)",
  "2026-11-22 22:01:03.002  started  01010101  a1a1a1a1  pid 77  ls 'x y' 'it'\\''s'",
  "2026-11-22 22:01:04.819  warning  01010101  a1a1a1a1  stdout_cap_hit at 1.0 MiB  ls 'x y' 'it'\\''s'",
  "2026-11-22 22:01:04.836  exit     01010101  a1a1a1a1  exit 0  after 12 ms  ls 'x y' 'it'\\''s'  (stdout 8.0 EiB, stderr 56 B, truncated)",
  "2026-11-22 23:01:02.985  request  02020202  c3c3c3c3  echo $'\\x1b[31mred\\u202e\\n2026-01-01 fake' 日本 ''  (rule =1+1, stdin 5 B, limit 30 s)",
  "2026-11-22 23:01:02.985  exit     02020202  c3c3c3c3  killed by SIGKILL  after 12 ms  echo $'\\x1b[31mred\\u202e\\n2026-01-01 fake' 日本 ''  (stdout 34 B, stderr 56 B)",
  '2026-11-22 23:01:02.985  denial   04040404  a1a1a1a1  argv_not_allowed  rm -rf /',
  '2026-11-23 00:01:02.985  request  12121212  a1a1a1a1  sleep 9  (rule rule-1, limit 30 s)',
]
const pretty = (...lines: number[]) => lines.map((line) => `${PRETTY[line]}\n`).join('')
const ALL = [0, 1, 2, 3, 4, 5, 6, 7]

describe('view', () => {
  it('shows one line an event, in which a hostile argument forges nothing', async () => {
    await writeSampleLog(log())
    expect(await runCli(['view', log()])).toEqual({ code: 0, stdout: pretty(...ALL), stderr: '' })
    const utc = await runCli(['view', '--utc', '-n', '1', log()])
    expect(utc.stdout).toBe(
      '2026-11-22 23:01:02.985Z  request  12121212  a1a1a1a1  sleep 9  (rule rule-1, limit 30 s)\n',
    )
  })

  it.each([
    [
      ['--event', 'exit,denial'],
      [3, 5, 6],
    ],
    [
      ['--agent', 'C3'],
      [4, 5],
    ],
    [['--agent', 'a1', '--event', 'exit'], [3]],
    [
      ['--machine', 'b2', '-n', '2', '--event', 'exit'],
      [3, 5],
    ],
    [
      ['--request', '0101'],
      [0, 1, 2, 3],
    ],
    [
      ['--request', '01010101-0101-'],
      [0, 1, 2, 3],
    ],
    [['--denied'], [6]],
    [['--failed'], [5]],
    [['--denied', '--failed'], []],
    [['--grep', 'rm -rf'], [6]],
    [['--grep', 'RM -RF', '-i'], [6]],
    [['--grep', 'RM -RF'], []],
    [
      ['--since', '2026-11-22T23:01'],
      [4, 5, 6, 7],
    ],
    [
      ['--since', '2026-11-22T23:01:02.985', '--until', '2026-11-22T22:01:02.985Z'],
      [4, 5, 6],
    ],
    [
      ['--until', '2026-11-22 22:01:03.002'],
      [0, 1],
    ],
    [['-n', '0'], []],
    [
      ['-n', '3'],
      [5, 6, 7],
    ],
    [['-n', '100'], ALL],
    [['-n', '1', '--failed'], [5]],
    [['--reverse'], ALL.toReversed()],
    [
      ['--reverse', '-n', '2'],
      [7, 6],
    ],
    [
      ['--command', 'ls'],
      [0, 1, 2, 3],
    ],
    [['--command', 'l'], []],
    [
      ['--rule', '=1+1'],
      [4, 5],
    ],
    [
      ['--pid', '77'],
      [1, 2, 3],
    ],
    [['--code', '0'], [3]],
    [['--code', '1'], []],
    [['--signal', 'KILL'], [5]],
    [['--signal', '9', '--command', 'echo'], [5]],
    [['--signal', 'sigterm'], []],
    [['--reason', 'argv_not_allowed'], [6]],
    [
      ['--longer', '11ms'],
      [3, 5],
    ],
    [['--longer', '12ms'], []],
  ])('filters with %j', async (args, lines) => {
    await writeSampleLog(log())
    const { code, stdout, stderr } = await runCli(['view', ...args, log()])
    const isNothing = lines.length === 0 && args[1] !== '0'
    const searched = `x0x-exec-audit: nothing found; searched ${log()}: 8 events from 2026-11-22 22:01:02.985 to 2026-11-23 00:01:02.985\n`
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: pretty(...lines),
      stderr: isNothing ? searched : '',
    })
  })

  it('prints the lines as they are, as JSON lines, as one document, and as CSV', async () => {
    await writeSampleLog(log())
    const text = readFileSync(log(), 'utf8')
    expect((await runCli(['view', '-o', 'raw', log()])).stdout).toBe(text)
    const of = async (...args: string[]) => (await runCli(['view', ...args, log()])).stdout
    const hostile = '"\\u001b[31mred\\u202e\\n2026-01-01 fake"'
    const ids = `"agentId":"${OTHER_AGENT}","machineId":"${MACHINE_ID}"`
    const json = `{"event":"request","tsUnixMs":1795384862985,"requestId":"${idOf('02')}",${ids},"argv":["echo",${hostile},"日本",""],"matchedAcl":"=1+1","stdinBytes":5,"timeoutMs":30000,"line":5,"offset":${offsetOf(text, 5)},"length":${lengthOf(text, 5)},"file":"${log()}"}`
    const asked = ['--request', '02', '--event', 'request']
    expect(await of('-o', 'jsonl', ...asked)).toBe(`${json}\n`)
    const document = `{"version":1,"command":"view","events":[\n${json}\n],"problems":[]}\n`
    expect(await of('-o', 'json', ...asked)).toBe(document)
    expect(await of('--json', ...asked)).toBe(document)
    expect(await of('-o', 'jsonl', '--request', '01', '--event', 'exit')).toContain(
      '"stdoutBytes":9223372036854775809,',
    )
    const csv = await of('-o', 'csv', '--request', '02')
    expect(csv.split('\n')).toEqual([
      'time,tsUnixMs,event,requestId,agentId,machineId,argv,matchedAcl,stdinBytes,timeoutMs,pid,kind,bytes,code,signal,durationMs,stdoutBytes,stderrBytes,truncated,reason,line,offset,file,timedOut,argvLeft,principal,context,agentName',
      `2026-11-22T22:01:02.985Z,1795384862985,request,${idOf('02')},${OTHER_AGENT},${MACHINE_ID},"[""echo"",${hostile.replaceAll('"', '""')},""日本"",""""]",'=1+1,5,30000,,,,,,,,,,,5,${offsetOf(text, 5)},${log()},,,,,`,
      `2026-11-22T22:01:02.985Z,1795384862985,exit,${idOf('02')},${OTHER_AGENT},${MACHINE_ID},"[""echo"",${hostile.replaceAll('"', '""')},""日本"",""""]",,,,,,,,9,12,34,56,false,,6,${offsetOf(text, 6)},${log()},false,,,,`,
      '',
    ])
  })

  it('does not follow a compressed file, to which nothing is appended', async () => {
    const packed = dir.path('exec.log.2.gz')
    writeFileSync(packed, gzipSync(startedLine(1)))
    const { code, stdout, stderr } = await runCli(['view', '-f', packed])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe(
      `x0x-exec-audit: --follow: ${packed} is compressed by gzip, nothing is appended to it (--help shows the usage)\n`,
    )
  })

  it('knows no line numbers if it has read only the end of a file', async () => {
    const path = dir.path('exec.log')
    writeFileSync(path, startedLine(1) + startedLine(2))
    const { stdout } = await runCli(['view', '-o', 'jsonl', '-n', '1', path])
    expect(JSON.parse(stdout)).toMatchObject({ pid: 2, line: null, offset: startedLine(1).length })
  })

  it('knows who asked if the request stands up to 4 MiB before the end that is shown', async () => {
    await writeSampleLog(log())
    const lines = readFileSync(log(), 'utf8').split('\n')
    const [request = '', exit = ''] = [lines[4], lines[5]]
    const filler = `${lines[7]}\n`
    const between = (bytes: number) => {
      const fillers = filler.repeat(Math.floor(bytes / filler.length))
      writeFileSync(log(), `${request}\n${fillers}${exit}\n`)
      return runCli(['view', '-n', '1', '-o', 'csv', log()])
    }
    const near = await between(4 * 2 ** 20 - 2 * request.length - filler.length)
    expect(near.stdout.split('\n')[1]).toMatch(
      new RegExp(`exit,${idOf('02')},${OTHER_AGENT},${MACHINE_ID},.*,false,,,\\d+,`),
    )
    const far = await between(4 * 2 ** 20 + filler.length)
    expect(far.stdout.split('\n')[1]).toMatch(`exit,${idOf('02')},,,`)
    const { output } = startCli(['view', '-f', '-n', '1', log()])
    await until('no exit', () => output.stdout.includes('02020202  -         killed'))
    await between(0)
    const followed = startCli(['view', '-f', '-n', '1', log()])
    await until('no agent', () => followed.output.stdout.includes('02020202  c3c3c3c3  killed'))
  })

  it('reads standard input, compressed files, and several files in the order given', async () => {
    const [packed, plain] = [dir.path('exec.log.2.gz'), log()]
    writeFileSync(packed, gzipSync(startedLine(1) + startedLine(2)))
    writeFileSync(plain, startedLine(4))
    const args = ['view', '-o', 'raw', packed, '-', plain]
    const lines = [1, 2, 3, 4].map(startedLine)
    expect((await runCli(args, startedLine(3))).stdout).toBe(lines.join(''))
    expect((await runCli([...args, '-n', '3'], startedLine(3))).stdout).toBe(
      lines.slice(1).join(''),
    )
    expect((await runCli(['view', '-o', 'raw', '-n', '1', packed])).stdout).toBe(startedLine(2))
    const missing = dir.path('missing.log')
    expect(await runCli(['view', '-o', 'raw', missing, plain])).toEqual({
      code: 2,
      stdout: startedLine(4),
      stderr: `x0x-exec-audit: ${missing}: ENOENT: no such file or directory; the log is the auditLogPath of the policy, and - is standard input\n`,
    })
  })

  it('finds what --since asks for in a compressed file and a stream, wherever the clock has been', async () => {
    const [ID, T0] = ['ab'.repeat(16), Date.parse('2026-11-23T10:00:00Z')]
    const lines = [
      lineText('request', ID, T0 - 2, { argv: ['make'] }),
      'no event',
      lineText('started', ID, T0 + 1, { pid: 1 }),
      lineText('warning', ID, T0 - 3e10, { kind: 'cancelled', bytes: null }),
      lineText('exit', ID, T0 + 2, { duration_ms: 5 }),
      lineText('request', 'cd'.repeat(16), T0 - 1, { argv: ['ls'] }),
    ]
    const text = lines.map((line) => `${line}\n`).join('')
    const [packed, plain] = [dir.path('exec.log.2.gz'), log()]
    writeFileSync(packed, gzipSync(text))
    writeFileSync(plain, text)
    const since = ['view', '--utc', '--since', '2026-11-23T10:00:00Z']
    for (const [file, name] of [
      [plain, plain],
      [packed, packed],
      ['-', '(stdin)'],
    ] as const) {
      expect(await runCli([...since, file], text)).toEqual({
        code: 0,
        stdout: [
          '2026-11-23 10:00:00.001Z  started  abababab  a1a1a1a1  pid 1  make\n',
          '2026-11-23 10:00:00.002Z  exit     abababab  a1a1a1a1  exit 0  after 5 ms  make  (stdout 3 B, stderr 4 B)\n',
        ].join(''),
        stderr: `x0x-exec-audit: 1 line is no event (1 foreign), at ${name}:2:${offsetOf(text, 2)}; see x0x-exec-audit verify ${file}\n`,
      })
      const place = await runCli([...since, '-o', 'jsonl', '--event', 'exit', file], text)
      expect(JSON.parse(place.stdout)).toMatchObject({ line: 5, offset: offsetOf(text, 5) })
      const none = await runCli(['view', '--utc', '--since', '2026-11-24', file], text)
      expect(none.stderr.split('\n')[1]).toBe(
        `x0x-exec-audit: nothing found; searched ${name}: 5 events from 2025-12-11 04:40:00.000Z to 2026-11-23 10:00:00.002Z`,
      )
    }
  })

  it('ends quietly when its reader has seen enough', async () => {
    writeFileSync(log(), startedLines(200_000))
    const { child, end } = startCli(['view', log()])
    child.stdout.once('data', () => child.stdout.destroy())
    const { code, stderr } = await end
    expect([code, stderr]).toEqual([0, ''])
  })

  it('follows the log over rotation while the real writer appends', async () => {
    const { audit } = openAudit(log())
    for (let pid = 0; pid < 15; pid++) await audit.started(startedEvent({ pid }))
    const { child, output, end } = startCli(['view', '-f', '-o', 'raw', log()])
    const saw = (pid: number) =>
      until(`no pid ${pid}: ${output.stdout}${output.stderr}`, () => {
        return output.stdout.endsWith(startedLine(pid))
      })
    await saw(14)
    await audit.started(startedEvent({ pid: 15 }))
    await saw(15)
    renameSync(log(), `${log()}.1`)
    await audit.started(startedEvent({ pid: 16 }))
    await saw(16)
    child.kill('SIGINT')
    await end
    expect(output.stdout).toBe(
      [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16].map(startedLine).join(''),
    )
    const told = `x0x-exec-audit: ${log()}: `
    expect(output.stderr.replace(`${told}gone; waiting for a new one\n`, '')).toBe(
      `${told}rotated; going on with the new file\n`,
    )
  })

  it('follows from the start with --since, filters, and a file that comes later', async () => {
    const path = dir.path('later/exec.log')
    const { output } = startCli(['view', '-f', '--since', '1970-01-01', '-o', 'raw', path])
    const told = `x0x-exec-audit: ${path}: `
    const waiting = `${told}no such file yet, nor its folder; waiting for it, since the first event makes it. If there were events, check the path\n`
    await until('not missing', () => output.stderr === waiting)
    mkdirSync(dir.path('later'))
    appendFileSync(path, startedLines(12))
    await until('not all', () => output.stdout === startedLines(12))
    expect(output.stderr).toBe(`${waiting}${told}it is there now\n`)
    truncateSync(path)
    const truncated = `${told}truncated; reading it from its start\n`
    await until('not truncated', () => output.stderr.endsWith(truncated))
  })

  it.each([
    [['-f', 'a', 'b'], '--follow takes one file'],
    [['-f', '-'], '--follow takes a file; - is read to its end anyway'],
    [['-f', '--json'], '--follow never ends a json document; take -o jsonl'],
    [['-f', '-o', 'json'], '--follow never ends a json document; take -o jsonl'],
    [['--grep', '('], '--grep: Invalid regular expression: /(/u: Unterminated group'],
  ])('refuses %j', async (args, message) => {
    expect(await runCli(['view', ...args])).toEqual({
      code: 2,
      stdout: '',
      stderr: `x0x-exec-audit: ${message} (--help shows the usage)\n`,
    })
  })

  it('says what it expected and what it was given', async () => {
    const mistakes: [string[], string][] = [
      [['--since', 'noon'], '--since: expected a time such as 2026-'],
      [
        ['--event', 'exits'],
        '--event: expected some of request, started, warning, exit, denial, got',
      ],
      [['--reason', 'no'], '--reason: expected one of exec_disabled, unverified_sender,'],
      [
        ['--code', '1.5'],
        '--code: expected a whole number from -2147483648 to 2147483647, got 1.5 (',
      ],
      [['--signal', 'NO'], '--signal: expected a signal such as SIGKILL, KILL or 9, got NO ('],
      [
        ['--longer', '60'],
        '--longer: expected a length of time such as 60s, 1500ms or 1h30m, got 60 (',
      ],
      [
        ['--commands', '--event', 'exit'],
        '--event chooses events; --commands puts them together (',
      ],
      [['-c', '-o', 'raw'], '-o raw prints lines; --commands has none ('],
      [['--open', '-f'], '--open waits for the end of the log; --follow has none ('],
      [
        ['-c', '-f', '-n', '1'],
        '--follow with --commands shows those that end from now on; leave out --lines (',
      ],
      [['--bom'], '--bom is for -o csv ('],
      [['-f', '--reverse'], '--follow shows the newest last; leave out --reverse ('],
      [
        ['--agent', 'xy'],
        '--agent: expected 1 to 64 hexadecimal digits (a name is in the context: --context principal=NAME), got xy (',
      ],
      [
        ['--agent', '\x1b[31m'],
        "--agent: expected 1 to 64 hexadecimal digits (a name is in the context: --context principal=NAME), got $'\\x1b[31m' (",
      ],
      [['-n', '-1'], '--lines: expected a whole number from 0, got -1 ('],
      [['-n'], '--lines: expected <n>, got nothing ('],
      [['-o', 'xml'], '--output: expected one of pretty, json, jsonl, csv, raw, ocsf, got xml ('],
      [
        ['--json', '-o', 'csv'],
        "option '--json' cannot be used with option '-o, --output <format>' (",
      ],
      [['--log', 'a', 'b'], 'name a log either as FILE or by --log ('],
      [['--\x1b[31m'], "unknown option '--\\x1b[31m' ("],
    ]
    const ends = await Promise.all(mistakes.map(([args]) => runCli(['view', ...args])))
    expect(
      ends.map(({ code, stdout, stderr }, i) => [
        code,
        stdout,
        stderr.slice(0, 16 + (mistakes[i]?.[1].length ?? 0)),
        stderr.endsWith(' (--help shows the usage)\n'),
      ]),
    ).toEqual(mistakes.map(([, message]) => [2, '', `x0x-exec-audit: ${message}`, true]))
  })
})

const lengthOf = (text: string, line: number) => Buffer.byteLength(text.split('\n')[line - 1] ?? '')
function offsetOf(text: string, line: number): number {
  return text
    .split('\n')
    .slice(0, line - 1)
    .reduce((sum, before) => sum + Buffer.byteLength(before) + 1, 0)
}
