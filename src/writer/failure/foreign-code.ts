import type { AsyncResource } from 'node:async_hooks'
import { textOf } from '../../base/describe'
import { isThenable } from '../../base/foreign'

/** Frames that must be left on the stack before foreign code is called, so that our own never run out. */
const SPARE_FRAMES = 200

/**
 * Calls functions of the embedder: they may throw, overflow the stack, or be async functions that reject,
 * though their type says `void`. They run in the async context that is given, the audit's own, and so never in
 * that of the request whose event happens to be settled; without one in that of the call.
 */
export class ForeignCode {
  readonly #context: AsyncResource | undefined

  constructor(context?: AsyncResource) {
    this.#context = context
  }

  /** Calls it; `onFailure` gets how it failed, in words: at once, or later if what it returns rejects. */
  call(foreign: () => unknown, onFailure: (how: string) => void): void {
    try {
      const returned = this.run(foreign)
      if (isThenable(returned)) this.#watch(returned, onFailure)
    } catch (thrown) {
      onFailure(`threw: ${textOf(thrown)}`)
    }
  }

  /** Runs it in the audit's own context. */
  run<T>(foreign: () => T): T {
    return this.#context === undefined ? foreign() : this.#context.runInAsyncScope(foreign)
  }

  /** Tells async_hooks that the audit is closed; it can still be used. */
  close(): void {
    this.#context?.emitDestroy()
  }

  #watch(returned: PromiseLike<unknown>, onFailure: (how: string) => void): void {
    const onRejected = (reason: unknown) => onFailure(`rejected: ${textOf(reason)}`)
    this.run(() => void Promise.resolve(returned).then(undefined, onRejected))
  }
}

/** Whether the stack has room for our own work, and for foreign code to fail in. */
export function hasStackLeft(frames = SPARE_FRAMES): boolean {
  try {
    return frames === 0 || hasStackLeft(frames - 1)
  } catch {
    return false
  }
}
