import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseCheckpoint } from '../../seal/note/checkpoint'
import { parseNote } from '../../seal/note/note'
import { generateKey } from '../../seal/note/signer'
import { SealError } from '../../seal/seal-error'
import { CHECKPOINT_FILE } from '../../seal/seal-files'
import {
  initSeal,
  type OnceOptions,
  openSealer,
  SealHeldError,
  sealOnce,
} from '../../seal/sealer/open-sealer'
import { reanchor } from '../../seal/sealer/reanchor'
import { type ResolvedPlace, resolvePlace, type SealPlace } from '../../seal/sealer/seal-options'
import type { SealNote, SealStats } from '../../seal/sealer/sealer'
import { parseWitness, type Witness } from '../../seal/witness/witness-request'
import { formatCount } from '../../toolkit/text/numbers'
import { ByteProgress } from '../shared/byte-progress'
import { CliError, EXIT_FAIL, EXIT_PASS, EXIT_UNSURE, usageError } from '../shared/errors'
import { visible } from '../shared/escape'
import { helpText } from '../shared/help-text'
import { logBytes } from '../shared/log-bytes'

interface PlaceOptions extends SealPlace {
  readonly json?: true
}

interface RunOptions extends PlaceOptions {
  readonly interval: number
  readonly once?: true
  readonly metricsFile?: string
  readonly witness?: readonly string[]
}

/** Files 0640 and folders 0750, whatever the shell's mask is. */
const UMASK = 0o027
const UNITS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
])
const INTERVAL_MS_MIN = 100
/** Of the root's base64: enough to compare it with a checkpoint by eye. */
const ROOT_CHARACTERS = 12
const INTERVAL_MS_MAX = 3_600_000

const EXAMPLES = `
Examples:
  $ x0x-exec-audit seal keygen --origin gw1.example.com/exec --out /etc/x0x-seal/exec.pem
  $ x0x-exec-audit seal init --log /var/log/gateway/exec.log --seal /var/lib/x0x-seal/exec --key /etc/x0x-seal/exec.pem
  $ x0x-exec-audit seal --log /var/log/gateway/exec.log --seal /var/lib/x0x-seal/exec --key /etc/x0x-seal/exec.pem

It never writes to the log. Run it as a user of its own that may read the log; docs/seal.md has a systemd unit.

Exit codes: 0 ended, as by SIGTERM, 1 it will not sign, since seal and log differ or a file is refused,
2 a mistake in the command line, 3 another sealer holds the folder.`

export function configure(command: Command): void {
  // Options after init, keygen and reanchor are theirs.
  command.parent?.enablePositionalOptions()
  command
    .enablePositionalOptions()
    .description(
      'Follows a log and each second signs the tree of its lines, so that verify --key finds what was changed later.',
    )
    .addHelpText('after', helpText(EXAMPLES))
    .addOption(
      new Option('--interval <time>', 'how often, such as 500ms, 1s, 1m')
        .argParser(interval)
        .default(1_000, '1s'),
    )
    .option('--once', 'seal what is there, and end')
    .option('--metrics-file <file>', "a file for Prometheus' textfile collector")
    .addOption(
      new Option(
        '--witness <url,vkey>',
        'a witness that cosigns; may be given several times',
      ).argParser((text: string, before: readonly string[] = []) => [...before, text]),
    )
    .action(async (options: RunOptions) => {
      process.exitCode = await guarded(() => run(options))
    })
  addPlace(command)
  configureInit(command.command('init'))
  configureKeygen(command.command('keygen'))
  configureReanchor(command.command('reanchor'))
}

function configureInit(command: Command): void {
  addPlace(command)
    .description('Makes the seal of a log, and seals the files that are there, as sealed late.')
    .action(async (options: PlaceOptions) => {
      process.exitCode = await guarded(() => init(options))
    })
}

function configureKeygen(command: Command): void {
  command
    .description('Makes a key, and prints its verifier key: keep that elsewhere, too.')
    .requiredOption('--origin <name>', "the log's name for ever, such as gw1.example.com/exec")
    .requiredOption('--out <file>', 'the private key, as KEY.pem; KEY.vkey is made beside it')
    .action(async ({ origin, out }: { origin: string; out: string }) => {
      process.exitCode = await guarded(async () => {
        process.stdout.write(`${generateKey(origin, resolve(out)).text}\n`)
        return EXIT_PASS
      })
    })
}

function configureReanchor(command: Command): void {
  addPlace(command)
    .description('Begins a seal anew, as after a restored backup or with a new key; keeps the old.')
    .requiredOption('--reason <text>', 'why; verify shows it')
    .action(async (options: PlaceOptions & { reason: string }) => {
      process.exitCode = await guarded(() => beginAnew(options))
    })
}

