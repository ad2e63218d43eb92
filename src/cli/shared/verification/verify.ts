import type { AuditProblem, AuditRecord, ProblemKind } from '../../../format/records'
import type { LineEntry } from '../../../reader/line-splitter'
import { readBatches } from '../../../reader/read-audit'
import type { AuditSource } from '../../../reader/source'
import { RecentLines } from '../recent-lines'
import { OrderCheck } from './order'
import { ENDED, RequestTable } from './request-table'

/** Requests that are remembered, in about 60 MiB. */
const REQUESTS_MAX = 2 ** 19
const LINE_BYTES_SHOWN = 120
/** What stands in the place of an erased line. */
const ERASED = /^\{"erased":"[0-9a-f]{64}"\}$/

/** A file of the log, with the name that reports use. */
export interface LogFile {
  readonly name: string
  readonly source: AuditSource
}

/** How a log is verified. */
export interface VerifyOptions {
  /** Whether the first file is where the log began: no event may belong to a request before it. */
  readonly isWhole?: boolean
  /** Whether torn lines, which a crash leaves and which nobody has acknowledged, count as good. */
  readonly allowsTorn?: boolean
  /** Whether lines may have been erased: their hashes stand in their place, and a seal says whether they are right. */
  readonly allowsErased?: boolean
  /** How many findings are kept; all are counted. */
  readonly maxProblems: number
  /** Requests that are remembered at most. */
  readonly maxRequests?: number
  /** Called with the number of bytes that were read since the last call. */
  readonly onBytes?: (bytes: number) => void
}

/**
 * What a finding is: a problem of the line itself, an event that cannot stand where it does, or one whose
 * request is not in the log.
 */
type FindingKind = ProblemKind | 'impossible' | 'unseen'

/** A fault of a line, or what may be one. */
export interface VerifyFinding {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** Of the line's first byte, from 0. */
  readonly offset: number
  readonly kind: FindingKind
  /** `unsure` if it may be as it should. */
  readonly verdict: 'broken' | 'unsure'
  readonly message: string
  /** The line's beginning, as it is: escape it before it reaches a terminal. */
  readonly excerpt: string
}

/** The verdict on a log. */
export interface VerifyReport {
  readonly verdict: 'good' | 'broken' | 'unsure'
  readonly files: number
  readonly lines: number
  readonly events: number
  readonly bytes: number
  readonly broken: number
  readonly unsure: number
  /** Findings of both kinds, by what they are. */
  readonly byKind: Readonly<Partial<Record<FindingKind, number>>>
  readonly notes: {
    readonly blankLines: number
    /** Lines that stand there again, byte for byte, as at-least-once writing allows. */
    readonly duplicates: number
    /** Torn lines, if they are allowed. */
    readonly tornLines: number
    /** How often the time went back between one event and the next, and the most by which it did. */
    readonly stepsBack: number
    readonly stepBackMsMax: number
    /** Requests without an end: they still run, or their end was lost. */
    readonly openRequests: number
    /** Erased lines, if they are allowed. */
    readonly erasedLines: number
    /** Requests that had ended and were forgotten, so that a second use of their id is not seen. */
    readonly forgottenRequests: number
  }
  /** The first ones. */
  readonly findings: readonly VerifyFinding[]
}

/** Verifies the files as one log, the oldest first. Rejects with what the file system throws. */
export async function verify(
  files: readonly LogFile[],
  options: VerifyOptions,
): Promise<VerifyReport> {
  const verifier = new Verifier(files, options)
  for (const [index, { source }] of files.entries()) await verifier.read(index, source)
  return verifier.report()
}

class Verifier {
  readonly #files: readonly LogFile[]
  readonly #options: VerifyOptions
  readonly #table: RequestTable
  readonly #order: OrderCheck
  readonly #recent = new RecentLines()
  readonly #findings: VerifyFinding[] = []
  readonly #byKind: Partial<Record<FindingKind, number>> = {}
  #file = 0
  #events = 0
  #lines = 0
  #bytes = 0
  #broken = 0
  #unsure = 0
  #blankLines = 0
  #duplicates = 0
  #tornLines = 0
  #erasedLines = 0
  /** Requests whose events lack one that may have been erased. */
  readonly #excused = new Set<string>()
  #lastMs = 0
  #stepsBack = 0
  #stepBackMsMax = 0

