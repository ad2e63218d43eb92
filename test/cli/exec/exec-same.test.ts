import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { itWithMounts, privileged, unmount } from '../../support/privileged'
import { isRunning, trailOf } from '../../support/runner'
import { useTempDir } from '../../support/temp-dir'
import { until } from '../../support/waiting'

/*
 * `CMD` and `exec -- CMD` over the same descriptors: what both leave must be the same. What cannot be is
 * on docs/command-line.md, and stands here as what it is.
 */

const MAIN = join(__dirname, '../../../dist/cli/main.js')

const dir = useTempDir()
const log = () => dir.path('exec.log')

interface Seen {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

const running = new Set<ReturnType<typeof spawn>>()
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
})

/** Starts a shell's line in which $RUN stands before the command: nothing, or `exec`. */
function start(line: string, prefix: string) {
  const script = line.replaceAll('$RUN ', prefix)
  const child = spawn('bash', ['-c', script], {
    cwd: dir.path('.'),
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('latin1').on('data', (text) => {
    output.stdout += text
  })
  child.stderr.setEncoding('latin1').on('data', (text) => {
    output.stderr += text
  })
  const end = new Promise<Seen>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...output }))
  })
  return { child, end, output }
}

const execPrefix = (...options: readonly string[]) =>
  [process.execPath, MAIN, 'exec', '--log', log(), ...options, '-- '].join(' ')
const bare = (line: string) => start(line, '').end
const run = (line: string, ...options: readonly string[]) => start(line, execPrefix(...options)).end

/** What a line leaves both ways: the outcome, and the file out if there is one. */
async function both(line: string, ...options: readonly string[]) {
  const file = () => (existsSync(dir.path('out')) ? readFileSync(dir.path('out'), 'latin1') : '')
  const [plain, plainFile] = [await bare(line), file()]
  const [audited, auditedFile] = [await run(line, ...options), file()]
  return { plain: { ...plain, file: plainFile }, audited: { ...audited, file: auditedFile } }
}

