import { constants } from 'node:os'
import { isAbsolute } from 'node:path'
import { type Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { codeOf } from '../../base/describe'
import { I32_MAX } from '../../base/integers'
import { isContextKey } from '../../format/context'
import { idOf } from '../../format/id-of'
import { type LoadedExecPolicy, loadExecPolicy } from '../../policy-file/load-exec-policy'
import { passed } from '../../runner/disk-wait'
import { DEFAULT_RUN_LIMITS, type RunLimits } from '../../runner/limits'
import { type AuditedRun, runWith } from '../../runner/run-audited'
import type { RunNotes } from '../../runner/run-notes'
import { type RunOptions, scrubbedEnvironment } from '../../runner/run-options'
import { painter } from '../../toolkit/text/colour'
import { parseDuration } from '../../toolkit/text/time'
import { ExecAudit } from '../../writer/exec-audit'
import { AuditError } from '../../writer/failure/audit-error'
import { ExecDiagnostics } from '../../writer/failure/diagnostics'
import { CliError, EXIT_EXEC, messageOf, reasonOf } from '../shared/errors'
import { visible } from '../shared/escape'
import { helpText } from '../shared/help-text'
import { formatJson } from '../shared/json'
import { isSameFile, OutputFile, outputStreamOf } from '../shared/output-file'
import { isFolderUtf8, notUtf8Variables } from '../shared/raw-arguments'
import { readStdin } from '../shared/stdin-input'
import { PassOn } from './pass-on'
import { SignalRelay } from './signal-relay'

interface ExecOptions {
  readonly log?: string
  readonly policy?: string
  readonly agent?: string
  readonly machine: string
  readonly request?: string
  readonly context?: readonly ContextEntry[]
  readonly timeout?: number
  readonly stdin: boolean
  readonly cleanEnv?: true
  readonly json?: string
}

/** That of most programs whose output cannot be written. */
const EXIT_LOST_OUTPUT = 1
/** The exit codes of docker, env and timeout(1). */
const EXIT_TIMEOUT = 124
const EXIT_NOT_EXECUTABLE = 126
const EXIT_NOT_FOUND = 127
const EXIT_SIGNAL = 128

const NOBODY = '0'.repeat(64)
const STDOUT = 1
const STDERR = 2
/** How long the log may take to close. A disk that hangs would hold this process for ever. */
const CLOSE_MS = 2_000

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

Signals go to the command and to every process that it has started. SIGINT, SIGTERM and SIGHUP also cancel
the run: SIGKILL follows 5 s later.

Examples:
  $ x0x-exec-audit exec --log /var/log/gateway/exec.log -- systemctl restart nginx
  $ x0x-exec-audit exec --policy /etc/x0x/exec-acl.toml --timeout 30s -- pg_dump orders > orders.sql
  $ x0x-exec-audit exec --log exec.log --no-stdin --json summary.json -- make deploy
  $ x0x-exec-audit exec --log exec.log -- psql orders < migration.sql
  $ x0x-exec-audit exec --log exec.log --context principal=user:alice --context session=s-42 -- make

Exit codes: the command's own, or 128 + n if signal n ended it; 1 its output could not be passed on, 124 its
time was up, 125 it was not run or not recorded, 126 it is not executable, 127 it was not found.`

export function configure(command: Command): void {
  // Options after the command's name are the command's.
  command.parent?.enablePositionalOptions()
  command
    .passThroughOptions()
    .exitOverride((error) => {
      throw new CommanderError(error.exitCode === 0 ? 0 : EXIT_EXEC, error.code, error.message)
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
    .addOption(
      idOption(
        '--agent <hex>',
        'the agent that asks, as 64 hexadecimal digits (default: idOf of uid:N, whoever asks)',
      ),
    )
    .addOption(
      idOption(
        '--machine <hex>',
        'the machine that it asks from, as 64 hexadecimal digits',
      ).default(NOBODY, 'zeros'),
    )
    .addOption(
      new Option(
        '--request <id>',
        'its request id, as a UUID or 32 hexadecimal digits (default: random)',
      ).argParser(requestId),
    )
    .addOption(
      new Option(
        '--context <key=value>',
        'who, where and on whose behalf, such as principal=user:alice; again for more',
      ).argParser(contextEntry),
    )
    .addOption(
      new Option(
        '--timeout <time>',
        "send SIGTERM after this time (30s, 1500ms) and SIGKILL 5 s later (default: the policy's cap, or never)",
      ).argParser(timeLimit),
    )
    .option('--no-stdin', 'give the command no standard input')
    .option('--clean-env', 'give it only PATH, HOME, LANG and LC_ALL, as x0x does')
    .addOption(
      new Option(
        '--json <file>',
        "write a summary of the run as JSON; standard output is the command's",
      ).argParser(fileName),
    )
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (argv: readonly string[], options: ExecOptions) => {
      process.exitCode = await run(argv, options)
    })
}

function idOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    if (/^[0-9a-f]{64}$/i.test(text)) return text
    throw new InvalidArgumentError('Expected 64 hexadecimal digits (idOf makes them of a name).')
  })
}

/** The user who asks, as a principal: under sudo the one who has called it. */
export function ownPrincipal(env: NodeJS.ProcessEnv, uid: number): string {
  const { SUDO_UID } = env
  // Anyone may set it, but only for root does it say who is asking.
  const isBySudo = uid === 0 && SUDO_UID !== undefined && /^\d{1,10}$/.test(SUDO_UID)
  return `uid:${isBySudo ? SUDO_UID : uid}`
}

/**
 * The agent that is named, or else that of the principal, who is the user if none is named: the id says no more than
 * the principal behind it.
 */
function askerOf({
  agent,
  context: entries = [],
}: ExecOptions): Pick<RunOptions, 'agentId' | 'context'> {
  const given: Record<string, string> = Object.fromEntries(entries)
  if (agent !== undefined) return { agentId: agent, context: given }
  const { principal = ownPrincipal(process.env, process.getuid?.() ?? 0) } = given
  return { agentId: idOf(principal), context: { principal, ...given } }
}

type ContextEntry = readonly [key: string, value: string]

function contextEntry(text: string, before: readonly ContextEntry[] = []): ContextEntry[] {
  const at = text.indexOf('=')
  const key = text.slice(0, Math.max(0, at))
  if (!isContextKey(key)) {
    throw new InvalidArgumentError('Expected a key and its value, such as principal=user:alice.')
  }
  if (before.some(([known]) => known === key)) {
    throw new InvalidArgumentError(`Expected each key once; ${key} was given before.`)
  }
  return [...before, [key, text.slice(at + 1)]]
}

function requestId(text: string): string {
  if (/^[0-9a-f]{32}$/i.test(text.replaceAll('-', ''))) return text.replaceAll('-', '')
  throw new InvalidArgumentError('Expected a UUID, or 32 hexadecimal digits.')
}

function fileName(text: string): string {
  if (text !== '' && !text.startsWith('-')) return text
  throw new InvalidArgumentError('Expected the path of a file (./ before one that begins with -).')
}

function timeLimit(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= 1 && ms <= I32_MAX) return ms
  if (/^\d+$/.test(text.trim())) {
    const number = text.trim()
    throw new InvalidArgumentError(
      `Expected a unit: ${number}ms is ${number} milliseconds, ${number}s is ${number} seconds.`,
    )
  }
  throw new InvalidArgumentError('Expected a time such as 30s, 1500ms or 5min, from 1ms to 24d.')
}

async function run(argv: readonly string[], options: ExecOptions): Promise<number> {
  const relay = new SignalRelay((signal) =>
    tell(`${signal} cannot be passed on: the command has become another user (EPERM)`),
  )
  process.stderr.on('error', () => relay.pipeBroke())
  try {
    return await runFor(argv, options, relay)
  } catch (thrown) {
    throw asCliError(thrown)
  } finally {
    relay.end()
  }
}

async function runFor(
  argv: readonly string[],
  options: ExecOptions,
  relay: SignalRelay,
): Promise<number> {
  checkBytes(options)
  const loaded = options.log === undefined ? policyOf(options.policy) : undefined
  const policy = loaded?.policy ?? { enabled: true, auditLogPath: options.log ?? '' }
  if (policy.enabled) checkLog(policy.auditLogPath, loaded)
  const used = [
    { what: 'the log', path: policy.enabled ? policy.auditLogPath : '' },
    ...(loaded === undefined ? [] : [{ what: 'the policy', path: loaded.path }]),
  ]
  const summary =
    options.json === undefined
      ? undefined
      : new OutputFile('--json', options.json, { used, fail: ownError })
  const audit = new ExecAudit(policy, new ExecDiagnostics(), {
    failureMode: 'closed',
    logger: { warn: tellWarning },
  })
  let end: number | CliError
  try {
    end = await codeOfRun(audit, { argv, options, loaded, relay, summary })
  } catch (thrown) {
    end = asCliError(thrown)
  }
  // With nothing pending it waits for no disk.
  if (audit.stats().events.pending === 0) await audit.close()
  else await closeOr(audit, () => giveUp(end, relay))
  if (end instanceof CliError) throw end
  return end
}

interface Asked {
  readonly argv: readonly string[]
  readonly options: ExecOptions
  readonly loaded: LoadedExecPolicy | undefined
  readonly relay: SignalRelay
  readonly summary: OutputFile | undefined
}

async function codeOfRun(audit: ExecAudit, asked: Asked): Promise<number> {
  const { argv, options, loaded, summary } = asked
  const { result, hasLostOutput } = await runThrough(audit, asked)
  try {
    summary?.write(summaryOf(argv, result))
  } catch (thrown) {
    throw ownError(`its summary is missing: ${messageOf(thrown)}`)
  }
  checkTaken(result, options, loaded)
  return exitCodeOf(result, argv, hasLostOutput)
}

/** Refuses a log that something else is written to. */
function checkLog(log: string, loaded: LoadedExecPolicy | undefined): void {
  const stream = outputStreamOf(log)
  const isPolicy = loaded !== undefined && isSameFile(log, loaded.path)
  const what = stream ?? (isPolicy ? 'the policy' : undefined)
  if (what !== undefined) throw ownError(`not run: the log ${visible(log)} is ${what}, too`)
}

/** Refuses bytes that would reach the command, or name a file, as others. */
function checkBytes({ cleanEnv, log, policy, json }: ExecOptions): void {
  const [variable] = cleanEnv ? [] : notUtf8Variables()
  if (variable !== undefined) {
    throw ownError(
      `not run: the variable ${visible(variable)} is not UTF-8, and would reach the command changed; unset it, or give --clean-env`,
    )
  }
  const isRelative = [log, policy, json].some((path) => path !== undefined && !isAbsolute(path))
  if (!isRelative || isFolderUtf8()) return
  throw ownError('not run: the path of the working folder is not UTF-8; name files by whole paths')
}

/** Nothing has run: what fails later has words of its own. */
function asCliError(thrown: unknown): CliError {
  return thrown instanceof CliError ? thrown : ownError(`not run: ${reasonOf(thrown)}`, thrown)
}

/** Closes the log, or calls `otherwise` if its disk does not answer. */
async function closeOr(audit: ExecAudit, otherwise: () => void): Promise<void> {
  const closing = new AbortController()
  const hung = passed(CLOSE_MS, closing.signal).then((isOver) => {
    if (isOver) otherwise()
  })
  await Promise.race([audit.close(), hung])
  closing.abort()
}

/** Node waits for its worker thread at the exit, and so for the disk: only a signal ends this process. */
function giveUp(end: number | CliError, relay: SignalRelay): void {
  if (end instanceof CliError) tell(end.message)
  const signal = relay.last ?? 'SIGKILL'
  tell(`the log's disk does not answer: ending by ${signal}, without waiting for it`)
  relay.dieBy(signal)
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

function ownError(message: string, cause?: unknown): CliError {
  return new CliError(message, EXIT_EXEC, cause)
}

async function runThrough(
  audit: ExecAudit,
  { argv, options, loaded, relay }: Asked,
): Promise<{ result: AuditedRun; hasLostOutput: boolean }> {
  const { machine, request, timeout, stdin, cleanEnv } = options
  const limits = loaded?.limits ?? NO_CAPS
  const { maxStdinBytes = DEFAULT_RUN_LIMITS.maxStdinBytes } = limits
  const input = stdin ? await readStdin(maxStdinBytes, tellStdin) : undefined
  const reader = new AbortController()
  // The kernel would have sent it, had the command written there itself.
  const breakPipe = () => {
    relay.pipeBroke()
    reader.abort('SIGPIPE')
  }
  const stdout = new PassOn(STDOUT, breakPipe, (message) => {
    tell(`the output cannot be passed on: ${message}`)
    breakPipe()
  })
  const stderr = new PassOn(STDERR, breakPipe, () => undefined)
  relay.runBegins()
  const asked = {
    argv,
    ...askerOf(options),
    machineId: machine,
    requestId: request,
    stdin: input,
    timeoutMs: timeout,
    limits,
    env: cleanEnv ? scrubbedEnvironment() : process.env,
    cwd: loaded?.defaultCwd,
    cancel: relay.cancel,
    peer: reader.signal,
    onStdout: (chunk: Buffer) => stdout.take(chunk),
    onStderr: (chunk: Buffer) => stderr.take(chunk),
  }
  const result = await runWith(audit, asked, { notes: notesFor(relay) })
  return { result, hasLostOutput: stdout.hasFailed || stderr.hasFailed }
}

function notesFor(relay: SignalRelay): RunNotes {
  return {
    warn: tell,
    spawned: (group) => relay.spawned(group),
    waiting: (event) => {
      const what = event === 'exit' ? 'the command has ended' : 'the command has not been started'
      tell(
        `waiting for the log's disk to record the ${event}; ${what}, and SIGINT ends the waiting`,
      )
    },
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
      `--timeout ${timeout}ms is longer than ${maxDurationMs} ms; ${whose('max_duration_secs')}`,
    ],
  ])
  throw ownError(`not run: ${denialReason}: ${why.get(denialReason) ?? messageOf(error)}`)
}

