import { parseVerifierKey, type VerifierKey } from '../note/verifier-key'
import { SealError } from '../seal-error'

/** The keys that a verification trusts. */
export interface TrustedKeys {
  /** Of logs. */
  readonly logs: readonly VerifierKey[]
  readonly witnesses: readonly VerifierKey[]
  /** Witnesses that have to agree. */
  readonly quorum: number
}

/** Parses the keys of a verification. Throws a {@link SealError} for one of the wrong type. */
export function trustedKeys(
  keys: readonly string[],
  witnesses: readonly string[],
  quorum: number | undefined,
): TrustedKeys {
  const logs = keys.map(parseVerifierKey)
  const parsed = witnesses.map(parseVerifierKey)
  for (const { name, type } of logs) {
    if (type !== 'ed25519') throw new SealError(`the key of ${name} is a witness's, and no log's`)
  }
  for (const { name, type } of parsed) {
    if (type !== 'cosignature')
      throw new SealError(`the key of ${name} is a log's, and no witness's`)
  }
  const most = new Set(parsed.map(({ name }) => name)).size
  const needed = quorum ?? most
  if (needed > most || (most > 0 && needed < 1)) {
    throw new SealError(
      `the quorum must be from 1 to ${most}, the number of witnesses, got ${needed}`,
    )
  }
  return { logs, witnesses: parsed, quorum: needed }
}
