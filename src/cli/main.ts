#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import type { CommandEntry } from './command'
import { EARLY_END, untilDone } from './early-end'
import { CliError, EXIT_BUG, EXIT_USAGE, messageOf } from './errors'
import { painter } from './terminal'

const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'exec',
    summary: 'run one command, and leave its trail in the audit log',
    load: () => require('./exec'),
  },
  {
    name: 'view',
    summary: "show a log's events, filter them, and follow it as it grows",
    load: () => require('./view'),
  },
  {
    name: 'show',
    summary: "show one command's life: its events, and the time between them",
    load: () => require('./show'),
  },
  {
    name: 'stats',
    summary: 'count what a log holds: events, denials, exits, agents, commands, durations',
    load: () => require('./stats'),
  },
  {
    name: 'verify',
    summary: "check each line of a log, and the order of each request's events",
    load: () => require('./verify'),
  },
  {
    name: 'doctor',
    summary: 'look at a machine, a log and its disk before going live',
    load: () => require('./doctor'),
  },
  {
    name: 'tune',
    summary: 'measure a disk, and say which fsync options suit a load on it',
    load: () => require('./tune'),
  },
]

const GRACE_MS = 1_000

function newProgram(args: readonly string[]): Command {
  const program = new Command('x0x-exec-audit')
    .description('Tools around x0x-exec-audit, the durable audit writer of exec gateways.')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(--help shows the usage)')
  // The first that is a command's name: what follows may be a command to run, of any name.
  const asked = args.find((arg) => COMMANDS.some(({ name }) => name === arg))
  for (const { name, summary, load } of COMMANDS) {
    const command = program.command(name).summary(summary).description(capitalized(summary))
    command.exitOverride()
    // Also for `help tune`.
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

/** Tells the user what went wrong, and returns the exit code for it. */
function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) {
    // It has said why already. Help that was asked for is no mistake.
    return thrown.exitCode === 1 ? EXIT_USAGE : thrown.exitCode
  }
  const label = painter(process.stderr)('red', 'x0x-exec-audit:')
  if (thrown instanceof CliError) {
    process.stderr.write(`${label} ${thrown.message}\n`)
    return thrown.exitCode
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

function reportEarlyEnd(): void {
  process.exitCode = report(new CliError(EARLY_END, EXIT_BUG))
}

untilDone(newProgram(process.argv.slice(2)).parseAsync(), reportEarlyEnd).catch(
  (thrown: unknown) => {
    process.exitCode = report(thrown)
    // A disk that hangs may never let go of what waits for it.
    setTimeout(() => process.exit(), GRACE_MS).unref()
  },
)
