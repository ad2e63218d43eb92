/** A mistake in an option or an argument; the message says which, what is allowed and what was given. */
export interface InvalidOptionError extends Error {
  /** Distinguishes it from other TypeErrors and RangeErrors. */
  readonly code: 'AUDIT_INVALID_OPTION'
  /** The option's path, such as `options.fsync.maxBytes`. */
  readonly option: string
}

type Mistake = TypeError | RangeError

/** Makes the error for a mistake in an option. */
export function invalidOption(
  option: string,
  problem: string,
  ErrorOfKind: typeof TypeError | typeof RangeError = TypeError,
): Mistake & InvalidOptionError {
  return asInvalidOption(new ErrorOfKind(`${option}: ${problem}`), option)
}

/** Makes an error one about an option. */
export function asInvalidOption(error: Mistake, option: string): Mistake & InvalidOptionError {
  return Object.assign(error, { code: 'AUDIT_INVALID_OPTION' as const, option })
}
