import { type ChildProcess, execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
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
  : skipLoudly('strace is missing or may not trace here, so no faults are injected')

/**
 * The command that runs a child with a fault in its system calls on `path`.
 * @param injection as strace's `-e inject=`, such as `fdatasync:error=EIO:when=3`
 */
export function strace(path: string, injection: string): string[] {
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-P', path, '-e', `inject=${injection}`]
}

/**
 * As {@link strace}, but the process that is started becomes the child, with strace beside it, and only
 * this system call is traced: while strace delays one thread, it may leave the others where they stop.
 */
export function straceBeside(path: string, injection: string): string[] {
  const [command = '', ...options] = strace(path, injection)
  const [call = ''] = injection.split(':')
  return [command, '-D', '--seccomp-bpf', '-e', `trace=${call}`, ...options]
}

/**
 * Ends the strace beside a child: a system call that it delays goes on, and later ones fail. A child that was killed
 * needs it as well, since strace holds a thread until its delay is over.
 */
export function endStrace({ pid }: ChildProcess): void {
  for (const tracer of tracersOf(`/proc/${pid}/task`)) process.kill(tracer, 'SIGKILL')
}

function tracersOf(tasks: string): Set<number> {
  const pids = new Set<number>()
  for (const task of existsSync(tasks) ? readdirSync(tasks) : []) {
    const pid = Number(/^TracerPid:\t(\d+)$/m.exec(statusOf(`${tasks}/${task}`))?.[1])
    if (pid > 0) pids.add(pid)
  }
  return pids
}

/** The kernel's description of a process or thread; empty if it is gone. */
export function statusOf(folder: string): string {
  try {
    return readFileSync(`${folder}/status`, 'utf8')
  } catch {
    return ''
  }
}
