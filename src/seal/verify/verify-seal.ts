import { chunksOfOpen } from '../../reader/source'
import { inRotationOrder } from '../../rotation/rotation-order'
import { leafOf } from '../tree/hashes'
import { Alignment, type FindStart } from './align'
import { type Anchors, checkAnchors, type KeptCheckpoint } from './anchors'
import { checkTree } from './check-tree'
import { type Classified, classify, type FileResult } from './classify'
import { Coverage } from './coverage'
import { areInPlace, closeLogs, type OpenLog, openLogs } from './open-logs'
import { type OpenTree, openSeal, type SignedCheckpoint } from './open-seal'
import { LineScan, type ScannedLine } from './scan-lines'
import { type TrustedKeys, trustedKeys } from './seal-keys'
import { Findings, type SealRange, type SealReport } from './seal-report'
import { SealedLines } from './sealed-lines'

const MAX_UNSEALED_MS = 60_000
const FINDINGS_MAX = 20
const ATTEMPTS = 4
/** More differences than an operator reads, and a bound of the memory that they take. */
const DIFFERENCES_MAX = 200_000

/** What a log is verified against. */
export interface VerifySealOptions {
  /** The seal's folder. */
  readonly seal: string
  /** Verifier keys of the log, as keygen prints them: that of its origin, and of origins before a re-anchoring. None: unanchored. */
  readonly keys?: readonly string[] | undefined
  /** A checkpoint that was kept elsewhere, or its file. */
  readonly checkpoint?: string | KeptCheckpoint | undefined
  /** Verifier keys of witnesses. */
  readonly witnesses?: readonly string[] | undefined
  /** Witnesses that must have signed; default: all. */
  readonly quorum?: number | undefined
  /** Lines from this index on must be there, also if whole files are missing; 0: all lines. Default: files may be gone at the beginning. */
  readonly firstIndex?: number | undefined
  /** Lines that may be erased, by their indexes. */
  readonly allowErased?: readonly SealRange[] | undefined
  /** How old the oldest line may be that is not sealed: ms; default 60,000. */
  readonly maxUnsealedMs?: number | undefined
  /** Findings that are kept; all are counted. Default 20. */
  readonly maxFindings?: number | undefined
  /** Called with the number of bytes that were read since the last call. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  /** The time in ms since 1970; for tests. */
  readonly clock?: (() => number) | undefined
}

/**
 * Verifies the files of a log against its seal, in constant memory. The files are put into the order of their rotation, if they are
 * those of one; else they are taken as they are given, the oldest first.
 * @throws SealError for a key, checkpoint file or log that cannot be used at all; what the file system throws
 */
export async function verifySeal(
  files: readonly string[],
  options: VerifySealOptions,
): Promise<SealReport> {
  return (await compareLog(files, options)).report
}

/** What a comparison found, for who goes on with it. */
export interface Comparison {
  readonly report: SealReport
  readonly trees: readonly OpenTree[]
  readonly sealed: SealedLines
  readonly files: readonly FileResult[]
  /** The largest checkpoint that enough witnesses have signed. */
  readonly witnessed: SignedCheckpoint | undefined
}

/**
 * Compares the files of a log with its seal; see {@link verifySeal}.
 * @param watch returns a function that is called with each line of the files; it is called anew if it begins anew
 */
export async function compareLog(
  files: readonly string[],
  options: VerifySealOptions,
  watch: () => TakeLine = () => () => undefined,
): Promise<Comparison> {
  const { keys = [], witnesses = [], quorum } = options
  const trusted = trustedKeys(keys, witnesses, quorum)
  const { names } = inRotationOrder(files)
  for (let attempt = 1; ; attempt++) {
    const logs = await openLogs(names)
    try {
      const comparison = await new Verification(logs, trusted, options, watch()).run()
      if (await areInPlace(logs)) return comparison
      if (attempt < ATTEMPTS) continue
      const unsure = 'the log was rotated again and again while it was read; verify it once more'
      return { ...comparison, report: { ...comparison.report, verdict: 'unsure', unsure } }
    } finally {
      await closeLogs(logs)
    }
  }
}

