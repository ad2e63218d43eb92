import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, textOf } from '../../base/describe'
import { writeNewFile } from '../new-file'
import { SealError } from '../seal-error'
import { inclusionProof } from '../tree/proofs'
import { nodesFrom } from '../tree/tiles'
import type { Run } from './align'
import type { SignedCheckpoint } from './open-seal'
import { eventOf } from './scan-lines'
import type { SealReport } from './seal-report'
import { type Comparison, compareLog, type VerifySealOptions } from './verify-seal'

const HEADER = 'c2sp.org/tlog-proof@v1'
const FILE_MODE = 0o644

/** A line that was proved, or could not be. */
export interface ProvedLine {
  /** The log's file, as it was named. */
  readonly file: string
  /** From 1. */
  readonly line: number
  /** In the tree; null for a line that is not sealed. */
  readonly index: number | null
  /** The file of its proof; null if there is none. */
  readonly proof: string | null
}

/** What {@link proveRequest} has made. */
export interface ProveReport {
  /** The request's lines, in the order of the files. */
  readonly lines: readonly ProvedLine[]
  /** What the whole log is worth meanwhile. */
  readonly report: SealReport
}

/**
 * Writes a proof (C2SP tlog-proof) of each sealed line of a request into a folder, as `INDEX.tlog-proof`; with the line alone it shows
 * that the line is in the log. It is made for the largest checkpoint that enough witnesses have signed, or the newest one.
 * @param request its id: 32 hex digits
 * @param out the folder; it is made if it is not there
 * @throws SealError if the seal is not to be used, or a file cannot be written; files are never overwritten
 */
export async function proveRequest(
  files: readonly string[],
  request: string,
  out: string,
  options: VerifySealOptions,
): Promise<ProveReport> {
  let found: { file: string; line: number }[] = []
  const comparison = await compareLog(files, options, () => {
    found = []
    return ({ line, head }, file) => {
      if (eventOf(head).request === request) found.push({ file, line })
    }
  })
  const { report } = comparison
  if (report.byKind['bad signature'] !== undefined || report.byKind['no seal'] !== undefined) {
    throw new SealError(`nothing can be proved: ${report.findings[0]?.message ?? report.seal}`)
  }
  makeFolder(out)
  const lines = found.map(({ file, line }) => {
    const number = sealedNumber(comparison, file, line)
    const none = { file, line, index: null, proof: null }
    return number === undefined ? none : { file, line, ...proveLine(comparison, number, out) }
  })
  return { lines, report }
}

/** The number of the sealed line that a line of a file is; undefined if it is none. */
function sealedNumber({ files }: Comparison, name: string, line: number): number | undefined {
  const pieces = files.find((file) => file.name === name)?.pieces ?? []
  const isIn = (run: Run) => line >= run.line && line < run.line + run.count
  const run = pieces.find((piece) => piece.kind === 'run' && isIn(piece))
  return run?.kind === 'run' ? run.first + line - run.line : undefined
}

function proveLine(comparison: Comparison, number: number, out: string) {
  const { origin, index } = comparison.sealed.placeOf(number)
  const tree = comparison.trees.find(({ checkpoint }) => checkpoint.origin === origin)
  if (tree === undefined) return { index, proof: null }
  const { witnessed } = comparison
  const isWitnessed = witnessed?.origin === origin && index < witnessed.size
  const checkpoint = isWitnessed ? witnessed : tree.checkpoint
  const nodes = nodesFrom(tree.readTile, tree.checkpoint.size)
  const proof = join(out, `${index}.tlog-proof`)
  writeProof(proof, formatProof(index, inclusionProof(nodes, index, checkpoint.size), checkpoint))
  return { index, proof }
}

/** The text of a proof. */
function formatProof(
  index: number,
  hashes: readonly Buffer[],
  { bytes }: SignedCheckpoint,
): string {
  const lines = [HEADER, `index ${index}`, ...hashes.map((hash) => hash.toString('base64'))]
  return `${lines.join('\n')}\n\n${bytes.toString()}`
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (thrown) {
    throw new SealError(`cannot make the folder ${folder}: ${textOf(thrown)}`)
  }
}

function writeProof(file: string, text: string): void {
  try {
    writeNewFile(file, text, FILE_MODE)
  } catch (thrown) {
    const isThere = codeOf(thrown) === 'EEXIST'
    const why = isThere ? 'it is there; name another folder' : textOf(thrown)
    throw new SealError(`cannot write ${file}: ${why}`)
  }
}
