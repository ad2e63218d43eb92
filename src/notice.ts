import { ownReason, warning } from './errors'

/*
 * What the drainer tells an operator that is not about one event. It crosses between the threads.
 */

/** A fragment without its newline was found at the end of the file, and closed with one. */
export interface TornTail {
  readonly kind: 'torn-tail'
  /** Where the fragment starts, in bytes from the file's start. */
  readonly offset: number
  /** Length of the fragment in bytes. */
  readonly bytes: number
}

/** The file was opened and is written to, but others could tamper with it. */
export interface UnsafeFile {
  readonly kind: 'unsafe-file'
  /** REASON constants of failure.ts. */
  readonly reasons: readonly number[]
}

export type Notice = TornTail | UnsafeFile

/** The notice as a warning about the log at `path`. */
export function noticeWarning(notice: Notice, path: string): Error {
  switch (notice.kind) {
    case 'torn-tail': {
      const { bytes, offset } = notice
      const text = `${path} had ${bytes} bytes without a newline at offset ${offset}, left by a crash or a full disk; they were closed with one and kept`
      return warning('AUDIT_TORN_TAIL', text)
    }
    case 'unsafe-file': {
      const reasons = notice.reasons.map(ownReason).join('; ')
      return warning('AUDIT_UNSAFE_FILE', `${path} can be tampered with: ${reasons}`)
    }
  }
}
