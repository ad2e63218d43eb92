/** How the command ended, for scripts. */
export const EXIT_PASS = 0
export const EXIT_FAIL = 1
export const EXIT_USAGE = 2
/** The log or the disk that was given does not suffice for an answer. */
export const EXIT_UNSURE = 3
/** `exec` has not run its command, or has not recorded it. */
export const EXIT_EXEC = 125
/** A mistake in this program. */
export const EXIT_BUG = 70

/** A message for the user, in one sentence, with an exit code. */
export class CliError extends Error {
  override readonly name = 'CliError'

  constructor(
    message: string,
    readonly exitCode: number,
    /** What was thrown, if that may be a mistake in this program. */
    override readonly cause?: unknown,
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

/** The same, with what it means if that is not plain. */
export function reasonOf(thrown: unknown): string {
  return isFolderGone(thrown) ? FOLDER_GONE : messageOf(thrown)
}

const FOLDER_GONE = 'the working folder is gone; name files by whole paths'

/** Whether this process's working folder was to be named, and has been removed. */
export function isFolderGone(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown && thrown.syscall === 'uv_cwd'
}
