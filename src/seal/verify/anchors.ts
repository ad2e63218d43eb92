import { readFileSync } from 'node:fs'
import { textOf } from '../../base/describe'
import { openCheckpoint, parseCheckpoint } from '../note/checkpoint'
import { parseNote } from '../note/note'
import { SealError } from '../seal-error'
import { rootAt } from '../tree/proofs'
import { nodesFrom } from '../tree/tiles'
import type { OpenTree, SignedCheckpoint } from './open-seal'
import type { TrustedKeys } from './seal-keys'
import type { Findings, SealReport } from './seal-report'

/** A checkpoint that was kept elsewhere than in a file. */
export interface KeptCheckpoint {
  /** Where it was, for messages. */
  readonly name: string
  /** The whole note. */
  readonly note: Buffer
}

/** What others than the seal's folder say about it. */
export interface Anchors {
  readonly isRollbackChecked: boolean
  /** The largest checkpoint that enough witnesses have signed. */
  readonly witnessed: SignedCheckpoint | undefined
  readonly witnesses: SealReport['witnesses']
}

/**
 * Checks that each signed checkpoint that is known is one of this log's own: those of the folder, and one that was kept
 * elsewhere; and how far witnesses have signed.
 * @param kept a checkpoint that was kept elsewhere, or its file
 * @param damaged trees whose tiles do not lead to their root
 */
export function checkAnchors(
  trees: readonly OpenTree[],
  kept: string | KeptCheckpoint | undefined,
  keys: TrustedKeys,
  damaged: ReadonlySet<OpenTree>,
  findings: Findings,
): Anchors {
  const keptOne = kept === undefined ? undefined : openKept(kept, trees, keys, damaged, findings)
  for (const tree of trees) {
    for (const checkpoint of tree.checkpoints) checkIsIn(tree, checkpoint, damaged, findings)
  }
  const all = [...(trees.at(-1)?.checkpoints ?? []), ...(keptOne === undefined ? [] : [keptOne])]
  const witnessed = witnessedBy(all, keys)
  if (keys.quorum > 0 && witnessed === undefined) {
    const most = Math.max(0, ...all.map((checkpoint) => cosignersOf(checkpoint).size))
    const message = `${most} of ${keys.quorum} witnesses have signed a checkpoint of this log`
    findings.addAbout('not witnessed', trees.at(-1)?.folder ?? '', message)
  }
  const signed = witnessed === undefined ? [] : [...cosignersOf(witnessed)]
  const witnesses = {
    size: witnessed?.size ?? 0,
    quorum: keys.quorum,
    signed: signed.map(([name, timeSeconds]) => ({ name, timeSeconds })),
  }
  return { isRollbackChecked: keptOne !== undefined, witnessed, witnesses }
}

function openKept(
  kept: string | KeptCheckpoint,
  trees: readonly OpenTree[],
  keys: TrustedKeys,
  damaged: ReadonlySet<OpenTree>,
  findings: Findings,
): SignedCheckpoint | undefined {
  const { name: file, note: bytes } = typeof kept === 'string' ? readKept(kept) : kept
  const claimed = parseCheckpoint(parseNote(bytes, file).text, file)
  const key = keys.logs.find(({ name }) => name === claimed.origin)
  const opened: SignedCheckpoint =
    key === undefined
      ? { ...claimed, key, signatures: [], file, bytes }
      : { ...openCheckpoint(bytes, key, file, keys.witnesses), key, file }
  const tree = trees.find(({ checkpoint }) => checkpoint.origin === opened.origin)
  if (tree === undefined) {
    const origins = trees.map(({ checkpoint }) => checkpoint.origin).join(', ')
    const message = `the checkpoint that was kept is of ${opened.origin}, and the seal of ${origins || 'none'}`
    findings.addAbout('rolled back', file, message)
  } else checkIsIn(tree, opened, damaged, findings)
  return opened
}

function readKept(file: string): KeptCheckpoint {
  try {
    return { name: file, note: readFileSync(file) }
  } catch (thrown) {
    throw new SealError(`cannot read the checkpoint ${file}: ${textOf(thrown)}`)
  }
}

/** Adds a finding unless the tree begins with that of the checkpoint. */
function checkIsIn(
  tree: OpenTree,
  checkpoint: SignedCheckpoint,
  damaged: ReadonlySet<OpenTree>,
  findings: Findings,
): void {
  const { size } = tree.checkpoint
  if (checkpoint === tree.checkpoint) return
  if (checkpoint.size > size) {
    const message = `the seal has ${size} lines, and had ${checkpoint.size}: it was put back to an older state`
    findings.addAbout('rolled back', checkpoint.file, message)
    return
  }
  // What damaged tiles lead to says nothing; they are reported themselves.
  const isKnown = checkpoint.size === size || !damaged.has(tree)
  const root = checkpoint.size === size ? tree.checkpoint.root : rootOf(tree, checkpoint.size)
  if (!isKnown || root === undefined || root.equals(checkpoint.root)) return
  const message = `the first ${checkpoint.size} lines are not those that this checkpoint was signed for`
  findings.addAbout('rolled back', checkpoint.file, message)
}

/** The root of the tree's beginning; undefined if its tiles are damaged, which is reported elsewhere. */
function rootOf(tree: OpenTree, size: number): Buffer | undefined {
  try {
    return rootAt(nodesFrom(tree.readTile, tree.checkpoint.size), size)
  } catch (thrown) {
    if (thrown instanceof SealError) return undefined
    throw thrown
  }
}

function cosignersOf({ signatures }: SignedCheckpoint): ReadonlyMap<string, number> {
  return new Map(
    signatures.flatMap(({ key, timeSeconds }) =>
      timeSeconds === undefined ? [] : [[key.name, timeSeconds] as const],
    ),
  )
}

function witnessedBy(
  checkpoints: readonly SignedCheckpoint[],
  { quorum }: TrustedKeys,
): SignedCheckpoint | undefined {
  const enough = checkpoints.filter((each) => quorum > 0 && cosignersOf(each).size >= quorum)
  return enough.toSorted((a, b) => b.size - a.size)[0]
}
