import type { AlignedFile, Run, StrayLine, Strays } from './align'
import { Coverage, type Interval } from './coverage'
import type { Findings, SealFinding, SealFindingKind, SealRange } from './seal-report'
import type { SealedLines } from './sealed-lines'

/** Missing lines that are looked up among the strays, to find those that were moved. */
const MOVED_MAX = 100_000

/** A file of the log, and what it holds. */
export interface FileResult extends AlignedFile {
  readonly name: string
}

/** What the order of the files and the caller say about what may be missing. */
export interface ClassifyOptions {
  /** Lines at which a file of the log began. */
  readonly fileStarts: ReadonlySet<number>
  /** Missing lines from this one on are removed ones, wherever they stood; undefined: files may be gone at the beginning. */
  readonly firstLine: number | undefined
  /** Whether an erased line may be. */
  readonly mayBeErased: (line: number) => boolean
  /** Whether a line that stands behind the sealed ones of a renamed file may be sealed yet. */
  readonly isYoung: (file: FileResult, line: StrayLine) => boolean
}

/** What is no finding, and yet worth knowing. */
export interface Classified {
  readonly older: readonly SealRange[]
  readonly lost: readonly SealRange[]
  readonly erased: number
  readonly copies: readonly string[]
  /** Lines that are not sealed yet, by file. */
  readonly unsealed: readonly { readonly file: FileResult; readonly strays: Strays }[]
}

/** Says what each difference between the files and the sealed lines is. */
export function classify(
  files: readonly FileResult[],
  sealed: SealedLines,
  options: ClassifyOptions,
  findings: Findings,
): Classified {
  return new Classifier(files, sealed, options, findings).classify()
}

class Classifier {
  readonly #files: readonly FileResult[]
  readonly #sealed: SealedLines
  readonly #options: ClassifyOptions
  readonly #findings: Findings
  /** Lines that are in a file, or that a finding was made about. */
  readonly #explained = new Coverage()
  /** Missing lines by their leaves, as far as they are looked up. */
  readonly #missing = new Map<string, number>()
  readonly #unsealed: { file: FileResult; strays: Strays }[] = []
  #erased = 0

  constructor(
    files: readonly FileResult[],
    sealed: SealedLines,
    options: ClassifyOptions,
    findings: Findings,
  ) {
    this.#files = files
    this.#sealed = sealed
    this.#options = options
    this.#findings = findings
    for (const run of files.flatMap(runsOf)) this.#explained.add(run.first, run.count)
  }

  classify(): Classified {
    this.#noteMissing()
    const endFile = this.#files.findLastIndex((file) =>
      runsOf(file).some(({ first, count }) => first + count === this.#sealed.count),
    )
    for (const [i, file] of this.#files.entries()) {
      this.#takeErased(file)
      for (const [piece, strays] of file.pieces.entries()) {
        if (strays.kind === 'strays') this.#takeStrays(i, piece, strays, endFile)
      }
    }
    const { older, lost } = this.#takeMissing()
    const copies = this.#files.filter(({ isCopy }) => isCopy).map(({ name }) => name)
    return { older, lost, erased: this.#erased, copies, unsealed: this.#unsealed }
  }

  #noteMissing(): void {
    for (const { first, end } of this.#explained.gaps(this.#sealed.count)) {
      for (let line = first; line < end && this.#missing.size < MOVED_MAX; line++) {
        const leaf = this.#sealed.leafAt(line)
        if (leaf !== undefined) this.#missing.set(leaf.toString('latin1'), line)
      }
    }
  }

