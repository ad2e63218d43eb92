import { execFileSync } from 'node:child_process'
import { skipLoudly } from './skip'

function isUsable(): boolean {
  try {
    execFileSync('strace', ['-qq', '-o', '/dev/null', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** `it` for tests that inject faults with strace: skipped loudly without it, and never in CI. */
export const itWithStrace = isUsable()
  ? it
  : skipLoudly('strace is missing or may not trace here, so no fault is injected')

/**
 * The command that runs a child with a fault in its system calls on `path`.
 * @param injection as strace's `-e inject=`, such as `fdatasync:error=EIO:when=3`
 */
export function strace(path: string, injection: string): string[] {
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-P', path, '-e', `inject=${injection}`]
}
