import { describe } from '../base/describe'
import { invalidOption } from '../base/invalid-option'
import { OWN_LABELS } from './catalogue'

/** Labels or attributes that are put on each metric of an audit. */
export type Labels = Readonly<Record<string, string>>

/** The labels to use; throws a TypeError or RangeError for wrong ones. */
export function checkLabels(where: string, labels: Labels, isAllowed: RegExp): Labels {
  const given: unknown = labels
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidOption(where, `expected an object of strings, got ${describe(given)}`)
  }
  for (const [name, value] of Object.entries<unknown>(labels)) {
    if (typeof value !== 'string') {
      throw invalidOption(`${where}.${name}`, `expected a string, got ${typeof value}`)
    }
    if (isAllowed.test(name) && !name.startsWith('__') && !OWN_LABELS.includes(name)) continue
    throw invalidOption(
      where,
      `${JSON.stringify(name)} is no name for a label here; ${OWN_LABELS.join(', ')} are taken`,
      RangeError,
    )
  }
  return { ...labels }
}
