import { constants } from 'node:os'
import { onAbort } from './abort-hub'
import type { CancelKind } from './run-options'

/** What a run was cancelled by. */
export interface CancelRequest {
  readonly kind: CancelKind
  /** The signal that the command gets. */
  readonly signal: NodeJS.Signals
}

/** The signals that may cancel a run, from its first moment to its last. */
export class RunCancel {
  readonly #unlisten: (() => void)[] = []
  /** Resolves with the first cancel; stays pending without one. */
  readonly asked: Promise<CancelRequest>
  #resolve: (request: CancelRequest) => void = () => undefined
  #request: CancelRequest | undefined
  #listener: ((request: CancelRequest) => void) | undefined

  /** Throws what a signal of the embedder's own making throws: nothing has run by then. */
  constructor(cancels: ReadonlyMap<AbortSignal, CancelKind>) {
    this.asked = new Promise((resolve) => {
      this.#resolve = resolve
    })
    try {
      for (const [signal, kind] of cancels) this.#listen(signal, kind)
    } catch (error) {
      this.end()
      throw error
    }
  }

  /** The first cancel, if there was one. */
  get request(): CancelRequest | undefined {
    return this.#request
  }

  /** Calls the listener with the first cancel, at once if that has come. */
  listen(listener: (request: CancelRequest) => void): void {
    if (this.#request === undefined) this.#listener = listener
    else listener(this.#request)
  }

  /** Forgets the signals. */
  end(): void {
    for (const unlisten of this.#unlisten) unlisten()
  }

  #listen(signal: AbortSignal, kind: CancelKind): void {
    const cancel = () => this.#cancel({ kind, signal: signalOf(signal) })
    if (signal.aborted) cancel()
    else this.#unlisten.push(onAbort(signal, cancel))
  }

  #cancel(request: CancelRequest): void {
    if (this.#request !== undefined) return
    this.#request = request
    this.#resolve(request)
    this.#listener?.(request)
  }
}

function signalOf(signal: AbortSignal): NodeJS.Signals {
  try {
    const reason: unknown = signal.reason
    return isSignalName(reason) ? reason : 'SIGTERM'
  } catch {
    return 'SIGTERM'
  }
}

function isSignalName(reason: unknown): reason is NodeJS.Signals {
  return typeof reason === 'string' && Object.hasOwn(constants.signals, reason)
}
