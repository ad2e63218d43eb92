import { closeSync, write as fsWrite, openSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { codeOf } from '../../base/describe'
import { I32_MAX } from '../../base/integers'
import { type LoadedExecPolicy, loadExecPolicy } from '../../policy-file/load-exec-policy'
import { DEFAULT_RUN_LIMITS, type RunLimits } from '../../runner/limits'
import { type AuditedRun, runAudited } from '../../runner/run-audited'
import { type OutputListener, scrubbedEnvironment } from '../../runner/run-options'
import { painter } from '../../toolkit/text/colour'
import { ExecAudit } from '../../writer/exec-audit'
import { AuditError } from '../../writer/failure/audit-error'
import { ExecDiagnostics } from '../../writer/failure/diagnostics'
import { CliError, messageOf } from '../shared/errors'
import { formatJson } from '../shared/json'
import { readStdin } from '../shared/stdin-input'

interface ExecOptions {
  readonly log?: string
  readonly policy?: string
  readonly agent: string
  readonly machine: string
  readonly timeout?: number
  readonly stdin: boolean
  readonly cleanEnv?: true
  readonly json?: string
}

/** The exit codes of docker, env and timeout(1). */
const EXIT_TIMEOUT = 124
const EXIT_OWN = 125
const EXIT_NOT_EXECUTABLE = 126
const EXIT_NOT_FOUND = 127
const EXIT_SIGNAL = 128

const NOBODY = '0'.repeat(64)
const STDOUT = 1
const STDERR = 2
const RETRY_MS = 5
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const write = promisify(fsWrite)

/** Without a policy there are no caps: all output of a command is passed on. */
const NO_CAPS: Partial<RunLimits> = {
  maxStdoutBytes: Number.MAX_SAFE_INTEGER,
  maxStderrBytes: Number.MAX_SAFE_INTEGER,
  maxDurationMs: I32_MAX,
  warnStdoutBytes: 0,
  warnStderrBytes: 0,
  warnDurationMs: 0,
}

const EXAMPLES = `
Standard input that is not a terminal is read to its end before the command starts, since the request
records its length: at most 1 MiB, or the policy's cap. If it never ends, as in CI
or under ssh, give --no-stdin or </dev/null; after 2 s of silence a note says so.
SIGINT, SIGTERM and SIGHUP go to the command and to every process that it has started, and SIGKILL
5 s later.

Examples:
  $ x0x-exec-audit exec --log /var/log/gateway/exec.log -- systemctl restart nginx
  $ x0x-exec-audit exec --policy /etc/x0x/exec-acl.toml --timeout 30000 -- pg_dump orders > orders.sql
  $ x0x-exec-audit exec --log exec.log --no-stdin --json summary.json -- make deploy
  $ x0x-exec-audit exec --log exec.log -- psql orders < migration.sql

Exit codes: the command's own, or 128 + n if signal n ended it; 124 its time was up, 125 it was not run
or not recorded, 126 it is not executable, 127 it was not found.`

export function configure(command: Command): void {
  // Options after the command's name are the command's.
  command.parent?.enablePositionalOptions()
  command
    .passThroughOptions()
    .exitOverride((error) => {
      throw new CommanderError(error.exitCode === 0 ? 0 : EXIT_OWN, error.code, error.message)
    })
    .description(
      'Runs one command and leaves its trail in the audit log. A command that cannot be recorded is not run.',
    )
    .argument('<command...>', 'the program and its arguments; no shell is involved')
    .addOption(
      new Option('--log <file>', 'the log to append to; output is not capped')
        .argParser(fileName)
        .conflicts('policy'),
    )
    .addOption(
      new Option(
        '--policy <file>',
        "x0x's policy file, for the log and the caps (default: x0x's own)",
      ).argParser(fileName),
    )
    .addOption(idOption('--agent <hex>', 'the agent that asks, as 64 hexadecimal digits'))
    .addOption(
      idOption('--machine <hex>', 'the machine that it asks from, as 64 hexadecimal digits'),
    )
    .addOption(
      new Option(
        '--timeout <ms>',
        "send SIGTERM after this time and SIGKILL 5 s later (default: the policy's cap, or never)",
      ).argParser(millis),
    )
    .option('--no-stdin', 'give the command no standard input')
    .option('--clean-env', 'give it only PATH, HOME, LANG and LC_ALL, as x0x does')
    .addOption(
      new Option(
        '--json <file>',
        "write a summary of the run as JSON; standard output is the command's",
      ).argParser(fileName),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (argv: readonly string[], options: ExecOptions) => {
      process.exitCode = await run(argv, options)
    })
}

function idOption(flags: string, description: string): Option {
  return new Option(flags, description)
    .argParser((text) => {
      if (/^[0-9a-f]{64}$/i.test(text)) return text
      throw new InvalidArgumentError('Expected 64 hexadecimal digits.')
    })
    .default(NOBODY, 'zeros')
}

function fileName(text: string): string {
  if (text !== '' && !text.startsWith('-')) return text
  throw new InvalidArgumentError('Expected the path of a file (./ before one that begins with -).')
}

function millis(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 1 && value <= I32_MAX) return value
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${I32_MAX}.`)
}

async function run(argv: readonly string[], options: ExecOptions): Promise<number> {
  const loaded = options.log === undefined ? policyOf(options.policy) : undefined
  const summary = options.json === undefined ? undefined : openSummary(options.json)
  const audit = new ExecAudit(
    loaded?.policy ?? { enabled: true, auditLogPath: options.log ?? '' },
    new ExecDiagnostics(),
    { failureMode: 'closed', logger: { warn: tellWarning } },
  )
  try {
    const result = await runThrough(audit, argv, options, loaded)
    if (summary !== undefined) writeSummary(summary, argv, result)
    checkTaken(result, options, loaded)
    return exitCodeOf(result, argv)
  } catch (thrown) {
    throw thrown instanceof AuditError ? ownError(`not run: ${thrown.message}`) : thrown
  } finally {
    await audit.close()
  }
}

function policyOf(path: string | undefined): LoadedExecPolicy {
  let loaded: LoadedExecPolicy
  try {
    loaded = loadExecPolicy(path)
  } catch (thrown) {
    throw ownError(messageOf(thrown))
  }
  if (loaded.policy.enabled) return loaded
  throw ownError(
    `not run: the policy is disabled (${loaded.policy.reason}): give --log <file>, or set enabled = true under [exec] in ${loaded.path}`,
  )
}

/** Failures of the log are reported with the outcome; other warnings here, such as a torn tail. */
function tellWarning(object: Record<string, unknown>, message: string): void {
  if (!(object.err instanceof AuditError)) tell(message)
}

function tell(message: string): void {
  process.stderr.write(`${painter(process.stderr)('red', 'x0x-exec-audit:')} ${message}\n`)
}

function ownError(message: string): CliError {
  return new CliError(message, EXIT_OWN)
}

async function runThrough(
  audit: ExecAudit,
  argv: readonly string[],
  { agent, machine, timeout, stdin, cleanEnv }: ExecOptions,
  loaded: LoadedExecPolicy | undefined,
): Promise<AuditedRun> {
  const limits = loaded?.limits ?? NO_CAPS
  const { maxStdinBytes = DEFAULT_RUN_LIMITS.maxStdinBytes } = limits
  const input = stdin ? await readStdin(maxStdinBytes, tellStdin) : undefined
  const cancel = new AbortController()
  const reader = new AbortController()
  const forwards = FORWARDED.map((signal) => [signal, () => cancel.abort(signal)] as const)
  for (const [signal, forward] of forwards) process.on(signal, forward)
  try {
    return await runAudited(audit, {
      argv,
      agentId: agent,
      machineId: machine,
      stdin: input,
      timeoutMs: timeout,
      limits,
      env: cleanEnv ? scrubbedEnvironment() : process.env,
      cwd: loaded?.defaultCwd,
      cancel: cancel.signal,
      peer: reader.signal,
      onStdout: passTo(STDOUT, reader),
      onStderr: passTo(STDERR, reader),
    })
  } finally {
    for (const [signal, forward] of forwards) process.off(signal, forward)
  }
}

/**
 * Passes output on as it is. It does not use process.stdout: a pipe that nobody reads would block this
 * thread there, and with it the time limit.
 */
function passTo(fd: number, reader: AbortController): OutputListener {
  return async (chunk) => {
    let rest = chunk
    while (rest.length > 0 && !reader.signal.aborted) {
      try {
        const { bytesWritten } = await write(fd, rest)
        rest = rest.subarray(bytesWritten)
      } catch (thrown) {
        const code = codeOf(thrown)
        if (code === 'EAGAIN') {
          await sleep(RETRY_MS)
          continue
        }
        if (code !== 'EPIPE') tell(`the output cannot be passed on: ${messageOf(thrown)}`)
        // The kernel would have sent it, had the command written there itself.
        reader.abort('SIGPIPE')
      }
    }
  }
}

function tellStdin(): void {
  tell(
    'waiting for the end of standard input, whose length the request records; --no-stdin or </dev/null gives the command none',
  )
}

/** Throws why the command was refused, if it was, in the words of the command line and the policy file. */
function checkTaken(
  { denialReason, error }: AuditedRun,
  { timeout }: ExecOptions,
  loaded: LoadedExecPolicy | undefined,
): void {
  if (denialReason === null || denialReason === 'spawn_failed') return
  const { maxStdinBytes, maxDurationMs } = loaded?.limits ?? DEFAULT_RUN_LIMITS
  const whose = (key: string) =>
    loaded === undefined ? 'a --policy may allow more' : `${key} in ${loaded.path} allows no more`
  const why = new Map<string, string>([
    [
      'stdin_too_large',
      `standard input is longer than ${maxStdinBytes} bytes; ${whose('max_stdin_bytes')}`,
    ],
    [
      'timeout_too_large',
      `--timeout ${timeout} is longer than ${maxDurationMs} ms; ${whose('max_duration_secs')}`,
    ],
  ])
  throw ownError(`not run: ${denialReason}: ${why.get(denialReason) ?? messageOf(error)}`)
}

function exitCodeOf(result: AuditedRun, argv: readonly string[]): number {
  const { outcome, denialReason, code, signal, stoppedBy, truncated, trail } = result
  const lost = trail.find((entry) => entry.outcome === 'failed')
  if (lost !== undefined) {
    const why = lost.error === undefined ? '' : `: ${messageOf(lost.error)}`
    throw ownError(`it ran, but its ${lost.event} is not in the log${why}`)
  }
  if (denialReason === 'spawn_failed') throw spawnError(argv[0] ?? '', result.error)
  if (outcome === 'cancelled') throw ownError('not run: it was cancelled before its start')
  if (truncated) tell("its output was cut at the policy's cap")
  if (stoppedBy === 'timeout') return EXIT_TIMEOUT
  return signal === null ? (code ?? EXIT_OWN) : EXIT_SIGNAL + constants.signals[signal]
}

function spawnError(program: string, error: unknown): CliError {
  const code = codeOf(error)
  if (code === 'ENOENT') return new CliError(`${program}: not found`, EXIT_NOT_FOUND)
  if (code === 'EACCES') return new CliError(`${program}: not executable`, EXIT_NOT_EXECUTABLE)
  return ownError(`${program}: ${messageOf(error)}`)
}

/** Opened before the run, so that a mistake is reported before and not after it. */
function openSummary(file: string): number {
  try {
    return openSync(file, 'w')
  } catch (thrown) {
    throw ownError(`--json: ${messageOf(thrown)}`)
  }
}

function writeSummary(fd: number, argv: readonly string[], result: AuditedRun): void {
  const { stdout, stderr, trail, error, ...summary } = result
  const events = trail.map(({ event, outcome }) => ({ event, outcome }))
  writeFileSync(fd, formatJson('exec', { argv, ...summary, events }))
  closeSync(fd)
}