describe('a command and the same run by exec', () => {
  it.each([
    ...[0, 1, 2, 42, 124, 125, 126, 127, 128, 255].map((code) => `$RUN sh -c 'exit ${code}'`),
    `$RUN sh -c 'echo out; echo err >&2; exit 3'`,
    `$RUN sh -c 'printf "\\\\000\\\\377\\\\351"'`,
    `printf 'caf\\351\\000' | $RUN cat`,
    `$RUN cat </dev/null`,
    `$RUN cat <<<text`,
    `echo before >out; $RUN echo after >>out`,
    `{ echo before; $RUN echo after; } >out`,
    `$RUN seq 100000 | tail -1`,
    `$RUN printf %s 'ü€😀' '' 'a b' $'\\n'`,
    `ODD=é $RUN sh -c 'echo $ODD'`,
    `$RUN sh -c 'pwd'`,
    `cd /; $RUN sh -c 'pwd'`,
    `set -o pipefail; $RUN yes | head -1`,
    `set -o pipefail; $RUN sh -c 'yes >&2' 2>&1 >/dev/null | head -1`,
    `$RUN sh -c '(sleep 0.1; echo late) & echo now'`,
    `$RUN sh -c '(sleep 3 >/dev/null 2>&1) & echo now; exit 4'`,
    `$RUN sh -c 'umask'`,
    `ulimit -n 100; $RUN sh -c 'ulimit -n'`,
  ])('%s', async (line) => {
    const { plain, audited } = await both(line)
    expect(audited).toEqual(plain)
  })

  const numbers = [...new Set(Object.values(constants.signals))].filter((n) => n <= 31)
  // Those that a process ignores, or that stop it, if nobody has said otherwise.
  const NO_END = [
    'SIGCHLD',
    'SIGCONT',
    'SIGURG',
    'SIGWINCH',
    'SIGSTOP',
    'SIGTSTP',
    'SIGTTIN',
    'SIGTTOU',
  ]
  const noEnd = new Set(
    Object.entries(constants.signals)
      .filter(([name]) => NO_END.includes(name))
      .map(([, n]) => n),
  )
  it.each(numbers.filter((n) => !noEnd.has(n)))('ends by signal %d', async (number) => {
    const { plain, audited } = await both(`ulimit -c 0; $RUN sh -c 'kill -${number} $$'; echo $?`)
    expect(audited.stdout).toBe(plain.stdout)
  })

  it.each([
    ['/dev/full', `$RUN echo text >/dev/full`],
    ['/dev/full, by the end', `$RUN seq 100000 >/dev/full`],
    ['/dev/full, with a code of its own', `$RUN sh -c 'echo text; exit 5' >/dev/full`],
    ['/dev/full for errors', `$RUN sh -c 'echo text >&2' 2>/dev/full`],
    [
      '/dev/full for errors, with a code of its own',
      `$RUN sh -c 'echo text >&2; exit 5' 2>/dev/full`,
    ],
    ['/dev/full for both', `$RUN ls / /no/such/file >/dev/full 2>&1`],
  ])('ends alike over a full disk: %s', async (_, line) => {
    const { plain, audited } = await both(line)
    expect(audited.code).toBe(plain.code)
    expect(audited.code).not.toBe(0)
  })

  itWithMounts('fills a disk alike', async () => {
    const disk = dir.path('disk')
    mkdirSync(disk)
    privileged('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk)
    try {
      for (const bytes of [10_000, 64 * 1024, 64 * 1024 + 1, 1_000_000]) {
        const line = `$RUN head -c ${bytes} /dev/zero >disk/out; echo $?; stat -c %s disk/out; rm disk/out`
        const { plain, audited } = await both(line)
        expect(audited.stdout).toBe(plain.stdout)
      }
    } finally {
      unmount(disk)
    }
  })
})

describe('what cannot be the same', () => {
  it.each([
    ['standard output', `$RUN echo text >&-`, 1],
    ['standard input', `$RUN cat <&-`, 1],
  ])('is a closed %s, which Node opens as /dev/null', async (_, line, code) => {
    const { plain, audited } = await both(line)
    expect([plain.code, audited.code]).toEqual([code, 0])
  })

  it('is a closed standard error, but not the code', async () => {
    const { plain, audited } = await both(`$RUN ls /no/such/file 2>&-`)
    expect(audited.code).toBe(plain.code)
  })

  it('is the order of output and errors in one file: each comes through a pipe of its own', async () => {
    const line = `$RUN sh -c 'echo 1; echo 2 >&2; echo 3' >out 2>&1; sort out`
    const { plain, audited } = await both(line)
    expect(audited.stdout).toBe(plain.stdout)
  })

  it.each([
    ['an argument', `$RUN printf %s $'caf\\351'`],
    ['half a character', `$RUN touch $'a\\342\\202'`],
    ['a program', `$RUN ./$'caf\\351'`],
  ])('is %s that is not UTF-8: nothing is run', async (_, line) => {
    const { code, stdout, stderr } = await run(line, '--no-stdin')
    expect([code, stdout]).toEqual([125, ''])
    expect(stderr).toMatch(
      /^x0x-exec-audit: argument \d+, .+, is not UTF-8, and would be changed\n$/,
    )
    expect(existsSync(log())).toBe(false)
  })

  it('is a variable that is not UTF-8, unless the environment is clean', async () => {
    const line = `ODD=$'v\\351' $RUN echo ran`
    const { code, stdout, stderr } = await run(line, '--no-stdin')
    expect([code, stdout]).toEqual([125, ''])
    expect(stderr).toBe(
      'x0x-exec-audit: not run: the variable ODD is not UTF-8, and would reach the command changed; unset it, or give --clean-env\n',
    )
    expect(await run(line, '--no-stdin', '--clean-env')).toMatchObject({ code: 0, stdout: 'ran\n' })
  })

  it('is a relative path in a folder that is not UTF-8', async () => {
    const line = (path: string) =>
      `mkdir $'f\\351'; cd $'f\\351'; env -u PWD -u OLDPWD ${process.execPath} ${MAIN} exec --log ${path} --no-stdin -- echo ran`
    const { code, stderr } = await bare(line('relative.log'))
    expect([code, stderr]).toEqual([
      125,
      'x0x-exec-audit: not run: the path of the working folder is not UTF-8; name files by whole paths\n',
    ])
    expect(await bare(line(log()))).toMatchObject({ code: 0, stdout: 'ran\n' })
  })

  it('is a relative log in a folder that is gone', async () => {
    const line = (path: string) =>
      `mkdir gone; cd gone; rmdir ../gone; ${process.execPath} ${MAIN} exec --log ${path} --no-stdin -- echo ran`
    expect(await bare(line('relative.log'))).toMatchObject({
      code: 125,
      stderr: 'x0x-exec-audit: not run: the working folder is gone; name files by whole paths\n',
    })
    expect(await bare(line(log()))).toMatchObject({ code: 0, stdout: 'ran\n' })
  })

  it('is /dev/stdout, which is a socket; behind a pipe it is one', async () => {
    const direct = await run(`$RUN sh -c 'echo text >/dev/stdout'`, '--no-stdin')
    expect([direct.code, direct.stdout]).toEqual([2, ''])
    const piped = await run(`$RUN sh -c '{ echo text >/dev/stdout; } | cat'`, '--no-stdin')
    expect([piped.code, piped.stdout]).toEqual([0, 'text\n'])
  })

  it('is a real-time signal that ends the command, unless a shell is above it', async () => {
    const { code } = await run(`$RUN bash -c 'kill -34 $$; sleep 5'`, '--no-stdin')
    expect(code).toBe(0)
    const line = `$RUN bash -c '"$@"; exit' bash bash -c 'kill -34 $$; sleep 5'`
    const above = await run(line, '--no-stdin')
    expect(above.code).toBe(128 + 34)
  })
})

/** Those that JavaScript can catch, and that are not about this process itself. */
const RELAYED = Object.keys(constants.signals).filter(
  (name) =>
    !['SIGKILL', 'SIGSTOP', 'SIGCHLD', 'SIGXFSZ', 'SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL'].includes(
      name,
    ),
) as NodeJS.Signals[]

describe('a signal', () => {
  /** A command that reports the signal when it gets it. */
  const trapping = (name: NodeJS.Signals) =>
    `trap "echo got it; exit 9" ${constants.signals[name]}; echo up; while :; do sleep 0.02; done`

  it.each(RELAYED)('%s reaches the command, and its end is recorded', async (name) => {
    const line = `exec $RUN sh -c '${trapping(name)}'`
    const { child, end, output } = start(line, execPrefix('--no-stdin'))
    await until('it is not up', () => output.stdout === 'up\n')
    child.kill(name)
    expect(await end).toMatchObject({ code: 9, stdout: 'up\ngot it\n' })
    expect(trailOf(log()).at(-1)).toMatchObject({ event: 'exit', code: 9 })
  })

  it.each(RELAYED.filter((name) => !/^SIG(CONT|URG|WINCH|TSTP|TTIN|TTOU)$/.test(name)))(
    '%s ends a command that does not mind it',
    async (name) => {
      const { child, end, output } = start(
        `exec $RUN sh -c 'echo $$; exec sleep 600'`,
        execPrefix('--no-stdin'),
      )
      await until('it is not up', () => output.stdout.endsWith('\n'))
      child.kill(name)
      const number = constants.signals[name]
      expect(await end).toMatchObject({ code: 128 + number, signal: null, stderr: '' })
      expect(isRunning(Number(output.stdout))).toBe(false)
      expect(trailOf(log()).at(-1)).toMatchObject({ event: 'exit', code: null, signal: number })
    },
  )

  it('that comes again comes again', async () => {
    const script =
      'n=0; f() { n=$((n+1)); echo $n; }; trap f INT; echo up; while [ $n -lt 3 ]; do sleep 0.02; done; exit 7'
    const { child, end, output } = start(`exec $RUN sh -c '${script}'`, execPrefix('--no-stdin'))
    for (const seen of ['up\n', 'up\n1\n', 'up\n1\n2\n']) {
      await until('it is not seen', () => output.stdout === seen)
      child.kill('SIGINT')
    }
    expect((await end).code).toBe(7)
  })

  it('that stops a job stops its command with it, until both go on', async () => {
    const job = `sh -c 'echo command $$; while :; do sleep 0.02; done'`
    const line = `set -m; $RUN ${job} & echo exec $!; while kill -0 $! 2>/dev/null; do sleep 0.05; done`
    const { end, output } = start(line, execPrefix('--no-stdin'))
    await until('it is not up', () => output.stdout.split('\n').length === 3)
    // Either may be the first.
    const pidOf = (name: string) =>
      Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(output.stdout)?.[1])
    const [exec, command] = [pidOf('exec'), pidOf('command')]
    const stateOf = (pid: number) =>
      /^State:\t(.)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    process.kill(exec, 'SIGTSTP')
    await until('they are not stopped', () => stateOf(exec) === 'T' && stateOf(command) === 'T')
    process.kill(exec, 'SIGCONT')
    await until('it does not go on', () => stateOf(exec) !== 'T' && stateOf(command) !== 'T')
    process.kill(exec, 'SIGTERM')
    await end
    expect(isRunning(command)).toBe(false)
  })

  it('that no terminal sends reaches the command alone, and not what it has started', async () => {
    const script = 'trap "echo got it" USR1; echo up; sleep 0.5; echo slept $?'
    const { child, end, output } = start(`exec $RUN sh -c '${script}'`, execPrefix('--no-stdin'))
    await until('it is not up', () => output.stdout === 'up\n')
    child.kill('SIGUSR1')
    expect((await end).stdout).toBe('up\ngot it\nslept 0\n')
  })

  it('does not open the inspector, not even while the input is read', async () => {
    const { child, end, output } = start(
      `exec $RUN cat < <(exec sleep 20 2>/dev/null)`,
      execPrefix(),
    )
    await until('it does not say that it waits', () => output.stderr.includes('waiting'))
    child.kill('SIGUSR1')
    const { signal, stderr } = await end
    expect([signal, stderr.includes('Debugger')]).toEqual(['SIGUSR1', false])
    expect(existsSync(log())).toBe(false)
  })
})
