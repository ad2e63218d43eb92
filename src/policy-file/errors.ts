/**
 * Stable codes of {@link PolicyFileError}, one for each of x0x's own errors:
 * - `POLICY_FILE_MISSING`: a file that was named is not there;
 * - `POLICY_FILE_UNREADABLE`: it cannot be read, or is not UTF-8;
 * - `POLICY_FILE_MALFORMED`: it is not TOML;
 * - `POLICY_FILE_INVALID`: a key is unknown, or its value is of the wrong type or out of range.
 */
export type PolicyFileErrorCode =
  | 'POLICY_FILE_MISSING'
  | 'POLICY_FILE_UNREADABLE'
  | 'POLICY_FILE_MALFORMED'
  | 'POLICY_FILE_INVALID'

/** The place of a mistake in the file. */
export interface PolicyFilePlace {
  /** From 1. */
  readonly line?: number | undefined
  /** Such as `exec.max_stdout_bytes` or `exec.allow[0].commands[1].argv`, counted from 0 as in x0x. */
  readonly key?: string | undefined
}

/** One of the mistakes in a file. */
export interface PolicyFileMistake extends PolicyFilePlace {
  /** What is allowed, and what the file has. */
  readonly problem: string
}

/**
 * A policy file that cannot be used. Its message names the file, the line and the key; if there are several
 * mistakes, each on a line of its own.
 */
export class PolicyFileError extends Error {
  /** Distinguishes it from other errors if `instanceof` cannot. */
  override readonly name = 'PolicyFileError'
  /** Compare this, never the message. */
  readonly code: PolicyFileErrorCode
  /** The file, as an absolute path. */
  readonly path: string
  /** From 1, of the first mistake; undefined if it is in no line. */
  readonly line: number | undefined
  /** Such as `exec.max_stdout_bytes` or `exec.allow[0].agent_id`; undefined if the mistake is in no key. */
  readonly key: string | undefined
  /** All mistakes in keys and values, in the order of their lines; at least one. */
  readonly mistakes: readonly PolicyFileMistake[]

  constructor(
    code: PolicyFileErrorCode,
    path: string,
    problem: string,
    {
      line,
      key,
      mistakes = [{ line, key, problem }],
      ...options
    }: PolicyFilePlace & { readonly mistakes?: readonly PolicyFileMistake[] } & ErrorOptions = {},
  ) {
    const texts = mistakes.map((mistake) => messageOf(path, mistake))
    const isOne = texts.length === 1
    super(isOne ? texts[0] : [`${path}: ${texts.length} mistakes`, ...texts].join('\n'), options)
    this.code = code
    this.path = path
    this.line = line
    this.key = key
    this.mistakes = mistakes
  }
}

function messageOf(path: string, { line, key, problem }: PolicyFileMistake): string {
  const place = line === undefined ? path : `${path}:${line}`
  return `${place}: ${key === undefined ? '' : `${key}: `}${problem}`
}
