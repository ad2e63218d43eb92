import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { idOf } from '../../../src'
import { ownPrincipal } from '../../../src/cli/exec/command'
import {
  denied,
  exited,
  isRunning,
  requested,
  started,
  trailOf,
  warned,
} from '../../support/runner'
import { endStrace, itWithStrace, straceBeside } from '../../support/strace'
import { useTempDir } from '../../support/temp-dir'
import { until, WAITING } from '../../support/waiting'

const MAIN = join(__dirname, '../../../dist/cli/main.js')
const PREFIX = 'x0x-exec-audit: '
/** Who asks if no --agent is named. */
const BY_USER = { context: { principal: ownPrincipal(process.env, process.getuid?.() ?? 0) } }
const UNLIMITED = { timeout_ms: 2 ** 31 - 1, ...BY_USER }

const dir = useTempDir()
const log = () => dir.path('exec.log')

interface End {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

const running = new Set<ReturnType<typeof spawn>>()

afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
})

/**
 * Starts `exec` with these arguments, its output into pipes. Its input is a file: with a pipe it would tell of
 * a silence where this process is held up.
 */
function start(args: readonly string[], stdin: string | Buffer = '') {
  const file = dir.path('stdin')
  writeFileSync(file, stdin)
  const input = openSync(file, 'r')
  try {
    return startWith(input, args)
  } finally {
    closeSync(input)
  }
}

function startWith(
  input: number | 'pipe' | 'ignore',
  args: readonly string[],
  wrapper: readonly string[] = [],
) {
  const [file = '', ...rest] = [...wrapper, process.execPath, MAIN, 'exec', ...args]
  const child = spawn(file, rest, {
    stdio: [input, 'pipe', 'pipe'],
    // Jest's copy of it, in which a test sets its variables.
    env: { ...process.env },
  })
  running.add(child)
  const stdout: Buffer[] = []
  let stderr = ''
  child.stdout?.on('data', (chunk) => stdout.push(chunk))
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  const end = new Promise<End>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr }))
  })
  return { child, end, heard: () => Buffer.concat(stdout).toString(), told: () => stderr }
}

const run = (args: readonly string[], stdin?: string | Buffer) => start(args, stdin).end
const logged = (...args: readonly string[]) => ['--log', log(), ...args]
const text = ({ code, stdout, stderr }: End) => [code, stdout.toString(), stderr]

