import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { parseNote, verifySignatures } from '../../../src/seal/note/note'
import {
  commandSigner,
  fileSigner,
  generateKey,
  readVerifierKey,
  vkeyFileOf,
} from '../../../src/seal/note/signer'
import { refusal } from '../../support/refusal'
import { useTempDir } from '../../support/temp-dir'

const folder = useTempDir()
const TEXT = 'log.example/gw1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n'

function makeKey(name = 'key.pem') {
  const file = folder.path(name)
  return { file, key: generateKey('log.example/gw1', file) }
}

function makeCommand(script: string): string {
  const file = folder.path('sign')
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return file
}

const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

describe('a key', () => {
  it('is made as PKCS#8 for its owner alone, with its verifier key beside it', async () => {
    const { file, key } = makeKey()
    expect(mode(file)).toBe('600')
    expect(readFileSync(file, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    expect(vkeyFileOf(file)).toBe(folder.path('key.vkey'))
    expect(readFileSync(vkeyFileOf(file), 'utf8')).toBe(`${key.text}\n`)
    expect(readVerifierKey(vkeyFileOf(file)).text).toBe(key.text)
    const note = await fileSigner(file, key).sign(TEXT)
    const verified = verifySignatures(parseNote(Buffer.from(note), 'note'), [key], 'note')
    expect(verified.map((signature) => signature.key)).toEqual([key])
  })

  it('is never made over a file, and not for an origin with a space or a +', () => {
    const { file } = makeKey()
    const before = readFileSync(file)
    expect(refusal(() => generateKey('log.example/gw1', file))).toBe(
      `SealError: cannot make ${file}: it is there; name another file, or move it away`,
    )
    expect(readFileSync(file)).toEqual(before)
    for (const origin of ['a b', 'a+b', '', 'a\u00a0b']) {
      expect(refusal(() => generateKey(origin, folder.path('other.pem')))).toBe(
        `SealError: ${JSON.stringify(origin)}: a key's name, which is the log's origin, has no spaces, no + and at least one character`,
      )
    }
  })

  it('is refused if others may read it, if it is of another kind, or not that of its verifier key', () => {
    const { file, key } = makeKey()
    chmodSync(file, 0o640)
    expect(refusal(() => fileSigner(file, key))).toBe(
      `SealError: ${file}: others than its owner may use it (mode 0640): chmod 600 it, or make another key if they may have read it`,
    )
    chmodSync(file, 0o600)
    const other = makeKey('other.pem')
    expect(refusal(() => fileSigner(file, other.key))).toBe(
      `SealError: ${file}: its verifier key is ${key.text}, not ${other.key.text}`,
    )
    const rsa = folder.path('ec.pem')
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    writeFileSync(rsa, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
    expect(refusal(() => fileSigner(rsa, key))).toBe(
      `SealError: ${rsa}: expected an Ed25519 key, got ec`,
    )
    writeFileSync(rsa, 'nothing\n')
    expect(refusal(() => fileSigner(rsa, key))).toBe(
      `SealError: ${rsa}: expected a private key as PEM (PKCS#8), as keygen makes it`,
    )
    const fifo = folder.path('fifo')
    execFileSync('mkfifo', ['-m', '600', fifo])
    expect(refusal(() => fileSigner(fifo, key))).toBe(`SealError: ${fifo}: expected a regular file`)
    expect(refusal(() => fileSigner(folder.path('none'), key))).toBe(
      `SealError: cannot open ${folder.path('none')}: Error: ENOENT: no such file or directory, open '${folder.path('none')}'`,
    )
  })
})

describe('a sign command', () => {
  /** openssl signs a file, not standard input. */
  const recipe = (key: string) =>
    `t=$(mktemp) && cat > "$t" && openssl pkeyutl -sign -rawin -inkey '${key}' -in "$t" | base64 -w0; rm "$t"`

  it('signs as the key does, by openssl', async () => {
    const { file, key } = makeKey()
    const note = await commandSigner(makeCommand(recipe(file)), key).sign(TEXT)
    expect(note).toBe(await fileSigner(file, key).sign(TEXT))
  })

  it('is refused if it signs with another key, or something else, or fails, or is not there', async () => {
    const { key } = makeKey()
    const other = makeKey('other.pem')
    const signed = (script: string) => commandSigner(makeCommand(script), key).sign(TEXT)
    const at = `SealError: the sign command ${folder.path('sign')}:`
    const bytes = `${at} expected 64 bytes in base64 on its standard output`
    await expect(signed(recipe(other.file)).catch(String)).resolves.toBe(
      `${at} its signature is not one of ${key.text}`,
    )
    await expect(signed('echo hello').catch(String)).resolves.toBe(bytes)
    await expect(signed('').catch(String)).resolves.toBe(bytes)
    await expect(signed('exit 3').catch(String)).resolves.toBe(`${at} it ended with 3`)
    await expect(signed('exec yes').catch(String)).resolves.toBe(`${at} it writes too much`)
    const none = folder.path('none')
    await expect(commandSigner(none, key).sign(TEXT).catch(String)).resolves.toBe(
      `SealError: the sign command ${none}: spawn ${none} ENOENT`,
    )
  })
})
