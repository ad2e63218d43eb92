/**
 * Says on standard error what is skipped and why; in CI nothing may be, so there it throws.
 * @returns `it.skip`, to define the tests with
 */
export function skipLoudly(reason: string): typeof it.skip {
  const text = `SKIPPED: ${reason}\n`
  if (process.env.CI) throw new Error(text)
  process.stderr.write(text)
  return it.skip
}
