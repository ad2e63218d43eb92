import { element } from '../../base/field-checks'
import { UTF8_BYTES_PER_UNIT } from './cut-argv'
import { STRING_LENGTH_BYTES } from './record-layout'

/** Room for the lengths of an event's strings: at first, and the most that is kept for the next event. */
const CAPACITY_FIRST = 64
const CAPACITY_KEPT_MAX = 4096

/**
 * Strings in one run, and the length of each in UTF-16 units: so that they are encoded by one native
 * call, and no array of them is made on the way. The run itself is all that a call allocates beside its
 * promise and the time; one native call per string would be slower.
 */
export class StringRun {
  #text = ''
  #lengths = new Uint32Array(CAPACITY_FIRST)
  #count = 0

  /** All strings, one after another. */
  get text(): string {
    return this.#text
  }

  /** How many strings there are. */
  get count(): number {
    return this.#count
  }

  append(string: string): void {
    if (this.#count === this.#lengths.length) this.#grow()
    this.#lengths[this.#count++] = string.length
    this.#text += string
  }

  appendAll(strings: readonly string[]): void {
    for (const string of strings) this.append(string)
  }

  /**
   * Appends the elements of an array field, without a copy of it, if they are sure to fit into `room` bytes;
   * otherwise some of them. Throws if one is no string.
   */
  tryAppendAll(field: string, array: readonly unknown[], room: number): boolean {
    let text = this.#text
    let left = room
    const { length } = array
    for (let i = 0; i < length; i++) {
      const string = element(field, i, array[i])
      left -= STRING_LENGTH_BYTES + string.length * UTF8_BYTES_PER_UNIT
      if (left < 0) return false
      if (this.#count === this.#lengths.length) this.#grow()
      this.#lengths[this.#count++] = string.length
      text += string
    }
    this.#text = text
    return true
  }

  clear(): void {
    this.#text = ''
    this.#count = 0
    if (this.#lengths.length > CAPACITY_KEPT_MAX) this.#lengths = new Uint32Array(CAPACITY_FIRST)
  }

  /** Writes the lengths, four bytes each, from `offset` on. */
  writeLengths(view: DataView, offset: number): void {
    for (let i = 0; i < this.#count; i++) {
      view.setUint32(offset + i * STRING_LENGTH_BYTES, this.#lengths[i] ?? 0, true)
    }
  }

  #grow(): void {
    const grown = new Uint32Array(this.#lengths.length * 2)
    grown.set(this.#lengths)
    this.#lengths = grown
  }
}
