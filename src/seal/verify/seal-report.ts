/** What a seal shows: that a log, or the seal itself, is not what was sealed. */
export const SEAL_FINDINGS = [
  'changed',
  'removed',
  'inserted',
  'swapped',
  'truncated',
  'rolled back',
  'added after rotation',
  're-anchored',
  'bad signature',
  'no seal',
  'tile changed',
  'erased',
  'not witnessed',
] as const
/** One of {@link SEAL_FINDINGS}. */
export type SealFindingKind = (typeof SEAL_FINDINGS)[number]

/** One piece of evidence against a log or its seal. */
export interface SealFinding {
  /** What was found. */
  readonly kind: SealFindingKind
  /** The log's file, or the seal's. */
  readonly file: string
  /** From 1: the line, or for removed ones where they stood; null if the finding is not about a line. */
  readonly line: number | null
  /** The first byte of that line, from 0; null if it is not there any more. */
  readonly offset: number | null
  /** The line's index in the tree; null for a line that is in none. */
  readonly index: number | null
  /** Consecutive lines that the finding is about. */
  readonly count: number
  /** The request of the line, if the line still says it: 32 hex digits. */
  readonly request: string | null
  /** What was found, in one sentence. */
  readonly message: string
}

/** Consecutive lines of the tree. */
export interface SealRange {
  /** The first one's index in the tree. */
  readonly index: number
  /** How many. */
  readonly count: number
}

/**
 * What the verdict rests on: `unanchored` if no key was given, so that anyone may have made the seal; `sealed` if the
 * key's owner has signed; `witnessed` if enough witnesses have seen the checkpoint, too.
 */
export type SealAnchor = 'unanchored' | 'sealed' | 'witnessed'

/** The verdict on a log and its seal. */
export interface SealReport {
  /** `unsure` if the sealer seems not to run, or the log was rotated again and again meanwhile. */
  readonly verdict: 'good' | 'broken' | 'unsure'
  /** What the verdict rests on. */
  readonly anchor: SealAnchor
  /** The seal's folder. */
  readonly seal: string
  /** The checkpoint that the log was compared with; null if there is none. */
  readonly checkpoint: {
    /** The log's name. */
    readonly origin: string
    /** Leaves of the tree. */
    readonly size: number
    /** Base64. */
    readonly root: string
    /** The key that signed it, as it was given; null if none was. */
    readonly key: string | null
  } | null
  /** Files that were read. */
  readonly files: number
  /** Whole lines of the files. */
  readonly lines: number
  /** Lines that are sealed, in whatever file. */
  readonly sealedLines: number
  /** Bytes that were read, decompressed. */
  readonly bytes: number
  /** Whether it was checked that the log and its seal were not both put back to an older state. */
  readonly isRollbackChecked: boolean
  /** What witnesses have signed. */
  readonly witnesses: {
    /** Up to which size of the tree enough witnesses have signed; 0 if none has. */
    readonly size: number
    /** How many were asked for. */
    readonly quorum: number
    /** Who has signed that, and when: seconds since 1970. */
    readonly signed: readonly {
      /** The witness's name. */
      readonly name: string
      /** Seconds since 1970. */
      readonly timeSeconds: number
    }[]
  }
  /** Lines of files that are not there, before all others. */
  readonly older: readonly SealRange[]
  /** Lines that a re-anchored tree had at its end, and that the log has lost. */
  readonly lost: readonly SealRange[]
  /** Erased lines that may be. */
  readonly erased: number
  /** Files that hold lines of other files once more. */
  readonly copies: readonly string[]
  /** Whole lines that are not sealed yet. */
  readonly unsealed: {
    /** How many. */
    readonly lines: number
    /** Age of the oldest one, in ms; 0 if there is none. */
    readonly oldestMs: number
    /** Where the oldest one stands; null if there is none. */
    readonly file: string | null
    /** From 1; null if there is none. */
    readonly line: number | null
  }
  /** Why it cannot tell; null if it can. */
  readonly unsure: string | null
  /** Findings in all, by their kind. */
  readonly byKind: Readonly<Partial<Record<SealFindingKind, number>>>
  /** The first ones. */
  readonly findings: readonly SealFinding[]
}

/** Collects findings: all are counted, the first ones are kept. */
export class Findings {
  readonly #kept: SealFinding[] = []
  readonly #max: number
  readonly byKind: Partial<Record<SealFindingKind, number>> = {}
  #count = 0

  constructor(max: number) {
    this.#max = max
  }

  get count(): number {
    return this.#count
  }

  get kept(): readonly SealFinding[] {
    return this.#kept
  }

  add(finding: SealFinding): void {
    this.#count++
    this.byKind[finding.kind] = (this.byKind[finding.kind] ?? 0) + 1
    if (this.#kept.length < this.#max) this.#kept.push(finding)
  }

  /** A finding that is not about a line of the log. */
  addAbout(kind: SealFindingKind, file: string, message: string): void {
    const nothing = { line: null, offset: null, index: null, request: null }
    this.add({ kind, file, ...nothing, count: 0, message })
  }
}
