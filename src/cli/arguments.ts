import { InvalidArgumentError } from 'commander'
import { parseWhen, WHEN_FORMS } from './time'

/** Reads a whole number of a range; without `max`, any that is exact. */
export function wholeNumber(min: number, max?: number): (text: string) => number {
  const range = max === undefined ? `from ${min}` : `from ${min} to ${max}`
  return (text) => {
    const value = Number(text)
    const isInRange = value >= min && value <= (max ?? Number.MAX_SAFE_INTEGER)
    if (/^\d+$/.test(text) && isInRange) return value
    throw new InvalidArgumentError(`Expected a whole number ${range}.`)
  }
}

/** Reads a moment, in milliseconds since 1970. */
export function when(text: string): number {
  const ms = parseWhen(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError(`Expected a time such as ${WHEN_FORMS}.`)
}
