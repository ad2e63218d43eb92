/** How the command ended, for scripts. */
export const EXIT_PASS = 0
export const EXIT_FAIL = 1
export const EXIT_USAGE = 2
/** What was given, a log or a disk, does not suffice for an answer. */
export const EXIT_UNSURE = 3
/** A mistake in this program. */
export const EXIT_BUG = 70

/** Something to tell the user in one sentence, and an exit code. */
export class CliError extends Error {
  override readonly name = 'CliError'

  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message)
  }
}

export function usageError(message: string): CliError {
  return new CliError(`${message} (--help shows the usage)`, EXIT_USAGE)
}

/** What was thrown, in words. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
