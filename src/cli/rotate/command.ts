import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type RotateOptions, type RotateResult, rotateLog } from '../../rotation/rotate-log'
import { formatBytes } from '../../toolkit/text/numbers'
import { logOption, namedLogs, wholeNumber } from '../shared/arguments'
import { CliError, EXIT_FAIL, EXIT_PASS, messageOf, usageError } from '../shared/errors'
import { visible } from '../shared/escape'
import { duration } from '../shared/filter-options'
import { helpText } from '../shared/help-text'
import { formatJson } from '../shared/json'
import { fileName } from '../shared/log-input'

interface CommandOptions {
  readonly size?: number
  readonly age?: number
  readonly keep?: number
  readonly gzip?: true
  readonly json?: true
  readonly log?: readonly string[]
}

const KEEP_MAX = 9_999
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

const EXAMPLES = `
For a container without logrotate. LOG becomes LOG.1, LOG.1 becomes LOG.2, and so on; the gateway needs no
signal: it writes its next events to a new LOG. Without --size and --age any log with events is rotated.
With --gzip files are packed from LOG.2 on, since LOG.1 may still be written to. Nothing is deleted without
--keep. LOG.lock keeps two rotations apart; a folder that others may write is refused.

Examples:
  $ x0x-exec-audit rotate --size 100M --keep 30 --gzip /var/log/gateway/exec.log
  $ while sleep 3600; do x0x-exec-audit rotate --age 1d /var/log/gateway/exec.log; done

Exit codes: 0 done, also when nothing was due; 1 it could not be done, 2 a mistake in the command line.`

export function configure(command: Command): void {
  command
    .description(
      'Rotates a log: renames it if it is large or old enough, and packs and deletes old ones.',
    )
    .argument('[file]', 'the log')
    .addOption(logOption('the same as FILE'))
    .addOption(
      new Option('--size <bytes>', 'if it has at least this: 100M, 512k, 1G').argParser(size),
    )
    .addOption(
      new Option('--age <time>', 'if its first event is at least so old: 1d, 12h').argParser(
        duration,
      ),
    )
    .addOption(
      new Option('--keep <n>', 'delete rotated files beyond the newest n').argParser(
        wholeNumber(1, KEEP_MAX),
      ),
    )
    .option('--gzip', 'compress rotated files, from LOG.2 on')
    .option('--json', 'print what was done as JSON and nothing else')
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (file: string | undefined, options: CommandOptions) => {
      process.exitCode = await run(file === undefined ? [] : [file], options)
    })
}

function size(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,12})([kmg]?)(?:i?b)?$/.exec(text.toLowerCase()) ?? []
  const bytes = Number(digits) * (UNITS[unit] ?? 0)
  if (Number.isSafeInteger(bytes) && bytes >= 1) return bytes
  throw new InvalidArgumentError('Expected a size such as 100M, 512k or 1G.')
}

async function run(files: readonly string[], options: CommandOptions): Promise<number> {
  const [log, ...others] = namedLogs(files, options.log)
  if (log === undefined || others.length > 0) throw usageError('name one log')
  const { size: maxBytes, age: maxAgeMs, keep, gzip, json } = options
  const asked: RotateOptions = { maxBytes, maxAgeMs, keep, gzip }
  let result: RotateResult
  try {
    result = await rotateLog(log, asked)
  } catch (thrown) {
    throw new CliError(visible(messageOf(thrown)), EXIT_FAIL)
  }
  process.stdout.write(json ? formatJson('rotate', { log, ...result }) : textOf(log, result))
  return EXIT_PASS
}

function textOf(log: string, { rotated, isLocked, bytes, packed, removed }: RotateResult): string {
  const name = fileName(log)
  // As the log was named: all of them stand in its folder.
  const besideLog = (each: string) => fileName(join(dirname(log), each))
  const found = existsSync(log) ? `has ${formatBytes(bytes)}` : 'is not there'
  const lines = [
    ...(isLocked ? [`${name} is being rotated by another process (${name}.lock)`] : []),
    ...(rotated ? [`${name} is now ${name}.1 (${formatBytes(bytes)})`] : []),
    ...(rotated || isLocked ? [] : [`nothing was due: ${name} ${found}`]),
    ...removed.map((each) => `${besideLog(each)} is deleted`),
    ...packed.map((each) => `${besideLog(each)} is packed`),
  ]
  return lines.map((line) => `${line}\n`).join('')
}
