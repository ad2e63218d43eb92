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
  /** Such as `exec.max_stdout_bytes`. */
  readonly key?: string | undefined
}

/** A policy file that cannot be used. Its message names the file, the line and the key. */
export class PolicyFileError extends Error {
  /** Distinguishes it from other errors if `instanceof` cannot. */
  override readonly name = 'PolicyFileError'
  /** Compare this, never the message. */
  readonly code: PolicyFileErrorCode
  /** The file, as an absolute path. */
  readonly path: string
  /** From 1; undefined if the mistake is in no line. */
  readonly line: number | undefined
  /** Such as `exec.max_stdout_bytes`; undefined if the mistake is in no key. */
  readonly key: string | undefined

  constructor(
    code: PolicyFileErrorCode,
    path: string,
    problem: string,
    { line, key, ...options }: PolicyFilePlace & ErrorOptions = {},
  ) {
    const place = line === undefined ? path : `${path}:${line}`
    super(`${place}: ${key === undefined ? '' : `${key}: `}${problem}`, options)
    this.code = code
    this.path = path
    this.line = line
    this.key = key
  }
}