/** Takes each line of a log's files; its head is overwritten by the next chunk. */
export type TakeLine = (line: ScannedLine, file: string) => void

class Verification {
  readonly #logs: readonly OpenLog[]
  readonly #keys: TrustedKeys
  readonly #options: VerifySealOptions
  readonly #findings: Findings
  readonly #takeLine: TakeLine
  #results: readonly FileResult[] = []
  #bytes = 0
  #lines = 0

  constructor(
    logs: readonly OpenLog[],
    keys: TrustedKeys,
    options: VerifySealOptions,
    takeLine: TakeLine,
  ) {
    this.#takeLine = takeLine
    this.#logs = logs
    this.#keys = keys
    this.#options = options
    this.#findings = new Findings(options.maxFindings ?? FINDINGS_MAX)
  }

  async run(): Promise<Comparison> {
    const trees = openSeal(this.#options.seal, this.#keys, this.#findings)
    const damaged = new Set<OpenTree>()
    const sealed = this.#checkTrees(trees, damaged)
    const { checkpoint: kept } = this.#options
    const anchors = checkAnchors(trees, kept, this.#keys, damaged, this.#findings)
    // Without a checkpoint there is nothing to compare with; what is missing is reported already.
    const classified = trees.length === 0 ? undefined : await this.#readFiles(trees, sealed)
    const report = this.#report(trees, sealed, anchors, classified)
    return { report, trees, sealed, files: this.#results, witnessed: anchors.witnessed }
  }

  #report(
    trees: readonly OpenTree[],
    sealed: SealedLines,
    { isRollbackChecked, witnesses }: Anchors,
    classified: Classified | undefined,
  ): SealReport {
    const unsealed = this.#unsealedOf(classified)
    const { maxUnsealedMs = MAX_UNSEALED_MS, seal } = this.#options
    const current = trees.at(-1)?.checkpoint
    const isLate = unsealed.oldestMs > maxUnsealedMs
    const isSealed = current?.key !== undefined
    const isWitnessed = isSealed && witnesses.size > 0
    const { older = [], lost = [], erased = 0, copies = [] } = classified ?? {}
    return {
      verdict: this.#findings.count > 0 ? 'broken' : isLate ? 'unsure' : 'good',
      anchor: isWitnessed ? 'witnessed' : isSealed ? 'sealed' : 'unanchored',
      seal,
      checkpoint: current === undefined ? null : checkpointOf(current),
      files: this.#logs.length,
      lines: this.#lines,
      sealedLines: sealed.count,
      bytes: this.#bytes,
      ...{ isRollbackChecked, witnesses, older, lost, erased, copies, unsealed },
      unsure: isLate ? lateText(unsealed.oldestMs) : null,
      byKind: this.#findings.byKind,
      findings: this.#findings.kept,
    }
  }

  #checkTrees(trees: readonly OpenTree[], damaged: Set<OpenTree>): SealedLines {
    return new SealedLines(
      trees.map((tree) => {
        const { folder, checkpoint, readTile, reanchor } = tree
        const { badTiles, problems } = checkTree(checkpoint, readTile)
        if (problems.length > 0) damaged.add(tree)
        for (const problem of problems) this.#findings.addAbout('tile changed', folder, problem)
        return { checkpoint, readTile, badTiles, leadingLeaves: reanchor === undefined ? 0 : 1 }
      }),
    )
  }

  async #readFiles(trees: readonly OpenTree[], sealed: SealedLines): Promise<Classified> {
    const { firstIndex, allowErased = [], maxUnsealedMs = MAX_UNSEALED_MS } = this.#options
    const { fileStarts, findStart } = startsOf(trees, sealed)
    const found = new Coverage()
    const results: FileResult[] = []
    let next = 0
    for (const log of this.#logs) {
      const result = await this.#alignFile(log, new Alignment(sealed, found, next, findStart))
      results.push(result)
      const runs = result.pieces.filter((piece) => piece.kind === 'run')
      if (!result.isCopy) for (const { first, count } of runs) found.add(first, count)
      const [first] = runs
      next = first === undefined ? next : (found.intervalAt(first.first)?.end ?? next)
    }
    this.#results = results
    const mayBeErased = (line: number) => {
      const { index: at } = sealed.placeOf(line)
      return allowErased.some(({ index, count }) => at >= index && at < index + count)
    }
    const isYoung = (file: FileResult, { timeMs }: { timeMs: number | undefined }) =>
      this.#ageOf(file.name, timeMs) <= maxUnsealedMs
    const firstLine = firstIndex === undefined ? undefined : sealed.numberOf(firstIndex)
    const rules = { fileStarts, firstLine, mayBeErased, isYoung }
    return classify(results, sealed, rules, this.#findings)
  }

  async #alignFile({ name, handle }: OpenLog, alignment: Alignment): Promise<FileResult> {
    const scan = new LineScan()
    for await (const chunk of chunksOfOpen(handle, undefined)) {
      scan.push(chunk, (line) => {
        alignment.take(line)
        this.#takeLine(line, name)
      })
      this.#bytes += chunk.length
      this.#options.onBytes?.(chunk.length)
      if (alignment.differences <= DIFFERENCES_MAX) continue
      const message = `more than ${DIFFERENCES_MAX} differences: the rest of the file is not compared`
      this.#findings.addAbout('changed', name, message)
      break
    }
    const result = alignment.end()
    this.#lines += result.lines
    return { name, ...result }
  }

