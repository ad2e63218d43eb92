#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { EARLY_END, untilDone } from '../toolkit/early-end'
import { painter } from '../toolkit/text/colour'
import type { CommandEntry } from './shared/command'
import { commanderText } from './shared/commander-text'
import {
  CliError,
  EXIT_BUG,
  EXIT_EXEC,
  EXIT_USAGE,
  isFolderGone,
  messageOf,
  reasonOf,
  usageError,
} from './shared/errors'
import { quoteArgument } from './shared/escape'
import { helpText } from './shared/help-text'
import { notUtf8Index, rawArguments } from './shared/raw-arguments'

const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'exec',
    summary: 'run one command, and leave its trail in the audit log',
    load: () => require('./exec/command'),
  },
  {
    name: 'view',
    summary: "show a log's events, filter them, and follow it as it grows",
    load: () => require('./view/command'),
  },
  {
    name: 'show',
    summary: "show one command's life: its events, and the time between them",
    load: () => require('./show/command'),
  },
  {
    name: 'stats',
    summary: 'count what a log holds: events, denials, exits, agents, commands, durations',
    load: () => require('./stats/command'),
  },
  {
    name: 'verify',
    summary: "check each line of a log, and the order of each request's events",
    load: () => require('./verify/command'),
  },
  {
    name: 'rotate',
    summary: 'rotate a log, where there is no logrotate',
    load: () => require('./rotate/command'),
  },
  {
    name: 'seal',
    summary: 'sign what a log holds, so that later changes show',
    load: () => require('./seal/command'),
  },
  {
    name: 'ship',
    summary: 'append a log to a stream of NATS or Redis, each line once',
    load: () => require('./ship/command'),
  },
  {
    name: 'doctor',
    summary: 'check a machine, a log and its disk before going live',
    load: () => require('./doctor/command'),
  },
  {
    name: 'tune',
    summary: 'measure a disk, and recommend fsync options for a load on it',
    load: () => require('./tune/command'),
  },
]

const HELP = `
COMMAND --help shows a command's options, with examples and its exit codes. Logs are named as FILE or by
--log FILE. --json prints one object for programs; NO_COLOR and pipes are respected.`

const HELP_FLAGS = new Set(['-h', '--help'])
const GRACE_MS = 1_000

function newProgram(args: readonly string[]): Command {
  const program = new Command('x0x-exec-audit')
    .description('Tools around x0x-exec-audit, the durable audit writer of exec gateways.')
    .version(version())
    .exitOverride()
    // The error that is thrown has the same text, and `report` prints it.
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', helpText(HELP))
  // The first argument that names a command; those after it may be a command to run, of any name.
  const asked = args.find((arg) => COMMANDS.some(({ name }) => name === arg))
  for (const { name, summary, load } of COMMANDS) {
    const command = program.command(name).summary(summary).description(capitalized(summary))
    command.exitOverride()
    // This also serves `help tune`.
    if (name === asked) load().configure(command)
  }
  return program
}

function version(): string {
  const text = readFileSync(join(__dirname, '../../package.json'), 'utf8')
  const { version }: { version: string } = JSON.parse(text)
  return version
}

function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

/** Reports to the user what went wrong, and returns the exit code for it. */
function report(thrown: unknown): number {
  const label = painter(process.stderr)('red', 'x0x-exec-audit:')
  if (thrown instanceof CommanderError) {
    const { code, exitCode, message } = thrown
    // Help that was asked for is no mistake, and help for a missing command says enough.
    const isHelp = exitCode === 0 || code === 'commander.help'
    if (!isHelp) process.stderr.write(`${label} ${usageError(commanderText(message)).message}\n`)
    return exitCode === 1 ? EXIT_USAGE : exitCode
  }
  if (thrown instanceof CliError) {
    const { cause } = thrown
    const stack = process.env.DEBUG && cause instanceof Error ? `\n${cause.stack}` : ''
    process.stderr.write(`${label} ${thrown.message}${stack}\n`)
    return thrown.exitCode
  }
  if (isFolderGone(thrown)) {
    process.stderr.write(`${label} ${reasonOf(thrown)}\n`)
    return EXIT_USAGE
  }
  const stack = process.env.DEBUG && thrown instanceof Error ? `\n${thrown.stack}` : ''
  const hint = stack === '' ? ' (DEBUG=1 shows where)' : stack
  process.stderr.write(`${label} unexpected: ${messageOf(thrown)}${hint}\n`)
  return EXIT_BUG
}

// The reader of a pipe may have seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit()
  process.exit(report(new CliError(`cannot write the output: ${error.message}`, EXIT_USAGE)))
})

// What cannot be said is lost; it must not end a command that is under way.
process.stderr.on('error', () => undefined)

/** Refuses help on an unknown command: commander would show the general one without saying why, and succeed. */
function checkHelpTopic(args: readonly string[]): void {
  const [first = '', topic] = args
  const names = [...COMMANDS.map(({ name }) => name), 'help']
  const asked =
    first === 'help' ? topic : args.some((arg) => HELP_FLAGS.has(arg)) ? first : undefined
  if (asked === undefined || asked.startsWith('-') || names.includes(asked)) return
  throw usageError(`there is no help on ${quoteArgument(asked)}; topics are ${names.join(', ')}`)
}

/** Refuses an argument that Node has already made another one of. */
function checkArguments(args: readonly string[]): void {
  const index = notUtf8Index(args, rawArguments())
  if (index < 0) return
  const exitCode = args[0] === 'exec' ? EXIT_EXEC : EXIT_USAGE
  throw new CliError(
    `argument ${index + 1}, ${quoteArgument(args[index] ?? '')}, is not UTF-8, and would be changed`,
    exitCode,
  )
}

async function run(args: readonly string[]): Promise<void> {
  checkArguments(args)
  checkHelpTopic(args)
  await newProgram(args).parseAsync()
}

function reportEarlyEnd(): void {
  process.exitCode = report(new CliError(EARLY_END, EXIT_BUG))
}

untilDone(run(process.argv.slice(2)), reportEarlyEnd).catch((thrown: unknown) => {
  process.exitCode = report(thrown)
  // A disk that hangs may hold this process forever.
  setTimeout(() => process.exit(), GRACE_MS).unref()
})
