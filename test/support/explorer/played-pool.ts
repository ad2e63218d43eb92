import type { ToCaller, ToWorker } from './messages'
import type { RoleThread } from './role'

type Settle = {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** The pools of the calling thread's runs, in piscina's place: each has one worker, a life of the other thread. */
export class PlayedPools {
  readonly #thread: RoleThread
  #onGone: (() => void) | undefined
  #onOnline: (() => void) | undefined
  readonly #tasks = new Map<number, Settle>()
  #destroyed: (() => void)[] = []
  #nextId = 1

  constructor(thread: RoleThread) {
    this.#thread = thread
  }

  /** A new run. */
  reset(): void {
    this.#onGone = undefined
    this.#onOnline = undefined
    this.#tasks.clear()
    this.#destroyed = []
  }

  /** As openWorkerPool of worker-pool.ts. */
  open(onWorkerGone: (causeOf: () => unknown) => void): object {
    const { control } = this.#thread
    const life = control.add('life', 1) + 1
    if (control.get('gone') !== life - 1) this.#thread.report('a second worker is started')
    this.#onGone = () => onWorkerGone(() => new Error('the worker has ended'))
    this.#post({ kind: 'start', life })
    return {
      threads: [
        {
          once: (_: string, onOnline: () => void) => {
            this.#onOnline = onOnline
          },
        },
      ],
      run: (task: object | undefined, { name }: { readonly name: string }) =>
        this.#run(life, name, task),
      destroy: () => this.#destroy(life),
      emitDestroy: () => undefined,
    }
  }

  /** A message of the worker's thread. */
  take(message: ToCaller): void {
    this.#thread.turns.trace?.(`message ${message.kind}`)
    switch (message.kind) {
      case 'online':
        this.#onOnline?.()
        return
      case 'answer':
        this.#tasks.get(message.id)?.resolve(undefined)
        this.#tasks.delete(message.id)
        return
      case 'gone': {
        const onGone = this.#onGone
        this.#onGone = undefined
        onGone?.()
        for (const { reject } of this.#tasks.values()) reject(new Error('the worker has ended'))
        this.#tasks.clear()
        for (const resolve of this.#destroyed) resolve()
        this.#destroyed = []
      }
    }
  }

  #run(life: number, name: string, task: object | undefined): Promise<unknown> {
    const id = this.#nextId++
    // The port stays here: nothing of a run is too large for the ring, and notices are of no interest.
    this.#post({ kind: 'run', life, id, name, task: { ...task, port: undefined } })
    return new Promise((resolve, reject) => this.#tasks.set(id, { resolve, reject }))
  }

  #destroy(life: number): Promise<void> {
    if (this.#onGone === undefined) return Promise.resolve()
    this.#thread.turns.end(life)
    return new Promise((resolve) => this.#destroyed.push(resolve))
  }

  #post(message: ToWorker): void {
    this.#thread.post(message)
  }
}

/** Whether a message is one of the worker's thread. */
export function isToCaller(message: unknown): message is ToCaller {
  return typeof message === 'object' && message !== null && 'kind' in message
}
