import { createHash, type Hash } from 'node:crypto'
import { NEWLINE } from '../../base/bytes'
import { entryOf, leafOf } from '../tree/hashes'

/** Bytes of a line's beginning that are kept: an event's time and request stand within them. */
const HEAD_BYTES = 160
const EVENT_HEAD = /^\{"event":"[a-z]+","ts_unix_ms":(\d+),"request_id":"([0-9a-f]{32})"/
const ERASED = /^\{"erased":"([0-9a-f]{64})"\}$/

/** A whole line of a file. */
export interface ScannedLine {
  /** From 1. */
  readonly line: number
  /** Of its first byte, from 0. */
  readonly offset: number
  /** What stands in the tree for it; for an erased line, for the one that stood in its place. */
  readonly leaf: Buffer
  readonly isErased: boolean
  /** The leaf of the line's own text; it differs from `leaf` in an erased line alone. */
  readonly ownLeaf: Buffer
  /** The line's beginning; overwritten by the next chunk. */
  readonly head: Buffer
}

/** The time and the request of an event, as far as its line still has them. */
export function eventOf(head: Buffer): { timeMs: number | undefined; request: string | null } {
  const [, time, request = null] = EVENT_HEAD.exec(head.toString('latin1')) ?? []
  return { timeMs: time === undefined ? undefined : Number(time), request }
}

/** Cuts chunks of a file into lines, and hashes them; a line may have any length. */
export class LineScan {
  #line = 1
  #offset = 0
  /** A line whose end has not come yet: its hash, its beginning and its length so far. */
  #begun: { readonly hash: Hash; readonly head: Buffer; bytes: number } | undefined

  /** Calls `take` with each line that ends in the chunk. */
  push(chunk: Buffer, take: (line: ScannedLine) => void): void {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      take(this.#finish(chunk.subarray(start, end)))
      start = end + 1
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
  }

  #keep(part: Buffer): void {
    this.#begun ??= {
      hash: createHash('sha256'),
      head: Buffer.from(part.subarray(0, HEAD_BYTES)),
      bytes: 0,
    }
    this.#begun.hash.update(part)
    this.#begun.bytes += part.length
  }

  #finish(rest: Buffer): ScannedLine {
    const begun = this.#begun
    this.#begun = undefined
    if (begun === undefined) return this.#lineOf(entryOf(rest), rest, rest.length)
    const entry = begun.hash.update(rest).digest()
    const missing = HEAD_BYTES - begun.head.length
    const head = missing > 0 ? Buffer.concat([begun.head, rest.subarray(0, missing)]) : begun.head
    return this.#lineOf(entry, head, begun.bytes + rest.length)
  }

  #lineOf(entry: Buffer, head: Buffer, bytes: number): ScannedLine {
    const [line, offset] = [this.#line++, this.#offset]
    this.#offset += bytes + 1
    const ownLeaf = leafOf(entry)
    const erased = bytes < HEAD_BYTES ? ERASED.exec(head.toString('latin1'))?.[1] : undefined
    const leaf = erased === undefined ? ownLeaf : leafOf(Buffer.from(erased, 'hex'))
    return { line, offset, leaf, isErased: erased !== undefined, ownLeaf, head }
  }
}
