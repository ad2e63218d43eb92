import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { SealError } from '../seal-error'
import { fromBase64 } from './base64'

/*
 * Verifier keys of C2SP signed-note: NAME+ID+BASE64, where ID is the hash of the name, the type and the key. The
 * type says what is signed: the note itself, or the note with a time (a witness's cosignature).
 */

/** The types of signature that this package makes and checks. */
const KEY_TYPES = { ed25519: 0x01, cosignature: 0x04 } as const
const ML_DSA_TYPE = 0x06
const PUBLIC_KEY_BYTES = 32
const KEY_ID_HEX = /^[0-9a-f]{8}$/
/** White space as Unicode has it, which Go's own check uses too, and the separator. */
const NOT_IN_NAME = /[\p{White_Space}+]/u

/** A key that checks signatures. */
export interface VerifierKey {
  /** The signer's name: an origin, or a witness's name. */
  readonly name: string
  /** Eight hex digits. */
  readonly id: string
  readonly type: keyof typeof KEY_TYPES
  readonly publicKey: KeyObject
  /** The key as text, to be pinned. */
  readonly text: string
}

/** Whether it can be the name of a key, and so an origin: not empty, without spaces and `+`, of valid Unicode. */
export function isKeyName(name: string): boolean {
  return name !== '' && !NOT_IN_NAME.test(name) && name.isWellFormed()
}

/** The verifier key of a public key of Ed25519. */
export function verifierKeyOf(
  name: string,
  type: VerifierKey['type'],
  publicKey: KeyObject,
): VerifierKey {
  if (!isKeyName(name)) {
    throw new SealError(
      `${JSON.stringify(name)}: a key's name, which is the log's origin, has no spaces, no + and at least one character`,
    )
  }
  if (publicKey.asymmetricKeyType !== 'ed25519') {
    throw new SealError(
      `the key of ${name}: expected Ed25519, got ${publicKey.asymmetricKeyType ?? 'a secret'}`,
    )
  }
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  const material = Buffer.concat([Buffer.of(KEY_TYPES[type]), raw])
  const id = keyId(name, material)
  return { name, id, type, publicKey, text: `${name}+${id}+${material.toString('base64')}` }
}

/** @param material the type and the public key */
function keyId(name: string, material: Buffer): string {
  const input = Buffer.concat([Buffer.from(`${name}\n`), material])
  return hash('sha256', input, 'buffer').subarray(0, 4).toString('hex')
}

/** Parses a verifier key. Throws a {@link SealError} that says what is wrong with it. */
export function parseVerifierKey(text: string): VerifierKey {
  const shown = JSON.stringify(text.slice(0, 200))
  const refuse = (why: string): never => {
    throw new SealError(
      `the verifier key ${shown}: ${why}; expected NAME+ID+KEY, as keygen prints it`,
    )
  }
  const [name = '', id = '', ...rest] = text.split('+')
  // The base64 of the key may have a + itself.
  const material = fromBase64(rest.join('+'))
  if (rest.length === 0) return refuse('it has not two +')
  if (!isKeyName(name)) return refuse('its name is empty or has a space')
  if (!KEY_ID_HEX.test(id)) return refuse('its ID is not eight hex digits')
  if (material === undefined || material.length === 0) return refuse('its key is not base64')
  const type = typeOf(material[0])
  if (type === undefined) return refuse(unknownType(material[0]))
  if (material.length !== 1 + PUBLIC_KEY_BYTES) {
    return refuse(`its key has ${material.length - 1} bytes instead of ${PUBLIC_KEY_BYTES}`)
  }
  if (keyId(name, material) !== id) return refuse('its ID is not that of its name and key')
  const x = material.subarray(1).toString('base64url')
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return { name, id, type, publicKey, text }
}

function typeOf(byte: number | undefined): VerifierKey['type'] | undefined {
  if (byte === KEY_TYPES.ed25519) return 'ed25519'
  return byte === KEY_TYPES.cosignature ? 'cosignature' : undefined
}

function unknownType(byte = 0): string {
  const hex = `0x${byte.toString(16).padStart(2, '0')}`
  if (byte === ML_DSA_TYPE) return `its type ${hex}, ML-DSA-44, is not supported, only Ed25519 is`
  return `its type ${hex} is unknown`
}
