#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import type { CommandEntry } from './command'
import { CliError, EXIT_BUG, EXIT_PASS, EXIT_USAGE, messageOf } from './errors'
import { painter } from './terminal'

const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'doctor',
    summary: 'look at a machine, a log and its disk before going live',
    load: () => require('./doctor'),
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
    name: 'tune',
    summary: 'measure a disk, and say which fsync options suit a load on it',
    load: () => require('./tune'),
  },
  {
    name: 'verify',
    summary: 'check each line of a log, and the order of each request’s events',
    load: () => require('./verify'),
  },
  {
    name: 'view',
    summary: "show a log's events, filter them, and follow it as it grows",
    load: () => require('./view'),
  },
]

const GRACE_MS = 1_000

function newProgram(args: readonly string[]): Command {
  const program = new Command('x0x-exec-audit')
    .description('Tools around x0x-exec-audit, the durable audit writer of exec gateways.')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(--help shows the usage)')
  for (const { name, summary, load } of COMMANDS) {
    const command = program.command(name).summary(summary).description(capitalized(summary))
    command.exitOverride()
    // Also for `help tune`.
    if (args.includes(name)) load().configure(command)
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
    return thrown.exitCode === 0 ? EXIT_PASS : EXIT_USAGE
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

newProgram(process.argv.slice(2))
  .parseAsync()
  .then(
    () => undefined,
    (thrown: unknown) => {
      process.exitCode = report(thrown)
      // A disk that hangs may never let go of what waits for it.
      setTimeout(() => process.exit(), GRACE_MS).unref()
    },
  )
