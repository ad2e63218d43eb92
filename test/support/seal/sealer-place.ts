import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { filesOfLog } from '../../../src/rotation/rotation-order'
import { openCheckpoint } from '../../../src/seal/note/checkpoint'
import { generateKey } from '../../../src/seal/note/signer'
import { SealFolder } from '../../../src/seal/sealer/seal-folder'
import { type ResolvedPlace, resolvePlace } from '../../../src/seal/sealer/seal-options'
import { entryOf } from '../../../src/seal/tree/hashes'
import { verifySeal } from '../../../src/seal/verify/verify-seal'
import { PlainTree, plainLeaf } from './plain-tree'

/** A log's path in a folder, with a new key and the paths of a seal, which is not made yet. */
export function newPlace(folder: string, log = join(folder, 'exec.log')): ResolvedPlace {
  const key = join(folder, 'key.pem')
  generateKey('gw1.example.com/exec', key)
  return resolvePlace({ log, key, seal: join(folder, 'seal') })
}

/** The options of a command for this place. */
export function placeOptions({ log, seal, lastFile }: ResolvedPlace): string[] {
  return ['--log', log, '--seal', seal, '--key', lastFile.replace(/\.last$/, '.pem')]
}

/** The leaves that are sealed, in hex; throws if the checkpoint's signature or root is wrong. */
export function sealedLeaves({ seal, key }: ResolvedPlace): string[] {
  const folder = new SealFolder(seal)
  const { size, root } = openCheckpoint(readFileSync(folder.file('checkpoint')), key, seal)
  const leafAt = folder.leavesOf(size)
  const leaves = Array.from({ length: size }, (_, index) => Buffer.from(leafAt(index)))
  if (!new PlainTree(leaves).root(0, size).equals(root)) throw new Error('the root is wrong')
  return leaves.map((leaf) => leaf.toString('hex'))
}

/** A line's leaf, in hex. */
export function leafOfLine(line: string | Buffer): string {
  return plainLeaf(entryOf(Buffer.from(line))).toString('hex')
}

/** The names of a log's files, the oldest first. */
export function logFiles(log: string): readonly string[] {
  return filesOfLog(basename(log), readdirSync(dirname(log)))
}

/** The whole lines of one of a log's files. */
export function linesOf(path: string): string[] {
  const bytes = readFileSync(path)
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
  return text.split('\n').slice(0, -1)
}

/** The whole lines of all files of a log. */
export function linesOfLog(log: string): string[] {
  return logFiles(log).flatMap((name) => linesOf(join(dirname(log), name)))
}

/** How often each text occurs. */
export function countOf(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return counts
}

/** The lines of the log that are not sealed as often as they stand there, and sealed leaves that are no line. */
export function unequal(place: ResolvedPlace): string[] {
  const lines = linesOfLog(place.log)
  const found = countOf(sealedLeaves(place))
  const differing = [...countOf(lines)].filter(([line, times]) => {
    const leaf = leafOfLine(line)
    const isEqual = found.get(leaf) === times
    found.delete(leaf)
    return !isEqual
  })
  return [...differing.map(([line]) => line), ...[...found.keys()].map((leaf) => `leaf ${leaf}`)]
}

/** What the verifier finds in the files that are there. */
export async function findingsOf({ log, seal, key }: ResolvedPlace): Promise<string[]> {
  const files = logFiles(log).map((name) => join(dirname(log), name))
  const { findings, unsure } = await verifySeal(files, { seal, keys: [key.text] })
  const found = findings.map(({ kind, file, message }) => `${kind} ${file} ${message}`)
  return unsure === null ? found : [...found, unsure]
}