describe('exec', () => {
  it('passes input, output and exit code through, and leaves the trail', async () => {
    const argv = ['sh', '-c', 'cat; echo error >&2; exit 7']
    const input = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 256))
    const { code, stdout, stderr } = await run(logged('--', ...argv), input)
    expect([code, stdout.equals(input), stderr]).toEqual([7, true, 'error\n'])
    expect(trailOf(log())).toEqual([
      requested(argv, { ...UNLIMITED, stdin_bytes: input.length }),
      started,
      exited({ code: 7, stdout_bytes: input.length, stderr_bytes: 6 }),
    ])
  })

  it('records who asks, and takes options of the command as such', async () => {
    const ids = ['--agent', 'a1'.repeat(32), '--machine', 'B2'.repeat(32)]
    expect(text(await run(logged(...ids, 'echo', '-n', '--help')))).toEqual([0, '--help', ''])
    const request = JSON.parse(readFileSync(log(), 'utf8').split('\n')[0] ?? '')
    expect([request.agent_id, request.machine_id]).toEqual(['a1'.repeat(32), 'b2'.repeat(32)])
  })

  it('records a context and a request id, and takes the agent from the principal', async () => {
    const context = ['--context', 'principal=user:alice', '--context', 'session=a=b']
    const id = '0D4B8A5C-0d4b-8a5c-0d4b-8a5c0d4b8a5c'
    expect(text(await run(logged(...context, '--request', id, 'true')))).toEqual([0, '', ''])
    const [request] = readFileSync(log(), 'utf8').split('\n')
    expect(JSON.parse(request ?? '')).toMatchObject({
      request_id: '0d4b8a5c'.repeat(4),
      agent_id: idOf('user:alice'),
      context: { principal: 'user:alice', session: 'a=b' },
    })
    const agent = ['--agent', 'a1'.repeat(32), '--context', 'tool_call=7']
    expect(text(await run(logged(...agent, 'true')))).toEqual([0, '', ''])
    expect(trailOf(log())[3]?.context).toEqual({ tool_call: '7' })
  })

  it.each([
    ['--context', 'alice', 'expected a key and its value, such as principal=user:alice, got alice'],
    ['--context', '1=a', 'expected a key and its value, such as principal=user:alice, got 1=a'],
    ['--request', '12', 'expected a UUID, or 32 hexadecimal digits, got 12'],
  ])('does not run with %s %s', async (option, value, why) => {
    const stderr = `x0x-exec-audit: ${option}: ${why} (--help shows the usage)\n`
    expect(text(await run(logged(option, value, 'true')))).toEqual([125, '', stderr])
    expect(existsSync(log())).toBe(false)
  })

  it('passes output on while the command runs, and signals to it', async () => {
    const script = 'trap "echo ended; exit 9" INT; echo ready; while :; do sleep 0.05; done'
    const { child, end, heard } = start(logged('sh', '-c', script))
    await until('it is not ready', () => heard() === 'ready\n')
    child.kill('SIGINT')
    expect(text(await end)).toEqual([9, 'ready\nended\n', ''])
    expect(trailOf(log()).slice(2)).toEqual([
      warned('cancelled'),
      exited({ code: 9, stdout_bytes: 12 }),
    ])
  })

  it('ends as by the signal that has ended the command', async () => {
    const { child, end, heard } = start(logged('sh', '-c', 'echo ready; exec sleep 600'))
    await until('it is not ready', () => heard() === 'ready\n')
    child.kill('SIGTERM')
    expect(text(await end)).toEqual([143, 'ready\n', ''])
    expect(trailOf(log()).at(-1)).toEqual(exited({ code: null, signal: 15, stdout_bytes: 6 }))
  })

  it('ends with 124 when the time is out', async () => {
    expect(text(await run(logged('--timeout', '100ms', 'sleep', '600')))).toEqual([124, '', ''])
    expect(trailOf(log())).toEqual([
      requested(['sleep', '600'], { timeout_ms: 100, ...BY_USER }),
      started,
      warned('duration_approaching_cap'),
      exited({ code: null, signal: 15 }),
    ])
  })

  it('ends the command when nobody reads its output any more', async () => {
    const { child, end } = start(logged('--no-stdin', 'yes'))
    child.stdout?.once('data', () => child.stdout?.destroy())
    expect((await end).code).toBe(141)
    const [, , warning, exit] = trailOf(log())
    expect(warning).toEqual(warned('peer_disconnected'))
    expect(exit).toMatchObject({ event: 'exit', code: null, signal: 13 })
  })

  it.each([
    ['not-there-at-all', 127, 'not found'],
    [__filename, 126, 'not executable'],
  ])('of %s ends with %d', async (program, code, problem) => {
    expect(text(await run(logged(program)))).toEqual([
      code,
      '',
      `${PREFIX}${program}: ${problem}\n`,
    ])
    expect(trailOf(log())[1]).toEqual({ ...denied([program], 'spawn_failed'), ...BY_USER })
  })

  it('runs nothing that it cannot record', async () => {
    mkdirSync(log())
    const touched = dir.path('touched')
    expect(text(await run(logged('touch', touched)))).toEqual([
      125,
      '',
      `${PREFIX}not run: cannot open the log ${log()}: EISDIR: illegal operation on a directory; the path is a folder; name a file in it\n`,
    ])
    expect(existsSync(touched)).toBe(false)
  })

  it('says when the end is not in the log', async () => {
    // The log is a folder by the time that the command ends.
    const wait = `until grep -q started ${log()}; do sleep 0.05; done`
    // The writer may make the file anew in between, for the start that it has not synced yet.
    const script = `${wait}; until rm -f ${log()} && mkdir ${log()} 2>/dev/null; do :; done`
    const { code, stderr } = await run(logged('sh', '-c', script))
    expect(code).toBe(125)
    expect(stderr).toMatch(
      /^x0x-exec-audit: it ran, but its (started|exit) is not in the log: cannot .+\n$/,
    )
  })

  it('keeps to the caps of a policy, and says what it cut', async () => {
    const policy = dir.path('exec-acl.toml')
    const caps = 'max_stdout_bytes = 4\nmax_stdin_bytes = 10\nmax_duration_secs = 60'
    writeFileSync(policy, `[exec]\nenabled = true\naudit_log_path = "${log()}"\n${caps}\n`)
    const ask = (args: readonly string[], stdin?: string) =>
      run(['--policy', policy, ...args], stdin).then(text)
    expect(await ask(['cat'], '1234567890')).toEqual([
      0,
      '1234',
      `${PREFIX}its output was cut at the policy's cap\n`,
    ])
    expect(await ask(['cat'], '12345678901')).toEqual([
      125,
      '',
      `${PREFIX}not run: stdin_too_large: standard input is longer than 10 bytes; max_stdin_bytes in ${policy} allows no more\n`,
    ])
    const tooLong = await ask(['--timeout', '60001ms', 'true'])
    expect(tooLong).toEqual([
      125,
      '',
      `${PREFIX}not run: timeout_too_large: --timeout 60001ms is longer than 60000 ms; max_duration_secs in ${policy} allows no more\n`,
    ])
    expect(trailOf(log()).map(({ event, reason }) => reason ?? event)).toEqual([
      'request',
      'started',
      'warning',
      'warning',
      'exit',
      'stdin_too_large',
      'timeout_too_large',
    ])
  })

  it('takes 1 MiB of input without a policy, and says so of more', async () => {
    const { code, stderr } = await run(logged('cat'), Buffer.alloc(2 ** 20 + 1))
    expect([code, stderr]).toEqual([
      125,
      `${PREFIX}not run: stdin_too_large: standard input is longer than 1048576 bytes; a --policy may allow more\n`,
    ])
  })

  it('says what it waits for if its input neither sends a byte nor ends', async () => {
    const { child, end, told } = startWith('pipe', logged('cat'))
    const waits = `${PREFIX}waiting for the end of standard input, whose length the request records; --no-stdin or </dev/null gives the command none\n`
    await until('it says nothing', () => told() !== '')
    child.stdin?.end('late')
    expect(text(await end)).toEqual([0, 'late', waits])
  })

  it('does not report a silence if it was held up itself', async () => {
    const held = dir.path('held.js')
    writeFileSync(
      held,
      `${WAITING}
       const fs = require('node:fs')
       const { read } = fs
       fs.read = (fd, ...rest) => {
         if (fd !== 0) return read(fd, ...rest)
         fs.read = read
         stall(2_500)
         pause(20).then(() => read(fd, ...rest))
       }`,
    )
    process.env.NODE_OPTIONS = `--require=${held}`
    const end = run(logged('cat'), 'late').finally(() => delete process.env.NODE_OPTIONS)
    expect(text(await end)).toEqual([0, 'late', ''])
  })

  it('writes a summary to a file', async () => {
    const file = dir.path('summary.json')
    expect(text(await run(logged('--json', file, 'sh', '-c', 'echo 1; exit 3')))).toEqual([
      3,
      '1\n',
      '',
    ])
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      version: 1,
      command: 'exec',
      argv: ['sh', '-c', 'echo 1; exit 3'],
      outcome: 'exited',
      requestId: expect.stringMatching(/^[0-9a-f]{32}$/),
      denialReason: null,
      pid: expect.any(Number),
      code: 3,
      signal: null,
      stoppedBy: null,
      durationMs: expect.any(Number),
      stdoutBytes: 2,
      stderrBytes: 0,
      truncated: false,
      warnings: [],
      events: ['request', 'started', 'exit'].map((event) => ({ event, outcome: 'durable' })),
    })
  })

  it('refuses the log, the policy and its own streams as the summary, before it runs anything', async () => {
    const policy = dir.path('exec-acl.toml')
    writeFileSync(policy, `[exec]\nenabled = true\naudit_log_path = "${log()}"\n`)
    const touched = dir.path('touched')
    const refused = (path: string, what: string) =>
      `${PREFIX}--json: ${path} is ${what}, which it would overwrite; name another file\n`
    const ask = (path: string, args = logged()) => run([...args, '--json', path, 'touch', touched])
    const stdin = dir.path('stdin')
    expect(text(await ask(log()))).toEqual([125, '', refused(log(), 'the log')])
    expect(text(await ask(stdin))).toEqual([125, '', refused(stdin, 'standard input')])
    const byPolicy = ['--policy', policy]
    expect(text(await ask(policy, byPolicy))).toEqual([125, '', refused(policy, 'the policy')])
    expect(text(await ask(log(), byPolicy))).toEqual([125, '', refused(log(), 'the log')])
    expect([existsSync(touched), existsSync(log())]).toEqual([false, false])
  })

  it('refuses a log that its own output, or the policy, goes to', async () => {
    const policy = dir.path('exec-acl.toml')
    const content = `[exec]\nenabled = true\naudit_log_path = "${policy}"\n`
    writeFileSync(policy, content)
    expect(text(await run(['--policy', policy, 'true']))).toEqual([
      125,
      '',
      `${PREFIX}not run: the log ${policy} is the policy, too\n`,
    ])
    expect(readFileSync(policy, 'utf8')).toBe(content)
    for (const [redirection, what] of [
      ['>>', 'standard output'],
      ['2>>', 'standard error'],
    ]) {
      writeFileSync(log(), '')
      const line = `"$0" "$1" exec --log "$2" --no-stdin -- echo text ${redirection}"$2"`
      const shell = spawn('sh', ['-c', line, process.execPath, MAIN, log()], { stdio: 'ignore' })
      running.add(shell)
      const [code] = await once(shell, 'exit')
      const said = readFileSync(log(), 'utf8')
      const message = `${PREFIX}not run: the log ${log()} is ${what}, too\n`
      expect([code, said]).toEqual([125, what === 'standard error' ? message : ''])
    }
  })

  it('says that its summary is missing if that cannot be written', async () => {
    const { code, stderr } = await run(logged('--json', '/dev/full', 'echo', 'text'))
    expect([code, stderr]).toEqual([
      125,
      `${PREFIX}its summary is missing: --json: ENOSPC: no space left on device, write\n`,
    ])
    expect(trailOf(log()).at(-1)).toMatchObject({ event: 'exit', code: 0 })
  })

  it('reads its input a byte at a time', async () => {
    const { child, end } = startWith('pipe', logged('sh', '-c', 'wc -c'))
    for (let i = 0; i < 2_000; i++) child.stdin?.write('x')
    child.stdin?.end()
    expect((await end).stdout.toString().trim()).toBe('2000')
  })

  describe('over a disk that hangs', () => {
    const hung = () => straceBeside(log(), 'fdatasync:delay_enter=100000000')

    itWithStrace('says what it waits for, and ends by the signal that it gets', async () => {
      const touched = dir.path('touched')
      const { child, end, told } = startWith('ignore', logged('touch', touched), hung())
      await until('it says nothing', () => told().includes('waiting'))
      child.kill('SIGTERM')
      // The thread that strace holds is all that is left of it.
      await until('it does not give up', () => !isRunning(child.pid ?? 0))
      expect(told()).toContain('ending by SIGTERM')
      endStrace(child)
      const { stderr } = await end
      expect(child.signalCode).toBe('SIGTERM')
      expect(stderr.replace(/^strace: .*\n/gm, '')).toBe(
        [
          "waiting for the log's disk to record the request; the command has not been started, and SIGINT ends the waiting",
          'not run: it was cancelled before its start',
          "the log's disk does not answer: ending by SIGTERM, without waiting for it",
        ]
          .map((line) => `${PREFIX}${line}\n`)
          .join(''),
      )
      expect(existsSync(touched)).toBe(false)
    })
  })

  it('gives the command this environment, or a clean one', async () => {
    process.env.AUDIT_TEST_NAME = 'seen'
    const show = ['sh', '-c', 'echo $AUDIT_TEST_NAME']
    const [inherited, clean] = await Promise.all([
      run(logged(...show)),
      run(logged('--clean-env', ...show)),
    ])
    delete process.env.AUDIT_TEST_NAME
    expect([text(inherited), text(clean)]).toEqual([
      [0, 'seen\n', ''],
      [0, '\n', ''],
    ])
  })

  it('that is killed leaves a request without an end, and its command runs on', async () => {
    const { child, end, heard } = start(logged('sh', '-c', 'echo $$; exec sleep 600'))
    await until('it is not ready', () => heard().endsWith('\n'))
    await until('it is not recorded', () => trailOf(log()).length === 2)
    child.kill('SIGKILL')
    await end
    const pid = Number(heard())
    expect(isRunning(pid)).toBe(true)
    process.kill(pid, 'SIGKILL')
    expect(trailOf(log()).map(({ event }) => event)).toEqual(['request', 'started'])
  })

  it.each([
    [
      ['--log', '/x'],
      /^x0x-exec-audit: missing required argument 'command' \(--help shows the usage\)\n$/,
    ],
    [['--bogus', 'ls'], /^x0x-exec-audit: unknown option '--bogus' \(/],
    [
      ['--log', '/x', '--policy', '/y', 'ls'],
      /'--log <file>' cannot be used with .*'--policy <file>'/,
    ],
    [['--log', '', 'ls'], /expected the path of a file .*, got '' \(/],
    [['--policy', '', 'ls'], /expected the path of a file .*, got '' \(/],
    [
      ['--timeout', '0', 'ls'],
      /: --timeout: expected a unit: 0ms is 0 milliseconds, 0s is 0 seconds, got 0 \(/,
    ],
    [
      ['--timeout', '30', 'ls'],
      /: --timeout: expected a unit: 30ms is 30 milliseconds, 30s is 30 seconds, got 30 \(/,
    ],
    [
      ['--timeout', '0s', 'ls'],
      /: --timeout: expected a time such as 30s, 1500ms or 5min, from 1ms to 24d, got 0s \(/,
    ],
    [
      ['--agent', 'xyz', 'ls'],
      /: --agent: expected 64 hexadecimal digits \(idOf makes them of a name\), got xyz \(/,
    ],
    [['--policy', '/no/such.toml', 'ls'], /: \/no\/such\.toml: there is no such file\n$/],
    [['--log', '/x', '--json', '/no/such/folder/x', 'ls'], /--json: ENOENT/],
    [['--log', '/x', '--json', '--', 'ls'], /: --json: expected the path of a file .*, got -- \(/],
  ])('of %j is a mistake, with 125', async (args, message) => {
    const { code, stdout, stderr } = await run(args)
    expect([code, stdout.toString()]).toEqual([125, ''])
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/\n {4}at /)
  })

  it('has help with examples', async () => {
    const { code, stdout } = await run(['--help'])
    expect(code).toBe(0)
    expect(stdout.toString()).toMatch(
      /\nExamples:\n {2}\$ x0x-exec-audit exec --log [\s\S]+Exit codes: /,
    )
  })
})
