/** The package's version: both threads must be of one, since they share memory. */
export const VERSION = '0.2.0'

/** How much room each part of a version has in its word. */
const RADIX = 1_000

/** The version as one number, for a word of shared memory; never 0. */
export function versionWord(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  return 1 + (major * RADIX + minor) * RADIX + patch
}

/** The version that a word stands for; undefined for 0. */
export function versionOf(word: number): string | undefined {
  if (word <= 0) return undefined
  const number = word - 1
  const parts = [number / RADIX ** 2, (number / RADIX) % RADIX, number % RADIX]
  return parts.map(Math.floor).join('.')
}
