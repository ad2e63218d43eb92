import { Coverage } from './coverage'
import { eventOf, type ScannedLine } from './scan-lines'
import type { SealedLines } from './sealed-lines'

/*
 * Finds which sealed line each line of a file is. In a good log they follow each other; where they do not, the file is
 * searched for the next lines that are sealed, near by at first, then everywhere.
 */

/** Sealed lines that are looked at in the place where a file goes on: at first, and if that does not help. */
const NEAR = 64
const FAR = 4_096
/** Lines in a row that are no sealed ones before all sealed lines are searched for them; each time more. */
const SEARCH_AFTER = 64
const SEARCH_FACTOR = 16
/** Lines that are not sealed and are kept for a search. */
const PENDING_MAX = 4_096
const SEARCHES_MAX = 4

/** Lines of a file that are sealed ones, one after the other. */
export interface Run {
  readonly kind: 'run'
  /** The number of the first sealed line. */
  readonly first: number
  count: number
  /** The first one's line in its file, from 1. */
  readonly line: number
}

/** A line of a file that is not the sealed one that should stand there. */
export interface StrayLine {
  readonly line: number
  readonly offset: number
  readonly leaf: Buffer
  readonly request: string | null
  readonly timeMs: number | undefined
}

/** Lines of a file, one after the other, that are not the sealed ones. */
export interface Strays {
  readonly kind: 'strays'
  /** The first ones, in full. */
  readonly lines: StrayLine[]
  /** All of them. */
  count: number
  readonly line: number
}

export type Piece = Run | Strays

/** An erased line whose hash is the sealed one's. */
export interface ErasedLine {
  readonly sealed: number
  readonly line: number
  readonly offset: number
}

/** What a file holds, in its order. */
export interface AlignedFile {
  /** Whether its lines are also in files before it: they are another copy of these. */
  readonly isCopy: boolean
  readonly pieces: readonly Piece[]
  readonly erased: readonly ErasedLine[]
  readonly lines: number
}

interface Match {
  readonly pending: number
  readonly sealed: number
}

interface PendingLine extends StrayLine {
  readonly isErased: boolean
  readonly key: string
}

/** Where a file may begin among the sealed lines, by the SHA-256 of its first line; hints. */
export type FindStart = (leaf: Buffer) => readonly number[]

/** Aligns one file. */
export class Alignment {
  readonly #sealed: SealedLines
  readonly #findStart: FindStart
  /** Sealed lines that are in the files before, and in this one: none is there twice. */
  readonly #others: Coverage
  readonly #own = new Coverage()
  #isCopy = false
  /** The number of the sealed line that should come next. */
  #at: number
  /** Up to where the lines from there on are not in {@link #others} or {@link #own}. */
  #limit = 0
  #hasBegun = false
  readonly #pieces: Piece[] = []
  readonly #erased: ErasedLine[] = []
  #lines = 0
  /** Lines since the last sealed one, and how many before these were given up. */
  #pending: PendingLine[] = []
  #givenUp = 0
  #near: ReadonlyMap<string, readonly number[]> | undefined
  #nearWidth = 0
  #searchAfter = SEARCH_AFTER
  #searches = 0

  /**
   * @param others the sealed lines that were found in the files before
   * @param at the sealed line that should be the file's first one
   */
  constructor(sealed: SealedLines, others: Coverage, at: number, findStart: FindStart) {
    this.#sealed = sealed
    this.#others = others
    this.#findStart = findStart
    this.#at = at
    this.#goTo(at)
  }

