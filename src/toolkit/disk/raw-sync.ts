import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Samples, type Summary, summaryOf } from '../load/samples'

/** Ways to get bytes onto the disk without this package. */
export const RAW_METHODS = ['fdatasync', 'fsync', 'O_DSYNC'] as const
export type RawMethod = (typeof RAW_METHODS)[number]

/** How long one append of `bytes` took until it was on disk, in milliseconds. */
export interface RawSync {
  readonly method: RawMethod
  readonly bytes: number
  readonly ms: Summary
}

/** A faster sync has not written to the disk, unless its cache outlives a power cut. */
export const TOO_FAST_MS = 0.02

const SAMPLES_MIN = 3

/** Measures one way of appending a number of bytes, in turns with others. */
export class RawProbe {
  readonly #file: string
  readonly #fd: number
  readonly #sync: () => void
  readonly #line: Buffer
  readonly #samples = new Samples()

  constructor(
    dir: string,
    readonly method: RawMethod,
    readonly bytes: number,
  ) {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND
    this.#file = join(dir, `raw-${method}-${bytes}`)
    this.#fd = openSync(this.#file, method === 'O_DSYNC' ? flags | constants.O_DSYNC : flags, 0o600)
    this.#sync = {
      fdatasync: () => fdatasyncSync(this.#fd),
      fsync: () => fsyncSync(this.#fd),
      O_DSYNC: () => undefined,
    }[method]
    this.#line = Buffer.alloc(bytes, 'x')
  }

  /** Appends and syncs for `durationMs`, blocking. The first append of a turn is left out. */
  run(durationMs: number): void {
    const endMs = performance.now() + durationMs
    this.#append()
    for (let i = 0; i < SAMPLES_MIN || performance.now() < endMs; i++) {
      const startMs = performance.now()
      this.#append()
      this.#samples.add(performance.now() - startMs)
    }
  }

  result(): RawSync {
    return { method: this.method, bytes: this.bytes, ms: summaryOf(this.#samples.sorted()) }
  }

  close(): void {
    closeSync(this.#fd)
    rmSync(this.#file)
  }

  #append(): void {
    writeSync(this.#fd, this.#line)
    this.#sync()
  }
}
