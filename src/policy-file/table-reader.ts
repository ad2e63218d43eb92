import { hintFor } from '../base/names'
import type { KeyPath, Mistakes } from './mistakes'
import { isTable, type Table } from './toml'

/** Takes checked values from one table of a file. In place of one that is mistaken it gives the default. */
export class TableReader<Key extends string> {
  readonly #mistakes: Mistakes
  readonly #at: KeyPath
  readonly #table: Table

  /** @param keys all that the table may have */
  constructor(mistakes: Mistakes, at: KeyPath, table: Table, keys: readonly Key[]) {
    this.#mistakes = mistakes
    this.#at = at
    this.#table = table
    const known: readonly string[] = keys
    for (const key of Object.keys(table)) {
      if (!known.includes(key)) mistakes.add([...at, key], `unknown key; ${hintFor(key, known)}`)
    }
  }

  has(key: Key): boolean {
    return this.#table[key] !== undefined
  }

  mistaken(key: Key, problem: string): void {
    this.#mistakes.add([...this.#at, key], problem)
  }

  boolean(key: Key, fallback: boolean): boolean {
    const value = this.#table[key]
    if (value === undefined) return fallback
    if (typeof value === 'boolean') return value
    this.mistaken(key, `expected true or false, got ${kindOf(value)}`)
    return fallback
  }

  string(key: Key): string | undefined {
    const value = this.#table[key]
    if (value === undefined || typeof value === 'string') return value
    this.mistaken(key, `expected a string, got ${kindOf(value)}`)
    return undefined
  }

  path(key: Key): string | undefined {
    const value = this.string(key)
    if (value === undefined || (value !== '' && !value.includes('\0'))) return value
    const got = value === '' ? 'an empty string' : 'one with a NUL character'
    this.mistaken(key, `expected a path, got ${got}`)
    return undefined
  }

  /** An integer of x0x's u64, or of its u32. */
  count(key: Key, fallback: number, min: number, max?: number): number {
    const value = this.#table[key]
    if (value === undefined) return fallback
    const isInteger = typeof value === 'bigint' || Number.isInteger(value)
    const count = Number(value)
    if (isInteger && count >= min && (max === undefined || count <= max)) {
      return Math.min(count, Number.MAX_SAFE_INTEGER)
    }
    const range = max === undefined ? `from ${min}` : `from ${min} to ${max}`
    this.mistaken(key, `expected an integer ${range}, got ${kindOf(value)}`)
    return fallback
  }

  /** The tables of an array, each with its place. */
  tables(key: Key, name: string): readonly (readonly [KeyPath, Table])[] {
    const value = this.#table[key]
    if (value === undefined) return []
    if (Array.isArray(value) && value.every(isTable)) {
      return value.map((table, index) => [[...this.#at, key, index], table])
    }
    this.mistaken(key, `expected [[${name}]] tables, got ${kindOf(value)}`)
    return []
  }

  /** The strings of an array, each with its place; undefined if it is mistaken or not there. */
  strings(key: Key): readonly (readonly [KeyPath, string])[] | undefined {
    const value = this.#table[key]
    if (value === undefined) return undefined
    if (!Array.isArray(value)) {
      this.mistaken(key, `expected an array of strings, got ${kindOf(value)}`)
      return undefined
    }
    const at = [...this.#at, key]
    const found = value.flatMap((text: unknown, index): (readonly [KeyPath, string])[] => {
      if (typeof text === 'string') return [[[...at, index], text]]
      this.#mistakes.add([...at, index], `expected a string, got ${kindOf(text)}`)
      return []
    })
    return found.length === value.length ? found : undefined
  }
}

/** A value as its author would call it. */
export function kindOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return 'a string'
  if (Array.isArray(value)) return 'an array'
  return value instanceof Date ? 'a date' : 'a table'
}