  constructor(files: readonly LogFile[], options: VerifyOptions) {
    const { maxRequests = REQUESTS_MAX, isWhole = false } = options
    this.#files = files
    this.#options = options
    this.#table = new RequestTable(maxRequests)
    const names = files.map(({ name }) => name)
    this.#order = new OrderCheck(this.#table, isWhole, names)
  }

  async read(file: number, source: AuditSource): Promise<void> {
    this.#file = file
    let [read, blank] = [0, 0]
    for await (const { entries, bytes, blankLines } of readBatches(source)) {
      for (const entry of entries) this.#take(entry)
      this.#lines += entries.length
      this.#options.onBytes?.(bytes - read)
      read = bytes
      blank = blankLines
    }
    this.#bytes += read
    this.#blankLines += blank
    this.#lines += blank
  }

  report(): VerifyReport {
    const { forgotten, lost } = this.#table
    // A request that was forgotten while it was open makes its later events look wrong, or hides them.
    const isUnsure = this.#unsure > 0 || lost > 0
    return {
      verdict: this.#broken > 0 ? 'broken' : isUnsure ? 'unsure' : 'good',
      files: this.#files.length,
      lines: this.#lines,
      events: this.#events,
      bytes: this.#bytes,
      broken: this.#broken,
      unsure: this.#unsure,
      byKind: this.#byKind,
      notes: {
        blankLines: this.#blankLines,
        duplicates: this.#duplicates,
        tornLines: this.#tornLines,
        stepsBack: this.#stepsBack,
        stepBackMsMax: this.#stepBackMsMax,
        openRequests: this.#table.count((flags) => (flags & ENDED) === 0) + lost,
        erasedLines: this.#erasedLines,
        forgottenRequests: forgotten,
      },
      findings: this.#findings,
    }
  }

  #take({ text, record, problem }: LineEntry): void {
    if (record === undefined) {
      this.#takeProblem(problem)
      return
    }
    this.#events++
    this.#takeTime(record)
    const misplaced = this.#order.take(record, this.#file)
    if (misplaced !== undefined) {
      const isRepeated = misplaced.kind === 'impossible' && misplaced.isRepeated
      if (isRepeated && this.#recent.has(text)) this.#duplicates++
      else if (!isRepeated && this.#isExcused(record)) this.#excused.add(record.requestId)
      else this.#note(record, misplaced.kind, misplaced.message, text)
    }
    this.#recent.add(text)
  }

  /** Whether an event that lacks one before it may do so since that was erased: each erased line excuses one request. */
  #isExcused({ requestId }: AuditRecord): boolean {
    return this.#excused.has(requestId) || this.#excused.size < this.#erasedLines
  }

  #takeTime({ tsUnixMs }: AuditRecord): void {
    const backMs = this.#lastMs - tsUnixMs
    if (backMs > 0) {
      this.#stepsBack++
      this.#stepBackMsMax = Math.max(this.#stepBackMsMax, backMs)
    }
    this.#lastMs = tsUnixMs
  }

  #takeProblem(problem: AuditProblem): void {
    const { kind, message, excerpt, isIncomplete } = problem
    const isLastFile = this.#file === this.#files.length - 1
    if (this.#options.allowsErased && ERASED.test(excerpt)) this.#erasedLines++
    else if (isIncomplete && isLastFile) {
      const text = `${message}; it may still be being written`
      this.#note(problem, kind, text, excerpt, 'unsure')
    } else if (kind === 'torn' && this.#options.allowsTorn) this.#tornLines++
    else this.#note(problem, kind, message, excerpt)
  }

  #note(
    { line, offset }: Pick<AuditRecord, 'line' | 'offset'>,
    kind: FindingKind,
    message: string,
    text: string,
    verdict: 'broken' | 'unsure' = kind === 'unseen' || kind === 'newer' ? 'unsure' : 'broken',
  ): void {
    if (verdict === 'broken') this.#broken++
    else this.#unsure++
    this.#byKind[kind] = (this.#byKind[kind] ?? 0) + 1
    if (this.#findings.length >= this.#options.maxProblems) return
    const file = this.#files[this.#file]?.name ?? ''
    const excerpt = Buffer.from(text.slice(0, LINE_BYTES_SHOWN)).toString()
    this.#findings.push({ file, line, offset, kind, verdict, message, excerpt })
  }
}
