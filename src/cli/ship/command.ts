import { type Command, Option } from 'commander'
import type { ShipNote } from '../../ship/shipper/line-source'
import {
  type ShipperOptions,
  shipOnce,
  shipStatus,
  startShipper,
} from '../../ship/shipper/open-shipper'
import { ShipStoppedError } from '../../ship/shipper/ship-error'
import { ShipUnreachableError } from '../../ship/shipper/shipper'
import { StreamError } from '../../ship/stream/stream-error'
import { WHEN_FORMS } from '../../toolkit/text/time'
import { when, wholeNumber } from '../shared/arguments'
import { CliError, EXIT_FAIL, EXIT_PASS, EXIT_UNSURE, usageError } from '../shared/errors'
import { visible } from '../shared/escape'
import { helpText } from '../shared/help-text'
import { formatJson } from '../shared/json'
import { CatchUpBar } from './catch-up-bar'
import { readStream } from './read-stream'

interface ShipCommandOptions {
  readonly log?: string
  readonly to?: string
  readonly stream?: string
  readonly subject?: string
  readonly create?: true
  readonly creds?: string
  readonly state?: string
  readonly seal?: string
  readonly from?: number
  readonly acceptGap?: true
  readonly once?: true
  readonly status?: true
  readonly json?: true
  readonly metricsFile?: string
  readonly read?: string
  readonly since?: number
}

const EXAMPLES = `
Examples:
  $ x0x-exec-audit ship --log /var/log/gateway/exec.log --to nats://logs.example.com:4222 --stream AUDIT_GW1 --subject audit.gw1.exec --state /var/lib/x0x-ship/exec.json
  $ x0x-exec-audit ship --log /var/log/gateway/exec.log --to redis://logs.example.com:6379 --stream audit:gw1 --once
  $ x0x-exec-audit ship --read nats://logs.example.com:4222 --stream AUDIT_GW1 --since 2h | x0x-exec-audit view -

It never writes to the log. The stream's own end says where it goes on; --state makes a start fast. A stream holds one
log. Credentials: --creds or NATS_CREDS, REDIS_PASSWORD; none in the URL. docs/ship.md has a systemd unit.

Exit codes: 0 all shipped, or ended by SIGTERM, 1 stopped, since lines are gone or log and stream differ, 2 a mistake in
the command line, a refusal by the server or a missing package, 3 the server does not answer; with --status lines wait.`

export function configure(command: Command): void {
  command
    .description(
      'Follows a log over its rotations and appends each line, once and in order, to a stream of NATS JetStream or Redis.',
    )
    .option('--log <file>', 'the log')
    .option('--to <url>', 'the server: nats://HOST:4222 or redis://HOST:6379; tls://, rediss://')
    .option('--stream <name>', "the stream's name in JetStream, or its key in Redis")
    .option('--subject <subject>', "JetStream's subject (default: the stream's, if it has one)")
    .option('--create', 'make the stream if it is missing')
    .option('--creds <file>', 'NATS credentials (default: the file that NATS_CREDS names)')
    .option('--seal <folder>', 'ship lines once they are sealed, and the checkpoints, too')
    .option('--state <file>', 'keep the place in the log there, so that a start takes seconds')
    .addOption(
      new Option('--from <index>', 'the first line, for a stream that is empty').argParser(
        wholeNumber(0),
      ),
    )
    .option('--accept-gap', 'ship on behind lines that are gone, and leave a record of them')
    .option('--once', 'ship what is there, and end')
    .option('--status', 'ship nothing, and say how many lines wait')
    .option('--json', 'print the status as JSON and nothing else')
    .option('--metrics-file <file>', "a file for Prometheus' textfile collector")
    .option('--read <url>', "write a stream's lines to standard output")
    .addOption(
      new Option(
        '--since <time>',
        `with --read: lines from then on, such as ${WHEN_FORMS}`,
      ).argParser(when),
    )
    .addHelpText('after', helpText(EXAMPLES))
    .action(async (options: ShipCommandOptions) => {
      process.exitCode = await guarded(() => run(options))
    })
}

