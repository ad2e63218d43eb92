/** How the command ended, for scripts. */
export const EXIT_PASS = 0
export const EXIT_FAIL = 1
export const EXIT_USAGE = 2
/** The log or the disk that was given does not suffice for an answer. */
export const EXIT_UNSURE = 3
/** A mistake in this program. */
export const EXIT_BUG = 70

/** A message for the user, in one sentence, with an exit code. */
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

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