function exitCodeOf(result: AuditedRun, argv: readonly string[], hasLostOutput: boolean): number {
  const { outcome, denialReason, code, signal, stoppedBy, truncated } = result
  if (denialReason === 'spawn_failed') {
    checkTrail(result, 'it was not run, and')
    throw spawnError(argv[0] ?? '', result.error)
  }
  if (outcome === 'cancelled') {
    throw ownError(
      stoppedBy === 'timeout'
        ? 'not run: its time was out before its start'
        : 'not run: it was cancelled before its start',
    )
  }
  checkTrail(result, 'it ran, but')
  if (truncated) tell("its output was cut at the policy's cap")
  if (stoppedBy === 'timeout') return EXIT_TIMEOUT
  const own = signal === null ? (code ?? EXIT_EXEC) : EXIT_SIGNAL + constants.signals[signal]
  const isOwnFailure = signal === null && own !== 0
  return hasLostOutput && !isOwnFailure ? EXIT_LOST_OUTPUT : own
}

/** Throws if an event is not in the log. */
function checkTrail({ trail }: AuditedRun, what: string): void {
  const lost = trail.find(({ outcome }) => outcome === 'failed' || outcome === 'pending')
  if (lost === undefined) return
  if (lost.outcome === 'pending') {
    throw ownError(`${what} its ${lost.event} may not be in the log, whose disk does not answer`)
  }
  const why = lost.error === undefined ? '' : `: ${messageOf(lost.error)}`
  throw ownError(`${what} its ${lost.event} is not in the log${why}`)
}

function spawnError(program: string, error: unknown): CliError {
  const code = codeOf(error)
  if (code === 'ENOENT') return new CliError(`${program}: not found`, EXIT_NOT_FOUND)
  if (code === 'EACCES') return new CliError(`${program}: not executable`, EXIT_NOT_EXECUTABLE)
  return ownError(`${program}: ${messageOf(error)}`)
}

function summaryOf(argv: readonly string[], result: AuditedRun): string {
  const { stdout, stderr, trail, error, ...summary } = result
  const events = trail.map(({ event, outcome }) => ({ event, outcome }))
  return formatJson('exec', { argv, ...summary, events })
}
