import * as timers from 'node:timers'

/*
 * Timers as the host has them when the package is loaded. The globals may be missing or of another kind
 * (jsdom has no `setImmediate`, and its timers have no `unref`), and a test's fake timers would hold up
 * what the writer has to do.
 */

export const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = timers

/**
 * Calls `call` as a microtask; what it throws is an uncaught exception, as with `queueMicrotask`, which can
 * be a fake one, too.
 */
export function soon(call: () => void): void {
  void Promise.resolve().then(() => {
    try {
      call()
    } catch (thrown) {
      setImmediate(() => {
        throw thrown
      })
    }
  })
}
