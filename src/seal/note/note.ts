import { verify } from 'node:crypto'
import { SealError } from '../seal-error'
import { fromBase64 } from './base64'
import { isKeyName, type VerifierKey } from './verifier-key'

/*
 * C2SP signed-note: a text, a blank line, and lines of signatures. The text means nothing before a signature of a
 * known key is verified.
 */

/** Go's limits. */
const NOTE_BYTES_MAX = 1_000_000
const SIGNATURES_MAX = 100
const KEY_ID_BYTES = 4
const ED25519_BYTES = 64
const TIMESTAMP_BYTES = 8
const DASH = '\u2014'
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a note must not have
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/
const SIGNATURE_LINE = /^\u2014 (\S+) (\S+)$/u

/** One line of a note's signatures. */
export interface NoteSignature {
  readonly name: string
  /** The key's, eight hex digits. */
  readonly keyId: string
  readonly signature: Buffer
  /** The line as it stands in the note, without its newline. */
  readonly line: string
}

/** A signed note, not verified yet. */
export interface SignedNote {
  /** It ends in a newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** A signature that a known key made. */
export interface VerifiedSignature {
  readonly key: VerifierKey
  readonly line: string
  /** When a witness made it, in seconds since 1970; undefined for a log's own. */
  readonly timeSeconds: number | undefined
}

/** Parses a signed note. @param what names it in errors, such as its file */
export function parseNote(bytes: Uint8Array, what: string): SignedNote {
  const refuse = (why: string): never => {
    throw new SealError(`${what}: it is no signed note: ${why}`)
  }
  if (bytes.length > NOTE_BYTES_MAX) return refuse(`it has more than ${NOTE_BYTES_MAX} bytes`)
  const note = decodeUtf8(bytes)
  if (note === undefined) return refuse('it is not UTF-8')
  if (CONTROL.test(note)) return refuse('it has control characters')
  const split = note.lastIndexOf('\n\n')
  if (split < 0) return refuse('it has no blank line before its signatures')
  if (!note.endsWith('\n') || split + 2 === note.length)
    return refuse('it has no signature at its end')
  const lines = note.slice(split + 2, -1).split('\n')
  if (lines.length > SIGNATURES_MAX) return refuse(`it has more than ${SIGNATURES_MAX} signatures`)
  const signatures = lines.map(
    (line) =>
      parseSignature(line) ?? refuse(`${JSON.stringify(line.slice(0, 80))} is no signature`),
  )
  return { text: note.slice(0, split + 1), signatures }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Parses a line of a signature, without its newline; undefined if it is none. */
export function parseSignature(line: string): NoteSignature | undefined {
  const [, name, text] = SIGNATURE_LINE.exec(line) ?? []
  if (name === undefined || text === undefined || !isKeyName(name)) return undefined
  const bytes = fromBase64(text)
  if (bytes === undefined || bytes.length <= KEY_ID_BYTES) return undefined
  const keyId = bytes.subarray(0, KEY_ID_BYTES).toString('hex')
  return { name, keyId, signature: bytes.subarray(KEY_ID_BYTES), line }
}

/** The line of a signature, without its newline. */
export function signatureLine(key: VerifierKey, signature: Uint8Array): string {
  const bytes = Buffer.concat([Buffer.from(key.id, 'hex'), signature])
  return `${DASH} ${key.name} ${bytes.toString('base64')}`
}

/** A signed note. @param text ends in a newline */
export function formatNote(text: string, signatureLines: readonly string[]): string {
  return `${text}\n${signatureLines.map((line) => `${line}\n`).join('')}`
}

/**
 * The signatures of known keys, which must all be right; those of others are passed over. Throws for one that is
 * wrong, since a note that someone has changed says nothing.
 */
export function verifySignatures(
  { text, signatures }: SignedNote,
  keys: readonly VerifierKey[],
  what: string,
): readonly VerifiedSignature[] {
  return signatures.flatMap(({ name, keyId, signature, line }) => {
    const key = keys.find((known) => known.name === name && known.id === keyId)
    if (key === undefined) return []
    const verified = verifySignature(text, signature, key)
    if (verified === undefined) throw new SealError(`${what}: the signature of ${name} is wrong`)
    return [{ key, line, ...verified }]
  })
}

/** Verifies one signature of a text; undefined if it is wrong. */
function verifySignature(
  text: string,
  signature: Buffer,
  key: VerifierKey,
): Pick<VerifiedSignature, 'timeSeconds'> | undefined {
  const isTimed = key.type === 'cosignature'
  const timed = isTimed ? TIMESTAMP_BYTES : 0
  if (signature.length !== timed + ED25519_BYTES) return undefined
  const time = isTimed ? signature.readBigUInt64BE() : 0n
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) return undefined
  const timeSeconds = isTimed ? Number(time) : undefined
  const message = timeSeconds === undefined ? text : cosignedText(text, timeSeconds)
  const isRight = verify(null, Buffer.from(message), key.publicKey, signature.subarray(timed))
  return isRight ? { timeSeconds } : undefined
}

/** What a witness signs (C2SP tlog-cosignature). */
export function cosignedText(text: string, timeSeconds: number): string {
  return `cosignature/v1\ntime ${timeSeconds}\n${text}`
}
