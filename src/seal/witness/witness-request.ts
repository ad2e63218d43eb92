import type { Checkpoint } from '../note/checkpoint'
import { parseSignature, type VerifiedSignature, verifySignatures } from '../note/note'
import { parseVerifierKey, type VerifierKey } from '../note/verifier-key'
import { SealError } from '../seal-error'

/*
 * One request of C2SP tlog-witness: the new checkpoint, with a proof that it extends the one which the witness has signed
 * last, against a cosignature.
 */

const ADD = 'add-checkpoint'
const PROOF_LINES_MAX = 63
const ANSWER_BYTES_MAX = 65_536
const SIZE = /^(0|[1-9]\d*)\n?$/
const CONFLICT = 409
const REFUSED_PROOF = 422

/** A witness: where it is, and the key that it cosigns with. */
export interface Witness {
  /** Of its write API, without a slash at its end. */
  readonly url: string
  readonly key: VerifierKey
}

/** Parses `URL,VKEY`. Throws a {@link SealError}. */
export function parseWitness(text: string): Witness {
  const comma = text.lastIndexOf(',')
  const shown = JSON.stringify(text.slice(0, 200))
  if (comma < 0) throw new SealError(`the witness ${shown}: expected URL,VKEY`)
  const address = text.slice(0, comma)
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new SealError(`the witness ${shown}: expected an http: or https: URL before the comma`)
  }
  const key = parseVerifierKey(text.slice(comma + 1))
  if (key.type === 'cosignature') return { url: url.href.replace(/\/+$/, ''), key }
  throw new SealError(
    `the witness ${shown}: its key is a log's (type 0x01), and no witness's (0x04)`,
  )
}

/** The witness has signed a longer log of this origin, or another one. */
export class OtherLogError extends SealError {}

/** A signed checkpoint, to be cosigned. */
export interface SignedNoteText {
  readonly checkpoint: Checkpoint
  /** The note's text, which is signed. */
  readonly text: string
  /** The whole note. */
  readonly bytes: Buffer
}

/** A witness's answer: its cosignatures, or the size that it has signed last. */
export type WitnessAnswer =
  | { readonly kind: 'cosigned'; readonly signatures: readonly VerifiedSignature[] }
  | { readonly kind: 'conflict'; readonly size: number }

/**
 * Asks a witness to cosign. Rejects with a {@link SealError} for any other answer, and with what fetch throws.
 * @param old the size that the witness has signed last
 * @param proof of consistency from `old` on
 */
export async function askWitness(
  { url, key }: Witness,
  note: SignedNoteText,
  old: number,
  proof: readonly Buffer[],
  signal: AbortSignal,
): Promise<WitnessAnswer> {
  const address = `${url}/${ADD}`
  if (proof.length > PROOF_LINES_MAX) throw new SealError(`${address}: the proof is too long`)
  const lines = [`old ${old}`, ...proof.map((hash) => hash.toString('base64'))]
  const body = `${lines.join('\n')}\n\n${note.bytes.toString()}`
  const response = await fetch(address, { method: 'POST', body, signal, redirect: 'error' })
  const text = await readAnswer(response, address)
  if (response.status === CONFLICT) {
    const size = SIZE.exec(text)?.[1]
    if (size !== undefined && Number.isSafeInteger(Number(size))) {
      return { kind: 'conflict', size: Number(size) }
    }
    // So the specification answers another root of the same size.
    if (old === note.checkpoint.size) return { kind: 'conflict', size: old }
  }
  if (response.status !== 200) {
    const Failure = response.status === REFUSED_PROOF ? OtherLogError : SealError
    throw new Failure(`${address} answered ${statusText(response.status)}`)
  }
  return { kind: 'cosigned', signatures: cosignaturesOf(text, note, key, address) }
}

function statusText(status: number): string {
  const meaning: Readonly<Record<number, string>> = {
    400: '400: it does not understand the request',
    403: "403: it does not know the log's key",
    404: "404: it does not know the log's origin",
    409: '409: without the size that it has signed',
    422: '422: it does not accept the proof: the log is not the one that it has signed before',
  }
  return meaning[status] ?? String(status)
}

/** The verified cosignatures of an answer; those of unknown keys are passed over. */
function cosignaturesOf(
  text: string,
  note: SignedNoteText,
  key: VerifierKey,
  address: string,
): readonly VerifiedSignature[] {
  const signatures = text.split('\n').flatMap((line) => parseSignature(line) ?? [])
  const verified = verifySignatures({ text: note.text, signatures }, [key], address)
  if (verified.length > 0) return verified
  throw new SealError(`${address} answered without a signature of ${key.name}+${key.id}`)
}

async function readAnswer(response: Response, address: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX)
      throw new SealError(`${address} answers more than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
