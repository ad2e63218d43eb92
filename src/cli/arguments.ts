import { InvalidArgumentError } from 'commander'
import { parseWhen, WHEN_FORMS } from './time'

/** Reads a whole number of a range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
}

/** Reads a moment, in milliseconds since 1970. */
export function when(text: string): number {
  const ms = parseWhen(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError(`Expected a time such as ${WHEN_FORMS}.`)
}
