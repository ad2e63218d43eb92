import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const SHIPPING = join(__dirname, '../../docs/shipping')

/** The text of a file that is shipped. */
export function shipped(name: string): string {
  return readFileSync(join(SHIPPING, name), 'utf8')
}

/**
 * Writes a shipped file to `path` with these texts changed in it, as a user would. Throws if one of them is
 * not in it.
 */
export function writeShipped(
  name: string,
  path: string,
  changes: Readonly<Record<string, string>>,
): void {
  let text = shipped(name)
  for (const [from, to] of Object.entries(changes)) {
    if (!text.includes(from)) throw new Error(`${name} has no ${from}`)
    text = text.replaceAll(from, to)
  }
  writeFileSync(path, text, { mode: 0o600 })
}