async function run(options: ShipCommandOptions): Promise<number> {
  const { read, since, stream, creds, once, status, json } = options
  if (stream === undefined) throw usageError('name the stream: --stream NAME')
  if (read !== undefined) {
    const [other] = Object.keys(options).filter((name) => !READ_NAMES.includes(name))
    if (other !== undefined) throw usageError(`--read does not go with --${dashed(other)}`)
    return (await readStream(read, { stream, ...(creds && { creds }) }, since, tell))
      ? EXIT_PASS
      : EXIT_FAIL
  }
  if (since !== undefined) throw usageError('--since goes with --read')
  if (json && !status) throw usageError('--json goes with --status')
  if (once && status) throw usageError('--once ships, and --status does not: give one of them')
  const shipper = shipperOptions(options, stream)
  if (status) return await tellStatus(shipper, json === true)
  return once ? await runOnce(shipper) : await follow(shipper)
}

const READ_NAMES = ['read', 'since', 'stream', 'creds']

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function shipperOptions(options: ShipCommandOptions, stream: string): ShipperOptions {
  const { log, to, subject, create, creds, state, seal, from, acceptGap, metricsFile } = options
  if (log === undefined) throw usageError('name the log: --log FILE')
  if (to === undefined) throw usageError('name the server: --to nats://HOST:4222')
  return {
    ...{ log, to, stream, state, seal, from, acceptGap, metricsFile },
    ...(subject !== undefined && { subject }),
    ...(create !== undefined && { create }),
    ...(creds !== undefined && { creds }),
    onNote: tell,
  }
}

async function runOnce(options: ShipperOptions): Promise<number> {
  return await withBar(options, async (its, onUnread) => {
    await shipOnce(its, { onUnread })
  })
}

async function follow(options: ShipperOptions): Promise<number> {
  return await withBar(options, async (its, onUnread) => {
    const shipper = await startShipper(its, { onUnread })
    const stop = () => void shipper.close()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
    process.stderr.write(
      `x0x-exec-audit: shipping ${visible(options.log)} to ${visible(options.to)}, ${visible(options.stream)}\n`,
    )
    await shipper.ended
  })
}

/** Ships with a bar while much of the log was not read. */
async function withBar(
  options: ShipperOptions,
  ship: (options: ShipperOptions, onUnread: (bytes: number) => void) => Promise<void>,
): Promise<number> {
  const bar = new CatchUpBar()
  const onNote = (note: ShipNote) => {
    bar.clear()
    tell(note)
  }
  try {
    await ship({ ...options, onNote }, (bytes) => bar.tell(bytes))
    return EXIT_PASS
  } finally {
    bar.clear()
  }
}

async function tellStatus(options: ShipperOptions, isJson: boolean): Promise<number> {
  const status = await shipStatus(options)
  const { shipped, behind } = status
  const text = isJson
    ? formatJson('ship', status)
    : `${plural(shipped)} shipped, ${behind === 0 ? 'none waits' : `${plural(behind)} waiting`}\n`
  process.stdout.write(text)
  return behind === 0 ? EXIT_PASS : EXIT_UNSURE
}

function plural(lines: number): string {
  return `${lines.toLocaleString('en-US')} line${lines === 1 ? '' : 's'}`
}

function tell({ kind, message }: ShipNote): void {
  process.stderr.write(`x0x-exec-audit: ${kind}: ${visible(message)}\n`)
}

/** The exit codes of what stops it. */
async function guarded(action: () => Promise<number>): Promise<number> {
  try {
    return await action()
  } catch (thrown) {
    if (thrown instanceof ShipStoppedError) throw new CliError(visible(thrown.message), EXIT_FAIL)
    if (thrown instanceof ShipUnreachableError) {
      throw new CliError(visible(thrown.message), EXIT_UNSURE)
    }
    if (thrown instanceof StreamError) throw streamError(thrown)
    if (thrown instanceof TypeError || thrown instanceof RangeError) throw optionError(thrown)
    throw thrown
  }
}

function streamError({ kind, message }: StreamError): CliError {
  const text = visible(message)
  if (kind === 'unreachable') return new CliError(text, EXIT_UNSURE)
  if (kind === 'foreign' || kind === 'full') return new CliError(text, EXIT_FAIL)
  return usageError(text)
}

/** A mistake in an option, under its name on the command line. */
function optionError({ message }: Error): CliError {
  const text = message.replace(
    /^(?:options\.)?(log|to|stream|state|seal|from|metricsFile)\b/,
    '--$1',
  )
  return usageError(visible(text.replace('--metricsFile', '--metrics-file')))
}
