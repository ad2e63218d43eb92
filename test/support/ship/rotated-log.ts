import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { Random } from '../random'

interface Part {
  readonly path: string
  /** The index of its first line. */
  readonly first: number
  readonly isPacked: boolean
}

/** A log that is written, rotated, compressed and deleted, with all lines that there have ever been. */
export class RotatedLog {
  readonly lines: string[] = []
  readonly #random: Random
  #parts: Part[] = []
  #first = 0
  #rotations = 0

  constructor(
    readonly path: string,
    random: Random,
  ) {
    this.#random = random
  }

  /** Appends a few lines, some of them blank or again those before, and at times rotates or compresses. */
  write(): void {
    this.append(1 + this.#random.below(40))
    if (this.#random.chance(0.1)) this.rotate()
    if (this.#random.chance(0.1)) this.#pack()
  }

  /** Appends so many lines, at times twice. */
  append(count: number): void {
    const some = Array.from({ length: count }, () => this.#line())
    const group = this.#random.chance(0.1) ? [...some, ...some] : some
    this.lines.push(...group)
    appendFileSync(this.path, group.map((line) => `${line}\n`).join(''))
  }

  rotate(): void {
    if (!existsSync(this.path)) return
    const path = `${this.path}-20261130-${String(this.#rotations++).padStart(6, '0')}`
    renameSync(this.path, path)
    this.#parts.push({ path, first: this.#first, isPacked: false })
    this.#first = this.lines.length
  }

  /** Deletes the files before that of a line. */
  deleteBefore(index: number): void {
    const [...parts] = this.#parts
    for (const [i, part] of parts.entries()) {
      const end = parts[i + 1]?.first ?? this.#first
      if (end > index) return
      rmSync(part.path)
      this.#parts.shift()
    }
  }

  #line(): string {
    if (this.#random.chance(0.02)) return ''
    return `{"n":${this.lines.length},"r":${this.#random.next()},"fill":"${'x'.repeat(this.#random.below(400))}"}`
  }

  #pack(): void {
    const at = this.#parts.findIndex(({ isPacked }) => !isPacked)
    const part = this.#parts[at]
    if (part === undefined) return
    const path = `${part.path}.gz`
    writeFileSync(path, gzipSync(readFileSync(part.path)))
    rmSync(part.path)
    this.#parts[at] = { ...part, path, isPacked: true }
  }
}
