import type { Command } from 'commander'

/** A command's file: it adds the options, the help and the action of the command that was asked for. */
interface CommandModule {
  configure(command: Command): void
}

/** A command as the general help lists it. */
export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Loads the command's file. Only the command that was asked for is loaded, so that each starts fast. */
  load(): CommandModule
}
