import { existsSync, readlinkSync } from 'node:fs'

/*
 * While the calling thread blocks, the exit of a worker is invisible to it: Node reports it through
 * the event loop. On Linux the kernel knows better, so a blocking wait can tell a slow disk (wait on)
 * from a dead worker (take over). Elsewhere the answer is always "alive", and waits run to their limit.
 */

/** The kernel's id of this thread, or 0 if it cannot be known. */
export function currentThreadId(): number {
  try {
    return Number(readlinkSync('/proc/thread-self').split('/').at(-1)) || 0
  } catch {
    return 0
  }
}

/** Whether a thread of this process is known to have ended. */
export function isThreadGone(threadId: number): boolean {
  return threadId > 0 && !existsSync(`/proc/self/task/${threadId}`)
}
