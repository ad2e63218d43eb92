import { execFileSync } from 'node:child_process'

/** The majors of Node.js that the package is said to work on. */
export const MAJORS: readonly string[] = ['20', '22', '24', '26']

/** The binary of a major version: this one's, or that of npm's `node` package. */
export function nodeOf(major: string): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  const args = ['-y', '-p', `node@${major}`, 'node', '-p', 'process.execPath']
  return execFileSync('npx', args, { encoding: 'utf8' }).trim()
}
