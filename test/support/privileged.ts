import { execFileSync } from 'node:child_process'
import { skipLoudly } from './skip'

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' })
    return process.getuid?.() === 0
  } catch {
    return false
  }
}

const isPrivileged = canMount()

/** `it` for tests that mount file systems of their own: skipped loudly without root, never in CI. */
export const itWithMounts = isPrivileged
  ? it
  : skipLoudly('only root can mount a file system, so no disk is filled and no power cut')

/** Runs a command such as `mount`; does nothing if the tests that need it are skipped. */
export function privileged(command: string, ...args: readonly string[]): void {
  if (isPrivileged) execFileSync(command, args, { stdio: 'ignore' })
}

/** Unmounts the file system that is mounted there, if there is one. */
export function unmount(folder: string): void {
  try {
    privileged('mountpoint', '-q', folder)
  } catch {
    return
  }
  privileged('umount', '-l', folder)
}

/** The standard output of a command that succeeds. */
export function output(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' })
}
