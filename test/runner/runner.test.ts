import { chmodSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { scrubbedEnvironment } from '../../src'
import { ASKED, denied, exited, node, openRunner, requested, started } from '../support/runner'
import { useTempDir } from '../support/temp-dir'
import { pause, turn } from '../support/waiting'

const dir = useTempDir()
const log = () => dir.path('exec.log')

describe('a command that runs', () => {
  it('leaves request, started and exit, and returns its output', async () => {
    const { run, trail } = openRunner(log())
    const argv = ['sh', '-c', 'printf out; printf error >&2; exit 3']
    const result = await run(argv, { matchedAcl: 'rule-1', timeoutMs: 30_000 })
    expect(result).toEqual({
      outcome: 'exited',
      requestId: ASKED.requestId,
      denialReason: null,
      pid: expect.any(Number),
      code: 3,
      signal: null,
      stoppedBy: null,
      durationMs: expect.any(Number),
      stdout: Buffer.from('out'),
      stderr: Buffer.from('error'),
      stdoutBytes: 3,
      stderrBytes: 5,
      truncated: false,
      warnings: [],
      trail: ['request', 'started', 'exit'].map((event) => ({ event, outcome: 'durable' })),
    })
    expect(trail()).toEqual([
      requested(argv, { matched_acl: 'rule-1', timeout_ms: 30_000 }),
      started,
      exited({ code: 3, stdout_bytes: 3, stderr_bytes: 5 }),
    ])
  })

  it('has a request id of its own if none is given', async () => {
    const { run } = openRunner(log())
    const runs = await Promise.all([1, 2].map(() => run(['true'], { requestId: undefined })))
    const ids = runs.map(({ requestId }) => requestId)
    expect(new Set(ids).size).toBe(2)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/)
  })

  it('is spawned only once its request is durable', async () => {
    const { run, trail } = openRunner(log())
    const { stdout } = await run(['cat', log()])
    expect(stdout.toString().split('\n').length).toBeGreaterThanOrEqual(2)
    expect(JSON.parse(stdout.toString().split('\n')[0] ?? '')).toMatchObject({ event: 'request' })
    expect(trail().length).toBe(3)
  })

  it('gets its arguments as they are, with no shell between', async () => {
    const { run } = openRunner(log())
    const args = ['$HOME', '*', 'a b', '', '`id`', "'", '\n', 'ü€😀', '-n']
    const { stdout } = await run(
      node('console.log(JSON.stringify(process.argv.slice(1)))', ...args),
    )
    expect(JSON.parse(stdout.toString())).toEqual(args)
  })

  it('gets x0x’s environment and nothing else, or the one that is given', async () => {
    process.env.AUDIT_TEST_SECRET = 'secret'
    const { run } = openRunner(log())
    const script = 'console.log(JSON.stringify(process.env))'
    const scrubbed = await run(node(script))
    expect(JSON.parse(scrubbed.stdout.toString())).toEqual({
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: expect.any(String),
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
    })
    expect(JSON.parse(scrubbed.stdout.toString())).toEqual(scrubbedEnvironment())
    const given = await run(node(script), { env: { ONLY: 'this', NOT: undefined } })
    expect(JSON.parse(given.stdout.toString())).toEqual({ ONLY: 'this' })
    delete process.env.AUDIT_TEST_SECRET
  })

  it('runs in the folder that is given', async () => {
    mkdirSync(dir.path('here'))
    const { run } = openRunner(log())
    const { stdout } = await run(['pwd', '-P'], { cwd: dir.path('here') })
    expect(stdout.toString()).toBe(`${realpathSync(dir.path('here'))}\n`)
  })

  it.each([
    ['a string', 'grüße', 7],
    ['bytes', Uint8Array.from({ length: 256 }, (_, i) => i), 256],
    ['more than a pipe holds', Buffer.alloc(1_000_000, 'x'), 1_000_000],
  ])('reads %s as its standard input, and repeats it byte for byte', async (_, stdin, length) => {
    const { run, trail } = openRunner(log())
    const { stdout } = await run(['cat'], { stdin })
    expect(stdout.equals(Buffer.from(stdin))).toBe(true)
    expect(trail()).toEqual([
      requested(['cat'], { stdin_bytes: length }),
      started,
      exited({ stdout_bytes: length }),
    ])
  })

  it('reads the end of input if none is given', async () => {
    const { run } = openRunner(log())
    const ends = await Promise.all([run(['cat']), run(['cat'], { stdin: '' })])
    expect(ends.map(({ code, stdoutBytes }) => [code, stdoutBytes])).toEqual([
      [0, 0],
      [0, 0],
    ])
  })

  it('need not read its input', async () => {
    const { run, trail } = openRunner(log())
    const argv = ['sh', '-c', 'exec <&-; echo closed']
    const { code, stdout, error } = await run(argv, { stdin: Buffer.alloc(1_000_000) })
    expect([code, stdout.toString(), error]).toEqual([0, 'closed\n', undefined])
    expect(trail().at(-1)).toEqual(exited({ stdout_bytes: 7 }))
  })

  it('streams to listeners one chunk at a time, waiting for each, in order', async () => {
    const { run, trail } = openRunner(log())
    const script = 'process.stdout.write(Buffer.alloc(1e6, "0123456789")); console.error("e")'
    const chunks: Buffer[] = []
    let busy = 0
    let most = 0
    const pids: number[] = []
    const result = await run(node(script), {
      onSpawn: (pid) => void pids.push(pid),
      onStdout: async (chunk) => {
        most = Math.max(most, ++busy)
        await turn()
        chunks.push(chunk)
        busy--
      },
    })
    expect(most).toBe(1)
    expect(Buffer.concat(chunks).equals(Buffer.alloc(1e6, '0123456789'))).toBe(true)
    expect([result.stdout.length, result.stderr.toString()]).toEqual([0, 'e\n'])
    expect(pids).toEqual([result.pid])
    expect(trail().at(-1)).toEqual(exited({ stdout_bytes: 1e6, stderr_bytes: 2 }))
  })

  it('is not read while a listener is busy, so that it waits, too', async () => {
    const { run } = openRunner(log())
    const cancel = new AbortController()
    const { stdoutBytes } = await run(['yes'], {
      cancel: cancel.signal,
      onStdout: async () => {
        // Time in which it could write a hundred times as much.
        await pause(200)
        cancel.abort()
      },
    })
    expect(stdoutBytes).toBeLessThan(2 ** 20)
  })

  it.each(['onSpawn', 'onStdout', 'onStderr'])(
    'keeps its trail when %s throws, and reports the first error',
    async (name) => {
      const { run, trail } = openRunner(log())
      const argv = ['sh', '-c', 'echo out; echo error >&2']
      const mistake = new Error('a mistake of the embedder')
      const result = await run(argv, {
        [name]: () => {
          throw mistake
        },
      })
      expect([result.code, result.error]).toEqual([0, mistake])
      expect(trail()).toEqual([
        requested(argv),
        started,
        exited({ stdout_bytes: 4, stderr_bytes: 6 }),
      ])
    },
  )

  it('may be one of many at once, each with its own trail', async () => {
    const { run, trail } = openRunner(log())
    const argvs = Array.from({ length: 20 }, (_, i) => ['sh', '-c', `printf ${i}; exit ${i}`])
    const runs = await Promise.all(argvs.map((argv) => run(argv, { requestId: undefined })))
    expect(runs.map(({ code, stdout }) => [code, stdout.toString()])).toEqual(
      argvs.map((_, i) => [i, String(i)]),
    )
    expect(trail().length).toBe(60)
    expect(process.listenerCount('exit')).toBeLessThan(5)
  })
})