function addPlace(command: Command): Command {
  return command
    .option('--log <file>', 'the log')
    .option('--seal <folder>', "the seal's folder (default: LOG.tlog, if that is safe there)")
    .option('--key <file>', 'the private key')
    .option('--sign-command <program>', 'a program that signs in its place; needs --vkey, --last')
    .option('--vkey <key>', 'the verifier key or its file (default: KEY.vkey)')
    .option('--last <file>', 'where the note signed last is kept (default: KEY.last)')
}

function interval(text: string): number {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? []
  const ms = Number(digits) * (UNITS.get(unit) ?? 0)
  if (ms >= INTERVAL_MS_MIN && ms <= INTERVAL_MS_MAX) return Math.round(ms)
  throw new InvalidArgumentError('Expected a time from 100ms to 60m.')
}

async function run(options: RunOptions): Promise<number> {
  const { interval: intervalMs, once, metricsFile, witness: witnesses } = options
  const place = placeOf(options)
  const parsed = witnesses?.map(witnessOf)
  if (once) {
    const stats = await sealed(place, { metricsFile, witnesses: parsed })
    process.stdout.write(`${onceText(place, stats)}\n`)
    return EXIT_PASS
  }
  const { log, seal, key, signCommand, vkey, last } = options
  const sealer = await openSealer({
    ...{ log, seal, key, signCommand, vkey, last, intervalMs, metricsFile, witnesses },
    onNote: tell,
  })
  const stop = () => void sealer.close()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  process.stderr.write(`x0x-exec-audit: sealing ${visible(place.log)} in ${visible(place.seal)}\n`)
  await sealer.ended
  return EXIT_PASS
}

/** Throws a usage error: what is wrong with it does not depend on log and seal. */
function witnessOf(text: string): Witness {
  try {
    return parseWitness(text)
  } catch (thrown) {
    throw thrown instanceof SealError ? usageError(`--witness: ${thrown.message}`) : thrown
  }
}

function onceText({ log, seal }: ResolvedPlace, { sealedLines, size }: SealStats): string {
  const note = parseNote(readFileSync(join(seal, CHECKPOINT_FILE)), CHECKPOINT_FILE)
  const { root } = parseCheckpoint(note.text, CHECKPOINT_FILE)
  const short = root.toString('base64').slice(0, ROOT_CHARACTERS)
  return `${visible(log)}: sealed ${plural(sealedLines)}, ${formatCount(size)} in all; root ${short}…`
}

function plural(lines: number): string {
  return lines === 1 ? '1 line' : `${formatCount(lines)} lines`
}

async function init(options: PlaceOptions): Promise<number> {
  const place = placeOf(options)
  await initSeal(place)
  const { size } = await sealed(place, { isLate: true })
  process.stdout.write(`${place.key.text}\n`)
  const late = size === 0 ? '' : `; ${size} lines that were there are sealed late`
  process.stderr.write(`x0x-exec-audit: ${visible(place.seal)} is made${late}\n`)
  return EXIT_PASS
}

async function beginAnew(options: PlaceOptions & { reason: string }): Promise<number> {
  const { key, oldFolder } = await reanchor(placeOf(options), options.reason)
  process.stdout.write(`${key.text}\n`)
  process.stderr.write(
    `x0x-exec-audit: the old seal is ${visible(oldFolder)}; start the sealer again, and pin the new verifier key\n`,
  )
  return EXIT_PASS
}

/** Seals what is there, with a bar. */
async function sealed(
  place: ResolvedPlace,
  rest: Pick<OnceOptions, 'isLate' | 'metricsFile' | 'witnesses'>,
): Promise<SealStats> {
  const progress = new ByteProgress(logBytes(place.log))
  try {
    return await sealOnce(place, {
      ...rest,
      onNote: tell,
      onBytes: (bytes) => progress.advance(bytes),
    })
  } finally {
    progress.stop()
  }
}

function placeOf({ log, seal, key, signCommand, vkey, last }: PlaceOptions): ResolvedPlace {
  if (log === undefined) throw usageError('name the log: --log FILE')
  process.umask(UMASK)
  return resolvePlace({ log, seal, key, signCommand, vkey, last })
}

function tell({ kind, message }: SealNote): void {
  process.stderr.write(`x0x-exec-audit: ${kind}: ${visible(message)}\n`)
}

/** The exit codes of what the sealer refuses. */
async function guarded(action: () => Promise<number>): Promise<number> {
  try {
    return await action()
  } catch (thrown) {
    if (thrown instanceof SealError) throw new CliError(thrown.message, EXIT_FAIL)
    if (thrown instanceof SealHeldError) throw new CliError(thrown.message, EXIT_UNSURE)
    if (thrown instanceof TypeError || thrown instanceof RangeError) throw optionError(thrown)
    throw thrown
  }
}

/** A mistake in an option, under its name on the command line. */
function optionError({ message }: Error): CliError {
  const text = message.replace(/^(options\.)?(signCommand|vkey|seal|key|last|log)\b/, '--$2')
  return usageError(text.replace('signCommand', 'sign-command'))
}
