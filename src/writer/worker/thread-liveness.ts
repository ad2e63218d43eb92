import * as fs from 'node:fs'
import { codeOf } from '../../base/describe'

/*
 * While the calling thread blocks, the exit of a worker is invisible to it: Node reports it through
 * the event loop. On Linux the kernel knows better, so a blocking wait can tell a slow disk (wait on)
 * from a dead worker (take over). Two drainers would write events twice, so only a certain answer counts:
 * elsewhere, and whenever /proc is hidden, foreign or mocked, it is "alive", and waits run to their limit.
 */

/** As they are at load: a test of the embedder may replace them later. */
const { readlinkSync, statSync } = fs

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
  return threadId > 0 && stateOf(threadId) === 'missing' && stateOf(currentThreadId()) === 'there'
}

/** Whether the kernel lists a thread of this process. */
function stateOf(threadId: number): 'there' | 'missing' | 'unknown' {
  try {
    return statSync(`/proc/self/task/${threadId}`).isDirectory() ? 'there' : 'unknown'
  } catch (thrown) {
    return codeOf(thrown) === 'ENOENT' ? 'missing' : 'unknown'
  }
}
