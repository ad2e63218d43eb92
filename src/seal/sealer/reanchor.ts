import { chmod, lstat, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { codeOf } from '../../base/describe'
import { parseCheckpoint } from '../note/checkpoint'
import { parseNote } from '../note/note'
import { type VerifierKey, verifierKeyOf } from '../note/verifier-key'
import { SealError } from '../seal-error'
import { CHECKPOINT_FILE, FAILED_SYNC_FILE, REANCHOR_FILE } from '../seal-files'
import { entryOf } from '../tree/hashes'
import { replaceFile, syncFolder } from './durable-file'
import type { Reanchoring } from './old-seal'
import { makeSealFolder, SealHeldError } from './open-sealer'
import { Publisher } from './publisher'
import { SealFolder } from './seal-folder'
import { SealLock } from './seal-lock'
import type { ResolvedPlace } from './seal-options'

const VKEY_MODE = 0o644
const MODE_BITS = 0o7777

/** A seal that was begun anew. */
export interface Reanchored {
  /** The verifier key of the new seal. */
  readonly key: VerifierKey
  /** Where the old one is kept. */
  readonly oldFolder: string
}

/**
 * Keeps the seal's folder as DIR.N and begins a new one, of the origin NAME/N+1, whose first entry is the hash of its
 * file `reanchor`: the old checkpoint, the reason and the time. The lines follow with the next sealing.
 * @throws SealError if there is no seal; SealHeldError if a sealer runs
 */
export async function reanchor(place: ResolvedPlace, reason: string): Promise<Reanchored> {
  const old = new SealFolder(place.seal)
  await old.check()
  const lock = await SealLock.take(place.seal)
  if (lock === undefined) throw new SealHeldError(`a sealer holds ${place.seal}; stop it first`)
  try {
    const number = await nextNumber(place.seal)
    const oldFolder = `${place.seal}.${number}`
    const bytes = await old.read(CHECKPOINT_FILE)
    if (bytes === undefined) {
      throw new SealError(`${old.file(CHECKPOINT_FILE)} is missing; use: x0x-exec-audit seal init`)
    }
    const key = keyOf(place, originOf(bytes, old.file(CHECKPOINT_FILE), number))
    const text = JSON.stringify({
      reason,
      time: Date.now(),
      folder: basename(oldFolder),
      checkpoint: bytes.toString(),
    } satisfies Reanchoring)
    await begin(place, key, text, oldFolder)
    await keepKey(place, key, number)
    return { key, oldFolder }
  } finally {
    await lock.release()
  }
}

/** Makes the new folder beside the old one, and puts it in its place. */
async function begin(
  place: ResolvedPlace,
  key: VerifierKey,
  text: string,
  oldFolder: string,
): Promise<void> {
  const beside = `${place.seal}.new`
  await rm(beside, { recursive: true, force: true })
  await makeSealFolder(beside, place.log)
  await chmod(beside, (await lstat(place.seal)).mode & MODE_BITS)
  const folder = new SealFolder(beside)
  await folder.replace(REANCHOR_FILE, Buffer.from(text))
  const failedSync = await new SealFolder(place.seal).read(FAILED_SYNC_FILE)
  if (failedSync !== undefined) await folder.replace(FAILED_SYNC_FILE, failedSync)
  await Publisher.begin(folder, place.signer(key), place.lastFile, entryOf(Buffer.from(text)))
  await rename(place.seal, oldFolder)
  await rename(beside, place.seal)
  await syncFolder(dirname(place.seal))
}

/** The first N for which there is no DIR.N. */
async function nextNumber(seal: string): Promise<number> {
  for (let number = 1; ; number++) {
    try {
      await lstat(`${seal}.${number}`)
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT') return number
      throw thrown
    }
  }
}

/** NAME/N+1, from the old checkpoint's origin NAME or NAME/N. */
function originOf(checkpoint: Buffer, path: string, number: number): string {
  const { origin } = parseCheckpoint(parseNote(checkpoint, path).text, path)
  const end = `/${number}`
  const name = number > 1 && origin.endsWith(end) ? origin.slice(0, -end.length) : origin
  return `${name}/${number + 1}`
}

function keyOf({ key }: ResolvedPlace, origin: string): VerifierKey {
  return key.name === origin ? key : verifierKeyOf(origin, key.type, key.publicKey)
}

/** The file of the verifier key is the new one's; the old one is kept beside it. */
async function keepKey(
  { vkeyFile, key: before }: ResolvedPlace,
  key: VerifierKey,
  number: number,
): Promise<void> {
  if (vkeyFile === undefined || before.text === key.text) return
  await writeFile(`${vkeyFile}.${number}`, `${before.text}\n`, { mode: VKEY_MODE })
  await replaceFile(vkeyFile, `${key.text}\n`, VKEY_MODE)
}