  take(line: ScannedLine): void {
    this.#lines++
    if (this.#pending.length === 0 && this.#givenUp === 0 && this.#takeNext(line)) return
    this.#keep(line)
    this.#resync()
  }

  end(): AlignedFile {
    if (this.#pending.length > 0 && !this.#isAtEnd) this.#search(1)
    this.#giveUp(this.#pending.length)
    this.#closeRun()
    const [isCopy, pieces, erased, lines] = [this.#isCopy, this.#pieces, this.#erased, this.#lines]
    return { isCopy, pieces, erased, lines }
  }

  /** Differences so far. */
  get differences(): number {
    return this.#pieces.length + this.#pending.length
  }

  /** Nothing sealed comes behind the last sealed line: what follows is not sealed yet. */
  get #isAtEnd(): boolean {
    return this.#hasBegun && this.#at >= this.#sealed.count
  }

  /** Goes on at the first line from there that is not taken. */
  #goTo(line: number): void {
    let at = line
    for (let taken = this.#takenAt(at); taken !== undefined; taken = this.#takenAt(at))
      at = taken.end
    this.#at = at
    const other = this.#isCopy ? Number.POSITIVE_INFINITY : this.#others.nextAfter(at)
    this.#limit = Math.min(this.#sealed.count, other, this.#own.nextAfter(at))
  }

  #takenAt(line: number) {
    return this.#own.intervalAt(line) ?? (this.#isCopy ? undefined : this.#others.intervalAt(line))
  }

  #takeNext(line: ScannedLine): boolean {
    const sealed = this.#sealed
    if (this.#at >= this.#limit) this.#goTo(this.#at)
    // A line of this form may have been logged so.
    const isOwn = line.isErased && sealed.isAt(this.#at, line.ownLeaf)
    if (!isOwn && !sealed.isAt(this.#at, line.leaf)) return false
    this.#extend(this.#at, { ...line, isErased: line.isErased && !isOwn })
    return true
  }

  #extend(sealed: number, { line, offset, isErased }: ScannedLine | PendingLine): void {
    if (isErased) this.#erased.push({ sealed, line, offset })
    const last = this.#pieces.at(-1)
    if (last?.kind === 'run' && last.first + last.count === sealed) last.count++
    else {
      this.#closeRun()
      this.#pieces.push({ kind: 'run', first: sealed, count: 1, line })
    }
    this.#hasBegun = true
    this.#at = sealed + 1
  }

  #closeRun(): void {
    const last = this.#pieces.findLast((piece) => piece.kind === 'run')
    if (last !== undefined) this.#own.add(last.first, last.count)
  }

  #keep({ line, offset, leaf, isErased, head }: ScannedLine): void {
    if (this.#pending.length === PENDING_MAX) this.#giveUp(PENDING_MAX / 2)
    const key = leaf.toString('latin1')
    this.#pending.push({ line, offset, leaf, key, isErased, ...eventOf(head) })
  }

  /** Tries to find the sealed line that the last pending one is. */
  #resync(): void {
    if (this.#isAtEnd) return
    const { length } = this.#pending
    const [before, last] = [this.#pending[length - 2], this.#pending[length - 1]]
    if (last === undefined) return
    const count = length + this.#givenUp
    if (!this.#hasBegun && count === 1 && this.#begin(last.leaf)) return
    // The lines before were changed in their places.
    const inPlace = this.#at + count - 1
    const isFree = count > 1 && inPlace < this.#limit
    if (isFree && this.#sealed.leafAt(inPlace)?.equals(last.leaf)) {
      this.#accept(length - 1, inPlace, 1)
      return
    }
    if (before === undefined) return
    const near = this.#nearLines(count <= NEAR / 8 ? NEAR : FAR)
    const behind = near.get(last.key) ?? []
    const pair = near.get(before.key)?.find((start) => behind.includes(start + 1))
    if (pair !== undefined) this.#accept(length - 2, pair, 2)
    else if (count >= this.#searchAfter && this.#searches < SEARCHES_MAX) {
      this.#searchAfter *= SEARCH_FACTOR
      this.#search(2)
    }
  }

  /** Begins where the file is known to begin: behind the files before, or as another copy of one of them. */
  #begin(leaf: Buffer): boolean {
    const starts = this.#findStart(leaf).filter((start) => this.#sealed.isAt(start, leaf))
    const start = starts.find((each) => !this.#others.has(each)) ?? starts[0]
    if (start === undefined) return false
    this.#isCopy = this.#others.has(start)
    this.#accept(0, start, 1)
    return true
  }

  /** The sealed lines that come next, by their leaves. */
  #nearLines(width: number): ReadonlyMap<string, readonly number[]> {
    if (this.#near !== undefined && this.#nearWidth >= width) return this.#near
    const near = new Map<string, number[]>()
    const end = Math.min(this.#sealed.count, this.#at + width)
    for (let line = this.#at; line < end; line++) {
      if (this.#takenAt(line) === undefined) addTo(near, this.#sealed.leafAt(line), line)
    }
    this.#near = near
    this.#nearWidth = width
    return near
  }

  /** Searches all sealed lines for pending ones. @param alike how many have to follow each other */
  #search(alike: 1 | 2): void {
    this.#searches++
    this.#closeRun()
    const found = this.#findPending(alike)
    if (found === undefined) return
    const rest = this.#pending.slice(found.pending + 1)
    this.#isCopy ||= this.#others.has(found.sealed)
    this.#accept(found.pending, found.sealed, 1)
    for (const line of rest) {
      if (this.#pending.length === 0 && this.#sealed.isAt(this.#at, line.leaf)) {
        this.#extend(this.#at, line)
      } else {
        this.#pending.push(line)
        this.#resync()
      }
    }
    if (alike === 1 && this.#pending.length > 0 && !this.#isAtEnd) this.#search(1)
  }

  #findPending(alike: 1 | 2): Match | undefined {
    const wanted = new Map<string, number[]>()
    for (const [i, { leaf }] of this.#pending.entries()) addTo(wanted, leaf, i)
    let [pair, single]: (Match | undefined)[] = []
    let before: readonly number[] = []
    for (let sealed = 0; sealed < this.#sealed.count; sealed++) {
      const key = this.#sealed.leafAt(sealed)?.toString('latin1')
      const here = (key === undefined ? undefined : wanted.get(key)) ?? []
      // A whole file may be a copy; a line of one may not.
      const isFree = here.length > 0 && this.#takenAt(sealed) === undefined
      // A file goes forward only: lines from before stand in the wrong place, and are strays.
      if (this.#hasBegun && sealed < this.#at) continue
      for (const pending of here) {
        const isPair = before.includes(pending - 1)
        if (isFree) single = this.#better(single, { pending, sealed })
        if (isPair && (isFree || !this.#hasBegun)) {
          pair = this.#better(pair, { pending: pending - 1, sealed: sealed - 1 })
        }
      }
      before = here
    }
    return pair ?? (alike === 1 ? single : undefined)
  }

  /** The match of lines that are not taken; of these, that which leaves fewer lines out; of these, the next one. */
  #better(a: Match | undefined, b: Match): Match {
    if (a === undefined) return b
    const [isATaken, isBTaken] = [a, b].map(({ sealed }) => this.#others.has(sealed))
    if (isATaken !== isBTaken) return isATaken ? b : a
    if (a.pending !== b.pending) return a.pending < b.pending ? a : b
    return a.sealed < this.#at && b.sealed >= this.#at ? b : a
  }

  /** Takes `count` pending lines from one on as sealed ones; those before them are strays. */
  #accept(pending: number, sealed: number, count: number): void {
    this.#closeRun()
    const more = this.#matchesBefore(pending, sealed)
    const matched = this.#pending.slice(pending - more, pending + count)
    this.#giveUp(pending - more)
    this.#pending = []
    this.#givenUp = 0
    for (const [i, line] of matched.entries()) this.#extend(sealed - more + i, line)
    this.#near = undefined
    this.#nearWidth = 0
    this.#searchAfter = SEARCH_AFTER
    this.#goTo(this.#at)
  }

  /** How many pending lines before one are the sealed lines before its own. */
  #matchesBefore(pending: number, sealed: number): number {
    let count = 0
    for (; count < pending && count < sealed; count++) {
      const [line, at] = [this.#pending[pending - 1 - count], sealed - 1 - count]
      if (line === undefined || this.#takenAt(at) !== undefined) break
      if (this.#sealed.leafAt(at)?.equals(line.leaf) !== true) break
    }
    return count
  }

  /** Gives up the first pending lines: they are strays. */
  #giveUp(count: number): void {
    if (count === 0) return
    const lost = this.#pending.splice(0, count)
    this.#givenUp += count
    const last = this.#pieces.at(-1)
    const first = lost[0]?.line ?? 0
    const strays: Strays =
      last?.kind === 'strays' ? last : { kind: 'strays', lines: [], count: 0, line: first }
    if (strays !== last) this.#pieces.push(strays)
    strays.lines.push(...lost.slice(0, PENDING_MAX - strays.lines.length))
    strays.count += count
  }
}

function addTo(map: Map<string, number[]>, leaf: Buffer | undefined, value: number): void {
  if (leaf === undefined) return
  const key = leaf.toString('latin1')
  const values = map.get(key)
  if (values === undefined) map.set(key, [value])
  else if (values.length < NEAR) values.push(value)
}
