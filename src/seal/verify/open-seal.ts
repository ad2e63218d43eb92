import { hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { codeOf, textOf } from '../../base/describe'
import { type Checkpoint, openCheckpoint, parseCheckpoint } from '../note/checkpoint'
import { parseNote, type VerifiedSignature } from '../note/note'
import type { VerifierKey } from '../note/verifier-key'
import { SealError } from '../seal-error'
import {
  CHECKPOINT_FILE,
  CHECKPOINTS_FILE,
  REANCHOR_FILE,
  SEGMENTS_FILE,
  tilesIn,
  WITNESSED_FILE,
} from '../seal-files'
import { currentSegments, parseSegment, type Segment } from '../sealer/segments'
import { leafOf } from '../tree/hashes'
import { nodesFrom, type ReadTile } from '../tree/tiles'
import type { TrustedKeys } from './seal-keys'
import type { Findings } from './seal-report'

/** More than a note with 16 signatures takes. */
const NOTE_BYTES_MAX = 100_000

/** A checkpoint, and who has signed it. */
export interface SignedCheckpoint extends Checkpoint {
  /** The log's key; undefined if none was given that has signed it. */
  readonly key: VerifierKey | undefined
  readonly signatures: readonly VerifiedSignature[]
  readonly file: string
  /** The whole note. */
  readonly bytes: Buffer
}

/** One tree of a seal, and what stands beside its tiles. */
export interface OpenTree {
  readonly folder: string
  readonly checkpoint: SignedCheckpoint
  readonly readTile: ReadTile
  readonly segments: readonly Segment[]
  /** How it continues another tree; undefined for the first one. */
  readonly reanchor: Reanchor | undefined
  /** All valid checkpoints of it that were found. */
  readonly checkpoints: readonly SignedCheckpoint[]
}

interface Reanchor {
  readonly reason: string
  /** The name of the old tree's folder, beside the newest one's. */
  readonly folder: string
  /** The old tree's last checkpoint, as a note. */
  readonly note: Buffer
  readonly bytes: Buffer
}

/**
 * Opens a seal: its current tree, and before it those that it continues, the oldest first. Findings are added for what is not
 * signed by a trusted key. Empty if there is no checkpoint to go by.
 */
export function openSeal(folder: string, keys: TrustedKeys, findings: Findings): OpenTree[] {
  const current = openFolder(folder, keys, findings)
  if (current === undefined) return []
  const trees = [current]
  for (let [first] = trees; first?.reanchor !== undefined; [first] = trees) {
    const before = openOld(folder, first, first.reanchor, keys, findings)
    if (before === undefined) break
    trees.unshift(before)
  }
  return trees
}

function openFolder(folder: string, keys: TrustedKeys, findings: Findings): OpenTree | undefined {
  const file = join(folder, CHECKPOINT_FILE)
  const bytes = readFileOr(file)
  if (bytes === undefined) {
    findings.addAbout('no seal', folder, `${file} is not there`)
    return undefined
  }
  const reanchor = readReanchor(folder)
  const signed = openSigned(bytes, file, keys, findings, reanchor)
  if (signed === undefined) return undefined
  const others = [
    lastOfHistory(join(folder, CHECKPOINTS_FILE)),
    readFileOr(join(folder, WITNESSED_FILE)),
  ]
  const names = [CHECKPOINTS_FILE, WITNESSED_FILE]
  const valid = others.flatMap((other, i) => {
    const name = join(folder, names[i] ?? '')
    return other === undefined ? [] : (openQuietly(other, name, keys, signed) ?? [])
  })
  const checkpoints = [signed, ...valid]
  // A kill may have come between the history and the checkpoint: the newest that was signed counts.
  const checkpoint = checkpoints.reduce((a, b) => (b.size > a.size ? b : a))
  return folderOf(folder, checkpoint, checkpoints, reanchor)
}

function folderOf(
  folder: string,
  checkpoint: SignedCheckpoint,
  checkpoints: readonly SignedCheckpoint[],
  reanchor: Reanchor | undefined,
): OpenTree {
  const segments = readSegments(join(folder, SEGMENTS_FILE), checkpoint.size)
  return { folder, checkpoint, readTile: tilesIn(folder), segments, reanchor, checkpoints }
}

/** Opens the checkpoint that counts, by a key that is its origin's. */
function openSigned(
  bytes: Buffer,
  file: string,
  keys: TrustedKeys,
  findings: Findings,
  reanchor: Reanchor | undefined,
): SignedCheckpoint | undefined {
  try {
    const claimed = parseCheckpoint(parseNote(bytes, file).text, file)
    const key = keys.logs.find(({ name }) => name === claimed.origin)
    if (key !== undefined) return { ...openCheckpoint(bytes, key, file, keys.witnesses), key, file }
    const unsigned = { ...claimed, key: undefined, signatures: [], file, bytes }
    if (keys.logs.length === 0) return unsigned
    const names = keys.logs.map(({ name }) => name).join(', ')
    const old = reanchor === undefined ? undefined : openedBy(reanchor, keys)
    if (reanchor !== undefined && old !== undefined) {
      const { reason } = reanchor
      findings.addAbout('re-anchored', file, `re-anchored at line ${old.size}: ${reason}`)
      return unsigned
    }
    findings.addAbout(
      'bad signature',
      file,
      `it is a checkpoint of ${claimed.origin}, and the key is that of ${names}`,
    )
    return unsigned
  } catch (thrown) {
    if (!(thrown instanceof SealError)) throw thrown
    findings.addAbout('bad signature', file, thrown.message)
    return undefined
  }
}

/** What the seal continues, or says that it continues; undefined if no trusted key has signed that. */
function openedBy({ note }: Reanchor, keys: TrustedKeys): Checkpoint | undefined {
  for (const key of keys.logs) {
    try {
      return openCheckpoint(note, key, REANCHOR_FILE)
    } catch (thrown) {
      if (!(thrown instanceof SealError)) throw thrown
    }
  }
  return undefined
}

/** Another checkpoint of the folder; undefined if it is none of the same log and key. */
function openQuietly(
  bytes: Buffer,
  file: string,
  keys: TrustedKeys,
  current: SignedCheckpoint,
): SignedCheckpoint | undefined {
  try {
    if (current.key !== undefined) {
      const opened = openCheckpoint(bytes, current.key, file, keys.witnesses)
      return { ...opened, key: current.key, file }
    }
    const claimed = parseCheckpoint(parseNote(bytes, file).text, file)
    if (claimed.origin !== current.origin) return undefined
    return { ...claimed, key: undefined, signatures: [], file, bytes }
  } catch (thrown) {
    if (thrown instanceof SealError) return undefined
    throw thrown
  }
}

/** The tree that another one continues. Its root stands in a file whose hash is the newer tree's entry 0. */
function openOld(
  folder: string,
  newer: OpenTree,
  reanchor: Reanchor,
  keys: TrustedKeys,
  findings: Findings,
): OpenTree | undefined {
  const file = join(newer.folder, REANCHOR_FILE)
  const entry = hash('sha256', reanchor.bytes, 'buffer')
  const isFirst = newer.checkpoint.size > 0
  try {
    const first = isFirst ? nodesFrom(newer.readTile, newer.checkpoint.size)(0, 0) : undefined
    if (first !== undefined && !first.equals(leafOf(entry))) {
      findings.addAbout('changed', file, `${file}: it is not the one that was sealed`)
      return undefined
    }
    const claimed = parseCheckpoint(parseNote(reanchor.note, file).text, file)
    const key = keys.logs.find(({ name }) => name === claimed.origin)
    const opened =
      key === undefined
        ? { ...claimed, key, signatures: [], file, bytes: reanchor.note }
        : { ...openCheckpoint(reanchor.note, key, file, keys.witnesses), key, file }
    const kept = join(dirname(resolve(folder)), reanchor.folder)
    return folderOf(kept, opened, [opened], readReanchor(kept))
  } catch (thrown) {
    if (!(thrown instanceof SealError)) throw thrown
    findings.addAbout('bad signature', file, thrown.message)
    return undefined
  }
}

function readReanchor(folder: string): Reanchor | undefined {
  const bytes = readFileOr(join(folder, REANCHOR_FILE))
  if (bytes === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const fields: { reason?: unknown; checkpoint?: unknown; folder?: unknown } = value
  const { reason, checkpoint, folder: name } = fields
  const areTexts = typeof reason === 'string' && typeof checkpoint === 'string'
  if (!areTexts || typeof name !== 'string') return undefined
  return { reason, folder: basename(name), note: Buffer.from(checkpoint), bytes }
}

function readSegments(file: string, size: number): readonly Segment[] {
  const text = readFileOr(file)?.toString() ?? ''
  return currentSegments(
    text.split('\n').flatMap((line) => parseSegment(line) ?? []),
    size,
  )
}

/** The last note of a history of notes. */
function lastOfHistory(file: string): Buffer | undefined {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw new SealError(`cannot open ${file}: ${textOf(thrown)}`)
  }
  try {
    const { size } = fstatSync(descriptor)
    const bytes = Buffer.alloc(Math.min(size, NOTE_BYTES_MAX))
    readSync(descriptor, bytes, 0, bytes.length, size - bytes.length)
    return lastNote(bytes)
  } finally {
    closeSync(descriptor)
  }
}

const SIGNATURE_START = '\u2014 '

/** The last whole note: its signatures, the blank line before them, and the text before that. */
function lastNote(bytes: Buffer): Buffer | undefined {
  const text = bytes.toString()
  const lines = text.slice(0, text.lastIndexOf('\n')).split('\n')
  const last = lines.findLastIndex((line) => line.startsWith(SIGNATURE_START))
  const blank = lines.slice(0, last + 1).lastIndexOf('')
  if (blank < 0) return undefined
  // A checkpoint has no empty line, and the note before it ends in a signature.
  const before = lines
    .slice(0, blank)
    .findLastIndex((line) => line === '' || line.startsWith(SIGNATURE_START))
  return Buffer.from(`${lines.slice(before + 1, last + 1).join('\n')}\n`)
}

/** A file's bytes; undefined if it is not there. */
function readFileOr(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ENOTDIR') return undefined
    throw new SealError(`cannot read ${file}: ${textOf(thrown)}`)
  }
}