  #takeErased({ name, erased }: FileResult): void {
    for (const { sealed, line, offset } of erased) {
      const { index } = this.#sealed.placeOf(sealed)
      if (this.#options.mayBeErased(sealed)) this.#erased++
      else {
        const message = `it was erased; its hash is the sealed one (--allow-erased ${index} accepts it)`
        this.#findings.add({
          ...{ kind: 'erased', file: name, line, offset, index, count: 1, request: null, message },
        })
      }
    }
  }

  /** Lines of a file that are not the sealed ones: between two runs, before the first one, or behind the last one. */
  #takeStrays(fileIndex: number, piece: number, strays: Strays, endFile: number): void {
    const file = this.#files[fileIndex]
    if (file === undefined) return
    const before = file.pieces[piece - 1]
    const after = file.pieces[piece + 1]
    const isForeign = before === undefined && after === undefined
    const local = isForeign
      ? this.#gapOfForeign(fileIndex, strays.count)
      : this.#localGap(file, before, after, strays.count)
    const rest = strays.lines.filter((line) => !this.#takeMoved(file, line))
    const missing = linesOf(local).filter((line) => file.isCopy || !this.#explained.has(line))
    const changed = rest.slice(0, missing.length)
    for (const [i, line] of changed.entries()) this.#add('changed', file.name, line, missing[i])
    if (!file.isCopy)
      for (const line of missing.slice(0, changed.length)) this.#explained.add(line, 1)
    const lines = rest.slice(changed.length)
    const count = strays.count - (strays.lines.length - lines.length)
    if (count === 0) return
    const left: Strays = { kind: 'strays', lines, count, line: lines[0]?.line ?? strays.line }
    if (after !== undefined || file.isCopy) this.#addInserted('inserted', file, left)
    else this.#takeTail(fileIndex, file, left, endFile)
  }

  /** Lines behind the last sealed one of a file. */
  #takeTail(fileIndex: number, file: FileResult, strays: Strays, endFile: number): void {
    const isNewest = fileIndex === this.#files.length - 1
    const [oldest] = strays.lines
    const isYoung = oldest !== undefined && this.#options.isYoung(file, oldest)
    if (isNewest || fileIndex >= endFile || isYoung) this.#unsealed.push({ file, strays })
    else this.#addInserted('added after rotation', file, strays)
  }

  /** A line that is a missing one, in another place. */
  #takeMoved(file: FileResult, line: StrayLine): boolean {
    const from = this.#missing.get(line.leaf.toString('latin1'))
    if (from === undefined || this.#explained.has(from)) return false
    this.#explained.add(from, 1)
    this.#add('swapped', file.name, line, from)
    return true
  }

  /** The missing lines in whose place strays stand, as many as there are strays at most. */
  #localGap(
    file: FileResult,
    before: Run | Strays | undefined,
    after: Run | Strays | undefined,
    count: number,
  ): Interval {
    const none = { first: 0, end: 0 }
    const start = before?.kind === 'run' ? before.first + before.count : undefined
    const end = after?.kind === 'run' ? after.first : undefined
    if (start !== undefined && end !== undefined && start <= end) {
      return { first: start, end: Math.min(end, start + count) }
    }
    if (file.isCopy) return none
    if (start !== undefined) {
      const first = { first: start, end: this.#endOfGap(start, start + count) }
      return this.#options.fileStarts.has(start) ? none : first
    }
    if (end !== undefined) return { first: this.#startOfGap(end, end - count), end }
    return none
  }

  /** The missing lines in whose place a file without any sealed line stands: those between its neighbours. */
  #gapOfForeign(fileIndex: number, count: number): Interval {
    const ofFiles = (files: readonly FileResult[]) => files.flatMap(runsOf)
    const after = ofFiles(this.#files.slice(fileIndex + 1)).map(({ first }) => first)
    // Behind all sealed lines nothing is missing.
    if (after.length === 0) return { first: 0, end: 0 }
    const before = ofFiles(this.#files.slice(0, fileIndex)).map((run) => run.first + run.count)
    const end = Math.min(...after)
    const first = Math.max(...before, this.#startOfGap(end, end - count))
    return { first, end: Math.min(end, first + count) }
  }

  /** Where the missing lines from one on end, or a file begins. */
  #endOfGap(start: number, most: number): number {
    let end = start
    const isIn = () => end < most && end < this.#sealed.count && !this.#explained.has(end)
    while (isIn() && (end === start || !this.#options.fileStarts.has(end))) end++
    return end
  }

  /** Where the missing lines before one begin, or its file. */
  #startOfGap(end: number, least: number): number {
    let start = end
    while (start > least && start > 0 && !this.#explained.has(start - 1)) {
      if (start < end && this.#options.fileStarts.has(start)) break
      start--
    }
    return start
  }

  #add(kind: SealFindingKind, file: string, stray: StrayLine, sealed: number | undefined): void {
    const { line, offset, request } = stray
    const index = sealed === undefined ? null : this.#sealed.placeOf(sealed).index
    const messages: Partial<Record<SealFindingKind, string>> = {
      changed: 'it is not the line that was sealed in this place',
      swapped: 'it was sealed in another place',
      inserted: 'it was never sealed, and stands between sealed lines',
      'added after rotation': 'it was added after the file was rotated, and is not sealed',
    }
    const message = messages[kind] ?? kind
    this.#findings.add({ kind, file, line, offset, index, count: 1, request, message })
  }

  #addInserted(kind: 'inserted' | 'added after rotation', file: FileResult, strays: Strays): void {
    for (const line of strays.lines) this.#add(kind, file.name, line, undefined)
    const more = strays.count - strays.lines.length
    if (more === 0) return
    const message = `${more} more lines that were never sealed`
    const { line } = strays
    this.#findings.add({
      ...{ kind, file: file.name, line, offset: null, index: null, count: more },
      ...{ request: null, message },
    })
  }

  /** What is left: lines that are in no file. */
  #takeMissing(): { older: SealRange[]; lost: SealRange[] } {
    const [older, lost]: [SealRange[], SealRange[]] = [[], []]
    for (const gap of this.#explained.gaps(this.#sealed.count)) {
      let isFirst = gap.first === 0
      for (const part of this.#splitGap(gap)) {
        isFirst &&= this.#isOlder(part)
        const range = this.#rangeOf(part)
        if (isFirst) older.push(range)
        else if (this.#sealed.endsOfOldTrees.includes(part.end)) lost.push(range)
        else this.#addMissing(part)
      }
    }
    return { older, lost }
  }

  /** Cuts missing lines where files began, where trees end, and where the caller's log begins. */
  #splitGap({ first, end }: Interval): Interval[] {
    const { fileStarts, firstLine = 0 } = this.#options
    const cuts = [...fileStarts, ...this.#sealed.endsOfOldTrees, firstLine]
    const inside = new Set(cuts.filter((cut) => cut > first && cut < end))
    const bounds = [first, ...[...inside].sort((a, b) => a - b), end]
    return bounds.slice(1).map((bound, i) => ({ first: bounds[i] ?? first, end: bound }))
  }

  /** Whether missing lines at the very beginning are whole files that are gone. */
  #isOlder({ end }: Interval): boolean {
    const { fileStarts, firstLine } = this.#options
    if (firstLine !== undefined) return end <= firstLine
    return fileStarts.has(end) && end < this.#sealed.count
  }

  #rangeOf({ first, end }: Interval): SealRange {
    return { index: this.#sealed.placeOf(first).index, count: end - first }
  }

  #addMissing({ first, end }: Interval): void {
    const { index, count } = this.#rangeOf({ first, end })
    const place = this.#placeOfMissing(first, end)
    const lines = count === 1 ? '1 sealed line is' : `${count} sealed lines are`
    const isAtEnd = place.isAtEnd && !this.#options.fileStarts.has(first)
    const kind = isAtEnd ? 'truncated' : 'removed'
    const where = this.#options.fileStarts.has(first) ? ', and a file began there' : ''
    const message = `${lines} no longer there${where}`
    const finding: Omit<SealFinding, 'file' | 'line'> = {
      ...{ kind, offset: null, index, count, request: null, message },
    }
    this.#findings.add({ ...finding, file: place.file, line: place.line })
  }

  /** Where missing lines stood: behind the line before them, or before the one behind them. */
  #placeOfMissing(first: number, end: number) {
    for (const { name, pieces, isCopy } of this.#files) {
      if (isCopy) continue
      for (const [i, run] of pieces.entries()) {
        if (run.kind !== 'run' || first < run.first || first > run.first + run.count) continue
        const isAtEnd = pieces[i + 1] === undefined
        return { file: name, line: run.line + (first - run.first), isAtEnd }
      }
    }
    const isNext = (run: { kind: string; first?: number }) =>
      run.kind === 'run' && run.first === end
    for (const { name, pieces } of this.#files) {
      const next = pieces.find(isNext)
      if (next !== undefined) return { file: name, line: next.line, isAtEnd: false }
    }
    return { file: this.#files.at(-1)?.name ?? '', line: null, isAtEnd: false }
  }
}

function runsOf({ pieces, isCopy }: FileResult): Run[] {
  return isCopy ? [] : pieces.filter((piece) => piece.kind === 'run')
}

function linesOf({ first, end }: Interval): number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i)
}
