import type { Command } from 'commander'

/** What a command's file exports: its options, help and action, added when it is the one asked for. */
interface CommandModule {
  configure(command: Command): void
}

/** A command as the list of all shows it. */
export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Loads the command's file. Only that of the command asked for is, so that each starts fast. */
  load(): CommandModule
}