  #unsealedOf(classified: Classified | undefined): SealReport['unsealed'] {
    let [lines, oldestMs]: [number, number] = [0, 0]
    let oldest: { file: string; line: number } | undefined
    for (const { file, strays } of classified?.unsealed ?? []) {
      lines += strays.count
      const times = strays.lines.flatMap(({ timeMs }) => timeMs ?? [])
      const ageMs = this.#ageOf(file.name, times.length === 0 ? undefined : Math.min(...times))
      if (oldest !== undefined && ageMs <= oldestMs) continue
      oldestMs = ageMs
      oldest = { file: file.name, line: strays.line }
    }
    return { lines, oldestMs, file: oldest?.file ?? null, line: oldest?.line ?? null }
  }

  /** The age of a line by its own time, or by its file's last change if that is earlier: a line's time can be forged. */
  #ageOf(file: string, timeMs: number | undefined): number {
    const changedMs = this.#logs.find(({ name }) => name === file)?.changedMs ?? 0
    const writtenMs = Math.min(timeMs ?? changedMs, changedMs)
    return Math.max(0, (this.#options.clock ?? Date.now)() - writtenMs)
  }
}

/** Where files began, by the seal's own hints. */
function startsOf(
  trees: readonly OpenTree[],
  sealed: SealedLines,
): { fileStarts: ReadonlySet<number>; findStart: FindStart } {
  const fileStarts = new Set<number>()
  const byLeaf = new Map<string, number[]>()
  for (const [i, { segments }] of trees.entries()) {
    for (const { first, sha256, offset } of segments) {
      const line = sealed.numberOf(first, i)
      const leaf = leafOf(Buffer.from(sha256, 'hex'))
      // A hint counts only if the tree says the same.
      if (offset !== 0 || !sealed.isAt(line, leaf)) continue
      fileStarts.add(line)
      const key = leaf.toString('latin1')
      byLeaf.set(key, [...(byLeaf.get(key) ?? []), line])
    }
  }
  return { fileStarts, findStart: (leaf) => byLeaf.get(leaf.toString('latin1')) ?? [] }
}

function checkpointOf({ origin, size, root, key }: SignedCheckpoint): SealReport['checkpoint'] {
  return { origin, size, root: root.toString('base64'), key: key?.text ?? null }
}

function lateText(ms: number): string {
  const seconds = Math.round(ms / 1_000).toLocaleString('en-US')
  return `the oldest line that is not sealed waits for ${seconds} s: does the sealer run?`
}
