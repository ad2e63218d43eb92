import { SealError } from '../seal-error'
import { HASH_BYTES } from '../tree/hashes'
import type { TreeHead } from '../tree/proofs'
import { fromBase64 } from './base64'
import { parseNote, type SignedNote, type VerifiedSignature, verifySignatures } from './note'
import type { VerifierKey } from './verifier-key'

/*
 * C2SP tlog-checkpoint: a signed note of three lines, the log's origin, the number of its leaves, and their root.
 */

const SIZE = /^(?:0|[1-9]\d*)$/

/** A tree's head, and which log's it is. */
export interface Checkpoint extends TreeHead {
  readonly origin: string
}

/** A checkpoint with its verified signatures. */
export interface OpenedCheckpoint extends Checkpoint {
  readonly note: SignedNote
  /** The whole note, as it stands in its file. */
  readonly bytes: Buffer
  readonly signatures: readonly VerifiedSignature[]
}

/** The text of a checkpoint, to be signed. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`
}

/** Parses the text of a checkpoint; extension lines are passed over. @param what names it in errors */
export function parseCheckpoint(text: string, what: string): Checkpoint {
  const refuse = (why: string): never => {
    throw new SealError(`${what}: it is no checkpoint: ${why}`)
  }
  const lines = text.split('\n')
  const [origin = '', size = '', base64 = ''] = lines
  if (lines.length < 4) return refuse('it has not three lines')
  if (lines.slice(0, -1).includes('')) return refuse('it has an empty line')
  if (!SIZE.test(size)) return refuse('its second line is not the number of leaves')
  if (Number(size) > Number.MAX_SAFE_INTEGER) return refuse(`its ${size} leaves are more than 2^53`)
  const root = fromBase64(base64)
  if (root?.length !== HASH_BYTES)
    return refuse('its third line is not a root of 32 bytes, in base64')
  return { origin, size: Number(size), root }
}

/**
 * Opens a checkpoint: parses it, and verifies the signatures of known keys. The log's own key must be among them, and
 * the origin must be its name; throws a {@link SealError} otherwise.
 * @param witnesses keys whose cosignatures are verified if they are there
 */
export function openCheckpoint(
  bytes: Uint8Array,
  key: VerifierKey,
  what: string,
  witnesses: readonly VerifierKey[] = [],
): OpenedCheckpoint {
  const note = parseNote(bytes, what)
  const signatures = verifySignatures(note, [key, ...witnesses], what)
  if (!signatures.some((signature) => signature.key === key)) {
    const signers = note.signatures.map(({ name, keyId }) => `${name}+${keyId}`).join(', ')
    throw new SealError(`${what}: it is not signed by ${key.name}+${key.id}, but by ${signers}`)
  }
  const checkpoint = parseCheckpoint(note.text, what)
  if (checkpoint.origin !== key.name) {
    throw new SealError(`${what}: its origin is ${checkpoint.origin}, not ${key.name}`)
  }
  return { ...checkpoint, note, bytes: Buffer.from(bytes), signatures }
}