describe('a command that cannot be spawned', () => {
  const unspawnable = [
    ['that is not there', () => ['/no/such/command'], 'ENOENT'],
    ['that no folder of PATH has', () => ['no-such-command-anywhere'], 'ENOENT'],
    ['that may not be executed', () => [dir.path('plain')], 'EACCES'],
    ['with more arguments than a process can have', () => ['true', 'x'.repeat(3e6)], 'E2BIG'],
    ['with an empty name', () => [''], 'ERR_INVALID_ARG_VALUE'],
    ['below what is no folder', () => [dir.path('plain/sub')], 'ENOTDIR'],
  ] as const
  it.each(unspawnable)('%s is denied: spawn_failed', async (_, argvOf, code) => {
    writeFileSync(dir.path('plain'), 'text')
    chmodSync(dir.path('plain'), 0o600)
    const { run, trail } = openRunner(log())
    const argv = [...argvOf()]
    const { outcome, denialReason, pid, error } = await run(argv)
    expect([outcome, denialReason, pid]).toEqual(['denied', 'spawn_failed', null])
    expect(error).toMatchObject({ code })
    expect(trail()).toEqual([requested(argv), denied(argv, 'spawn_failed')])
  })

  it('in a folder that is missing is denied: spawn_failed', async () => {
    const { run, trail } = openRunner(log())
    const cwd = dir.path('missing')
    const { denialReason, error } = await run(['true'], { cwd })
    expect(error).toMatchObject({
      message: `the working directory ${dir.path('missing')} is no folder`,
      cause: { code: 'ENOENT' },
    })
    expect(denialReason).toBe('spawn_failed')
    const context = { cwd }
    expect(trail()).toEqual([
      requested(['true'], { context }),
      { ...denied(['true'], 'spawn_failed'), context },
    ])
  })
})

describe('a command that is refused', () => {
  const touch = () => ['touch', dir.path('touched')]
  it.each([
    ['without a program', () => [], {}, 'argv_not_allowed', 'argv has no program'],
    [
      'with a NUL character',
      () => ['echo', 'a\0b'],
      {},
      'shell_metachar_in_argv',
      'argv[1] has a NUL character',
    ],
    [
      'with more input than the cap',
      touch,
      { stdin: Buffer.alloc(11) },
      'stdin_too_large',
      'stdin has 11 bytes; limits.maxStdinBytes allows 10',
    ],
    [
      'with a longer time limit than the cap',
      touch,
      { timeoutMs: 1_001 },
      'timeout_too_large',
      'timeoutMs is 1001; limits.maxDurationMs allows 1000',
    ],
  ])('%s leaves a denial and nothing else', async (_, argvOf, options, reason, problem) => {
    const { run, trail } = openRunner(log())
    const argv = argvOf()
    const limits = { maxStdinBytes: 10, maxDurationMs: 1_000 }
    const result = await run(argv, { limits, ...options })
    expect([result.outcome, result.denialReason, result.pid]).toEqual(['denied', reason, null])
    expect(result.error).toEqual(new RangeError(problem))
    expect(result.trail).toEqual([{ event: 'denial', outcome: 'durable' }])
    expect(trail()).toEqual([denied(argv, reason)])
  })

  it('is not refused at the caps themselves', async () => {
    const { run } = openRunner(log())
    const limits = { maxStdinBytes: 10, maxDurationMs: 60_000 }
    const stdin = Buffer.alloc(10)
    expect((await run(['true'], { limits, stdin, timeoutMs: 60_000 })).code).toBe(0)
  })
})
