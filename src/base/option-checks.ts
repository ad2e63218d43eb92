import { resolve } from 'node:path'
import { describe } from './describe'
import { invalidOption } from './invalid-option'
import { hintFor } from './names'

/*
 * One check per kind of option, as field-checks.ts has one per kind of field. Each returns the option or its
 * default, or throws a TypeError or RangeError that names the option, what is allowed and what was given.
 */

/** An options object, by name. */
export type Values = ReadonlyMap<string, unknown>
/** A function of the caller's. */
export type Fn<A extends unknown[], R> = (...args: A) => R

/**
 * The own properties of an options object.
 * @param aliases other names that an option may be given by mistake, each with its name here
 */
export function valuesOf(
  where: string,
  input: unknown,
  names: readonly string[],
  aliases: ReadonlyMap<string, string> = new Map(),
): Values {
  if (input === undefined) return new Map()
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw invalidOption(where, `expected an object, got ${describe(input)}`)
  }
  const values = new Map<string, unknown>(Object.entries(input))
  for (const name of values.keys()) {
    if (names.includes(name)) continue
    throw invalidOption(`${where}.${name}`, `unknown option; ${hintFor(name, names, aliases)}`)
  }
  return values
}

function lastName(where: string): string {
  return where.slice(where.lastIndexOf('.') + 1)
}

/** Throws the error for an option whose value is not the expected one. */
export function refuse(where: string, value: unknown, expected: string): never {
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : describe(value)
  const isOfType = typeof value === 'number' || typeof value === 'string'
  const problem = `expected ${expected}, got ${shown}`
  throw invalidOption(where, problem, isOfType ? RangeError : TypeError)
}

/** A number. */
export function number(
  where: string,
  values: Values,
  fallback: number,
  min: number,
  max: number,
): number {
  const value = values.get(lastName(where))
  if (value === undefined) return fallback
  if (typeof value === 'number' && value >= min && value <= max) return value
  return refuse(where, value, `a number from ${min} to ${max}`)
}

/** A whole number. */
export function integer(
  where: string,
  values: Values,
  fallback: number,
  min: number,
  max: number,
): number {
  const value = values.get(lastName(where))
  if (value === undefined) return fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value
  }
  return refuse(where, value, `an integer from ${min} to ${max}`)
}

/** One of the names, the first by default. */
export function oneOf<const Name extends string>(
  where: string,
  values: Values,
  names: readonly [Name, ...Name[]],
): Name {
  const value = values.get(lastName(where))
  return value === undefined ? names[0] : nameFrom(where, value, names)
}

/** The value, checked to be one of the names. */
export function nameFrom<const Name extends string>(
  where: string,
  value: unknown,
  names: readonly Name[],
): Name {
  const name = names.find((candidate) => candidate === value)
  return name ?? refuse(where, value, `one of ${names.join(', ')}`)
}

/** A boolean. */
export function flag(where: string, values: Values, fallback: boolean): boolean {
  const value = values.get(lastName(where))
  if (value === undefined) return fallback
  return typeof value === 'boolean' ? value : refuse(where, value, 'a boolean')
}

/** The path of a file, made absolute, or its URL, which may be given as text or as an object. */
export function filePath(where: string, values: Values): string | undefined {
  const value = values.get(lastName(where))
  if (value === undefined) return undefined
  const text = isUrl(value) ? value.href : value
  const isOtherUrl = isUrl(value) && value.protocol !== 'file:'
  if (typeof text !== 'string' || text === '' || text.includes('\0') || isOtherUrl) {
    return refuse(where, text, 'the path or file: URL of a file')
  }
  return text.startsWith('file:') ? text : resolve(text)
}

/** Whether it is a URL object, of whatever realm: jsdom has a class of its own. */
export function isUrl(value: unknown): value is URL {
  if (typeof value !== 'object' || value === null) return false
  if (!('href' in value && 'protocol' in value)) return false
  return typeof value.href === 'string' && typeof value.protocol === 'string'
}

/** Throws if it is no time limit for a blocking drain. */
export function checkTimeoutMs(timeoutMs: number): void {
  if (typeof timeoutMs === 'number' && timeoutMs >= 0) return
  throw invalidOption(
    'timeoutMs',
    `expected a number from 0, got ${describe(timeoutMs)}`,
    RangeError,
  )
}

/** The function itself, called without a `this`. */
export function functionOf(where: string, value: unknown): Fn<unknown[], unknown> {
  if (typeof value !== 'function') return refuse(where, value, 'a function')
  return (...args) => Reflect.apply(value, undefined, args)
}
