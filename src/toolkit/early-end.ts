/** The message about a program that ended early. */
export const EARLY_END = 'ended early: it still awaits a promise that nothing is left to settle'

/**
 * Awaits `run`, the work of a whole program. If the event loop runs empty before that is done, Node
 * ends the process silently and as if all were well; then `onEarlyEnd` is called, which should say
 * so and set an exit code. It is not called if the process is ended, or interrupted, on purpose.
 */
export async function untilDone<T>(run: Promise<T>, onEarlyEnd: () => void): Promise<T> {
  process.once('beforeExit', onEarlyEnd)
  try {
    return await run
  } finally {
    process.off('beforeExit', onEarlyEnd)
  }
}
