import { getRandomValues } from 'node:crypto'

/** The events of a request that the log has shown so far, as bits. */
export const REQUESTED = 1
export const STARTED = 2
export const EXITED = 4
export const DENIED = 8
/** Its beginning is not in the log. */
export const UNSEEN = 16
export const ENDED = EXITED | DENIED

const SLOTS_FIRST = 1_024
/** Slots for each request that is remembered: half of them are free, so that a search is short. */
const SLOTS_EACH = 2
const ID_WORDS = 4
const ID_BYTES = 16
const BYTE_VALUES = 256
const DIGITS_A_WORD = 8
const CODE_OF_0 = 48
const CODE_OF_9 = 57
/** The code of `a`, less its value as a digit, 10. */
const LETTER_OFFSET = 87

/**
 * Remembers requests by their id in a bounded memory of typed arrays (open addressing, linear probing),
 * so that a log of any size is verified in the same memory. When it is full, those that have ended and
 * were not seen for longest are forgotten; those that are open only when there is nothing else.
 */
export class RequestTable {
  readonly #limit: number
  #mask = 0
  #ids = new Uint32Array()
  #size = 0
  /** Counts the events; the last one of each request says which is oldest. */
  #clock = 0
  #seen = new Uint32Array()
  /** By slot: the bits above; 0 for a free slot, or a request that is not known yet. */
  flags = new Uint8Array()
  /** By slot: the line and file of the last event. */
  lines = new Uint32Array()
  files = new Uint16Array()
  #forgotten = 0
  #lost = 0
  #probes = 0
  readonly #hashes = getRandomValues(new Uint32Array(ID_BYTES * BYTE_VALUES))

  /** @param limit requests that are remembered at most, from 2 */
  constructor(limit: number) {
    this.#limit = limit
    this.#allocate(Math.min(SLOTS_FIRST, powerOfTwoFrom(limit * SLOTS_EACH)))
  }

  /** Requests that had ended, and were forgotten. */
  get forgotten(): number {
    return this.#forgotten
  }

  /** Requests that had not ended, and were forgotten. */
  get lost(): number {
    return this.#lost
  }

  /** Slots that were looked at so far: the work of the searches. */
  get probes(): number {
    return this.#probes
  }

  /** The slot of a request: 32 hexadecimal digits. It holds until the next call. */
  slotOf(id: string): number {
    if (this.#size * SLOTS_EACH >= this.flags.length) this.#makeRoom()
    const a = word(id, 0)
    const b = word(id, 1)
    const c = word(id, 2)
    const d = word(id, 3)
    const slot = this.#find(a, b, c, d)
    if (this.flags[slot] === 0) {
      const at = slot * ID_WORDS
      this.#ids[at] = a
      this.#ids[at + 1] = b
      this.#ids[at + 2] = c
      this.#ids[at + 3] = d
      this.#size++
    }
    this.#seen[slot] = ++this.#clock
    return slot
  }

  /** How many requests are in each state that `matches` takes. */
  count(matches: (flags: number) => boolean): number {
    return this.flags.reduce((total, flags) => total + (flags !== 0 && matches(flags) ? 1 : 0), 0)
  }

  #find(a: number, b: number, c: number, d: number): number {
    const ids = this.#ids
    let slot = this.#hashOf(a, b, c, d) & this.#mask
    for (this.#probes++; this.flags[slot] !== 0; this.#probes++) {
      const at = slot * ID_WORDS
      if (ids[at] === a && ids[at + 1] === b && ids[at + 2] === c && ids[at + 3] === d) return slot
      slot = (slot + 1) & this.#mask
    }
    return slot
  }

  /**
   * A random number for each value of each byte, all of them combined (tabulation hashing): ids may be
   * counters, and strangers may choose them, but nobody can choose many that meet in one place.
   */
  #hashOf(a: number, b: number, c: number, d: number): number {
    return this.#wordHash(a, 0) ^ this.#wordHash(b, 1) ^ this.#wordHash(c, 2) ^ this.#wordHash(d, 3)
  }

  #wordHash(value: number, index: number): number {
    const hashes = this.#hashes
    const at = index * ID_WORDS * BYTE_VALUES
    return (
      (hashes[at + (value & 0xff)] ?? 0) ^
      (hashes[at + BYTE_VALUES + ((value >>> 8) & 0xff)] ?? 0) ^
      (hashes[at + 2 * BYTE_VALUES + ((value >>> 16) & 0xff)] ?? 0) ^
      (hashes[at + 3 * BYTE_VALUES + (value >>> 24)] ?? 0)
    )
  }

  #allocate(slots: number): void {
    this.#mask = slots - 1
    this.#ids = new Uint32Array(slots * ID_WORDS)
    this.#seen = new Uint32Array(slots)
    this.flags = new Uint8Array(slots)
    this.lines = new Uint32Array(slots)
    this.files = new Uint16Array(slots)
    this.#size = 0
  }

  /** Grows up to the limit, and forgets half of what is there when that is reached. */
  #makeRoom(): void {
    if (this.flags.length < this.#limit * SLOTS_EACH) {
      this.#rebuild(this.flags.length * 2, () => true)
      return
    }
    const open = this.#flagged((flags) => (flags & ENDED) === 0)
    const ended = this.#flagged((flags) => (flags & ENDED) !== 0)
    const keepOpen = newest(open, this.#limit / 2)
    const keepEnded = newest(ended, this.#limit / 2 - Math.min(open.length, this.#limit / 2))
    this.#lost += open.filter((seen) => seen < keepOpen).length
    this.#forgotten += ended.filter((seen) => seen < keepEnded).length
    this.#rebuild(this.flags.length, (flags, seen) =>
      (flags & ENDED) === 0 ? seen >= keepOpen : seen >= keepEnded,
    )
  }

  /** When each request in these states was last seen, ascending. */
  #flagged(matches: (flags: number) => boolean): Uint32Array {
    return this.#seen
      .filter((_, slot) => this.flags[slot] !== 0 && matches(this.flags[slot] ?? 0))
      .sort()
  }

  #rebuild(slots: number, isKept: (flags: number, seen: number) => boolean): void {
    const { flags, lines, files } = this
    const ids = this.#ids
    const seen = this.#seen
    this.#allocate(slots)
    for (let from = 0; from < flags.length; from++) {
      const bits = flags[from] ?? 0
      const last = seen[from] ?? 0
      if (bits === 0 || !isKept(bits, last)) continue
      const id = ids.subarray(from * ID_WORDS, (from + 1) * ID_WORDS)
      const to = this.#find(id[0] ?? 0, id[1] ?? 0, id[2] ?? 0, id[3] ?? 0)
      this.#ids.set(id, to * ID_WORDS)
      this.#seen[to] = last
      this.flags[to] = bits
      this.lines[to] = lines[from] ?? 0
      this.files[to] = files[from] ?? 0
      this.#size++
    }
  }
}

/** The clock of the oldest request that is kept when `keep` of them are. */
function newest(ascending: Uint32Array, keep: number): number {
  const first = ascending.length - Math.max(0, Math.floor(keep))
  return first <= 0 ? 0 : (ascending[first] ?? Number.POSITIVE_INFINITY)
}

function word(id: string, index: number): number {
  let value = 0
  for (let at = index * DIGITS_A_WORD; at < (index + 1) * DIGITS_A_WORD; at++) {
    const code = id.charCodeAt(at)
    value = (value << 4) | (code <= CODE_OF_9 ? code - CODE_OF_0 : code - LETTER_OFFSET)
  }
  return value >>> 0
}

function powerOfTwoFrom(value: number): number {
  return 2 ** Math.ceil(Math.log2(value))
}
