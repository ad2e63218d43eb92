import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Paint, painter } from '../../toolkit/text/colour'
import { terminalWidth, wrapText } from '../../toolkit/text/width'
import { logOption, namedLogs } from '../shared/arguments'
import { EXIT_FAIL, EXIT_PASS, usageError } from '../shared/errors'
import { visible } from '../shared/escape'
import { helpText } from '../shared/help-text'
import { formatJson } from '../shared/json'
import { examine } from './examine'
import { type Finding, type Status, worst } from './finding'

interface DoctorOptions {
  readonly log?: readonly string[]
  readonly timeout: number
  readonly runAs?: string
  readonly cwd?: string
  readonly seal?: string
  readonly sealKey?: string
  readonly json?: true
}

const SECONDS_MAX = 3_600
const COLORS = { ok: 'green', warn: 'yellow', fail: 'red' } as const
const NAME_WIDTH = 12
const HINT_COLUMN = 'fail  '.length
const FOUND_COLUMN = HINT_COLUMN + NAME_WIDTH + 1
/** The columns of a terminal from which on findings get a column of their own. */
const NARROW = 60

const EXAMPLES = `
Examples:
  $ x0x-exec-audit doctor
  $ x0x-exec-audit doctor /var/log/gateway/exec.log
  $ x0x-exec-audit doctor --run-as sandbox --cwd /srv/work /var/log/gateway/exec.log
  $ sudo -u gateway x0x-exec-audit doctor --json /var/log/gateway/exec.log

Without a log it looks at the machine alone. Run it as the gateway's user, with the gateway's limits.
It opens the log and never writes to it; the files that it makes beside it are removed.

Exit codes: 0 all is well, warnings included, 1 something fails, 2 a mistake in the command line.`

export function configure(command: Command): void {
  command
    .description(
      'Looks at the machine, the log and its disk before a gateway goes live, and says how to fix each fault.',
    )
    .argument('[file]', 'the log, whether it exists yet or not')
    .addOption(logOption('the same as FILE'))
    .addOption(
      new Option('--timeout <seconds>', 'how long one check may take')
        .argParser(seconds)
        .default(10),
    )
    .option('--run-as <user>', 'the user whom the commands run as: could it change the log?')
    .option('--cwd <folder>', 'the working folder of the commands: is the log in it?')
    .option('--seal <folder>', "the log's seal: is it kept from the gateway, and up to date?")
    .option('--seal-key <file>', 'its private key: who can read it?')
    .option('--json', 'print the findings as JSON and nothing else')
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (file: string | undefined, options: DoctorOptions) => {
      const logs = namedLogs(file === undefined ? [] : [file], options.log)
      if (logs.length > 1) throw usageError(`--log: expected one log, got ${logs.length}`)
      process.exitCode = await run(logs[0], options)
    })
}

function seconds(text: string): number {
  const value = Number(text)
  if (text !== '' && value > 0 && value <= SECONDS_MAX) return value
  throw new InvalidArgumentError(`Expected seconds, more than 0 and at most ${SECONDS_MAX}.`)
}

async function run(log: string | undefined, options: DoctorOptions): Promise<number> {
  const { timeout, json, runAs, cwd, seal, sealKey } = options
  if (log === undefined && (runAs !== undefined || cwd !== undefined)) {
    throw usageError('--run-as and --cwd: name the log that is to be kept from the commands')
  }
  if (log === undefined && (seal !== undefined || sealKey !== undefined)) {
    throw usageError('--seal and --seal-key: name the log that is sealed')
  }
  if (log === '') throw usageError('FILE: expected the path of a log, got an empty string')
  const path = log === undefined ? undefined : resolve(log)
  const paint = painter(process.stdout)
  const width = terminalWidth(process.stdout)
  const findings: Finding[] = []
  await examine(
    {
      path,
      commands: { user: runAs, folder: cwd },
      seal: {
        folder: seal === undefined ? undefined : resolve(seal),
        key: sealKey === undefined ? undefined : resolve(sealKey),
      },
      limitMs: timeout * 1_000,
    },
    (finding) => {
      findings.push(finding)
      if (json === undefined) process.stdout.write(findingText(finding, paint, width))
    },
  )
  const status = worst(findings.map((finding) => finding.status))
  process.stdout.write(
    json ? formatJson('doctor', { log: path ?? null, status, findings }) : summary(findings, paint),
  )
  return status === 'fail' ? EXIT_FAIL : EXIT_PASS
}

/** A finding in lines of this width; a remedy stays on one line, to be copied. */
export function findingText(
  { check, status, found, remedy }: Finding,
  paint: Paint,
  width: number,
): string {
  const word = paint(COLORS[status], status.padEnd(4))
  const hints = (remedy?.split('\n') ?? []).map(
    (command) => `${' '.repeat(HINT_COLUMN)}${paint('dim', `$ ${visible(command)}`)}\n`,
  )
  const column = FOUND_COLUMN
  const indent = width < NARROW ? HINT_COLUMN : column
  const text = wrapText(visible(found), { width, column, indent })
  return `${word}  ${check.padEnd(NAME_WIDTH)} ${text}\n${hints.join('')}`
}

function summary(findings: readonly Finding[], paint: Paint): string {
  const count = (status: Status) => findings.filter((finding) => finding.status === status).length
  const [fails, warns] = [count('fail'), count('warn')]
  const counts = `${count('ok')} ok, ${warns} to look at, ${fails} to fix`
  return `\n${paint(fails > 0 ? ['bold', 'red'] : 'bold', counts)}\n`
}
