import { describe } from '../base/describe'
import { invalidOption } from '../base/invalid-option'

/** Throws a TypeError for a value without all of these methods. */
export function checkMethods(
  where: string,
  value: unknown,
  expected: string,
  methods: readonly string[],
): void {
  const isObject = typeof value === 'object' && value !== null
  const missing = methods.find(
    (name) => typeof (isObject && Reflect.get(value, name)) !== 'function',
  )
  if (missing === undefined) return
  const got = isObject ? `${describe(value)} without ${missing}()` : describe(value)
  throw invalidOption(where, `expected ${expected}, got ${got}`)
}

/** Throws a TypeError for a value without stats. */
export function checkSource(audit: unknown): void {
  checkMethods('audit', audit, 'an ExecAudit', ['stats'])
}
