/**
 * Reports on standard error which tests are skipped and why. In CI it throws, since none may be skipped.
 * @returns `it.skip`, to define the tests with
 */
export function skipLoudly(reason: string): typeof it.skip {
  const text = `SKIPPED: ${reason}\n`
  if (process.env.CI) throw new Error(text)
  process.stderr.write(text)
  return it.skip
}
