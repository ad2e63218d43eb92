/**
 * What went wrong.
 * - `missing`: the stream is not there.
 * - `unreachable`: no connection, or no answer in time; what was sent may be stored or not.
 * - `fenced`: the stream does not end where it was expected to: somebody has appended.
 * - `full`: the server has no room, and drops nothing for new messages.
 * - `foreign`: a message that no shipper has written, or that was changed since.
 * - `refused`: wrong credentials, no permission, a certificate that is not trusted, or a setting that does not allow it.
 * - `usage`: the URL, an option or the client's package is missing or wrong.
 */
export type StreamErrorKind =
  | 'missing'
  | 'unreachable'
  | 'fenced'
  | 'full'
  | 'foreign'
  | 'refused'
  | 'usage'

/** Why a stream cannot be read or appended to, with what to do next. */
export class StreamError extends Error {
  /** The class's name. */
  override readonly name = 'StreamError'

  constructor(
    /** What went wrong. */
    readonly kind: StreamErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
