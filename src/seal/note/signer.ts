import { spawn } from 'node:child_process'
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { codeOf, textOf } from '../../base/describe'
import { writeNewFile } from '../new-file'
import { SealError } from '../seal-error'
import { fromBase64 } from './base64'
import { formatNote, signatureLine } from './note'
import { parseVerifierKey, type VerifierKey, verifierKeyOf } from './verifier-key'

/*
 * Who signs checkpoints: a private key in a file, or a program that reaches one elsewhere. Either is checked against
 * the verifier key before anything that it has signed is used.
 */

const KEY_FILE_MODE = 0o600
const VKEY_FILE_MODE = 0o644
const KEY_BYTES_MAX = 65_536
const OTHERS = 0o077
const COMMAND_MS_MAX = 10_000
const COMMAND_OUTPUT_MAX = 65_536
const SIGNATURE_BYTES = 64

/** Signs notes as one key. */
export interface Signer {
  readonly key: VerifierKey
  /** A signed note of a text, which ends in a newline. Rejects with a {@link SealError}. */
  sign(text: string): Promise<string>
}

/** The file of a key's verifier key: KEY.vkey for KEY.pem, and beside it. */
export function vkeyFileOf(keyFile: string): string {
  return `${keyFile.replace(/\.pem$/, '')}.vkey`
}

/**
 * Makes a key: a private one of Ed25519 in PKCS#8 at `keyFile`, mode 0600, and its verifier key beside it. Never over
 * a file that is there. Throws a {@link SealError}.
 * @returns the verifier key
 */
export function generateKey(origin: string, keyFile: string): VerifierKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const key = verifierKeyOf(origin, 'ed25519', publicKey)
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  writeNew(keyFile, pem.toString(), KEY_FILE_MODE)
  writeNew(vkeyFileOf(keyFile), `${key.text}\n`, VKEY_FILE_MODE)
  return key
}

function writeNew(file: string, text: string, mode: number): void {
  try {
    writeNewFile(file, text, mode)
  } catch (thrown) {
    const hint =
      codeOf(thrown) === 'EEXIST' ? ': it is there; name another file, or move it away' : ''
    throw new SealError(`cannot make ${file}${hint || `: ${textOf(thrown)}`}`)
  }
}

/** Reads a verifier key from its file. Throws a {@link SealError}. */
export function readVerifierKey(file: string): VerifierKey {
  return parseVerifierKey(readSmall(file, 0).trim())
}

/**
 * A signer with the private key of a file. The file must be a regular one that only its owner can read.
 * @param key its verifier key, which has its origin
 */
export function fileSigner(keyFile: string, key: VerifierKey): Signer {
  const privateKey = parsePrivateKey(keyFile, readSmall(keyFile, OTHERS))
  const own = verifierKeyOf(key.name, 'ed25519', createPublicKey(privateKey))
  if (own.text !== key.text) {
    throw new SealError(`${keyFile}: its verifier key is ${own.text}, not ${key.text}`)
  }
  return {
    key,
    sign: async (text) => {
      const signature = sign(null, Buffer.from(text), privateKey)
      return formatNote(text, [signatureLine(key, signature)])
    },
  }
}

function parsePrivateKey(file: string, pem: string) {
  let key: ReturnType<typeof createPrivateKey>
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new SealError(`${file}: expected a private key as PEM (PKCS#8), as keygen makes it`)
  }
  if (key.asymmetricKeyType === 'ed25519') return key
  throw new SealError(`${file}: expected an Ed25519 key, got ${key.asymmetricKeyType}`)
}

/** The text of a small regular file. @param forbidden the bits that its mode must not have */
function readSmall(file: string, forbidden: number): string {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK
  let descriptor: number
  try {
    descriptor = openSync(file, flags)
  } catch (thrown) {
    throw new SealError(`cannot open ${file}: ${textOf(thrown)}`)
  }
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) throw new SealError(`${file}: expected a regular file`)
    if (stats.size > KEY_BYTES_MAX) throw new SealError(`${file}: it is too large for a key`)
    if ((stats.mode & forbidden) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
      throw new SealError(
        `${file}: others than its owner may use it (mode ${mode}): chmod 600 it, or make another key if they may have read it`,
      )
    }
    return readFileSync(descriptor, 'utf8')
  } finally {
    closeSync(descriptor)
  }
}

/**
 * A signer by a program: it gets the note's text on its standard input, and writes the 64 bytes of the Ed25519
 * signature, in base64, to its standard output, within 10 s. There is no shell, and there are no arguments. What it
 * writes is verified.
 */
export function commandSigner(program: string, key: VerifierKey): Signer {
  const errorOf = (why: string) => new SealError(`the sign command ${program}: ${why}`)
  return {
    key,
    sign: async (text) => {
      const output = await runCommand(program, text, errorOf)
      const signature = fromBase64(output.trim())
      if (signature?.length !== SIGNATURE_BYTES) {
        throw errorOf(`expected ${SIGNATURE_BYTES} bytes in base64 on its standard output`)
      }
      if (!verify(null, Buffer.from(text), key.publicKey, signature)) {
        throw errorOf(`its signature is not one of ${key.text}`)
      }
      return formatNote(text, [signatureLine(key, signature)])
    },
  }
}

/** Its standard output, once it has ended well. A process that it has started may hold its output open for ever. */
function runCommand(
  program: string,
  input: string,
  errorOf: (why: string) => SealError,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] })
    const chunks: Buffer[] = []
    let bytes = 0
    const giveUp = (why: string) => {
      child.kill('SIGKILL')
      child.stdout.destroy()
      reject(errorOf(why))
    }
    const timer = setTimeout(() => giveUp('it has not ended within 10 s'), COMMAND_MS_MAX)
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes > COMMAND_OUTPUT_MAX) giveUp('it writes too much')
    })
    // A program that does not read its input says by its exit what it thinks of it.
    child.stdin.on('error', () => undefined)
    child.once('error', (error) => {
      clearTimeout(timer)
      reject(errorOf(error.message))
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) resolve(Buffer.concat(chunks).toString())
      else reject(errorOf(code === null ? `it was killed by ${signal}` : `it ended with ${code}`))
    })
    child.stdin.end(input)
  })
}
