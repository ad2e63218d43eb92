import { type FSWatcher, watch } from 'node:fs'

/** A look at the log in any case: a watch may miss something, as on a network's file system. */
const POLL_MS = 1_000

/** Waits for time to pass or for something to happen in a folder, until it is woken. */
export class ShipClock {
  readonly #watcher: FSWatcher | undefined
  #hasNews = false
  #isWoken = false
  #end: () => void = () => undefined
  #onNews: () => void = () => undefined

  /** @param folder that of the log */
  constructor(folder: string) {
    this.#watcher = watched(folder, () => {
      this.#hasNews = true
      this.#onNews()
    })
  }

  /** Waits until something happens in the folder, or a second is over. */
  async untilNews(): Promise<void> {
    if (!this.#hasNews) {
      await this.#wait(POLL_MS, (done) => {
        this.#onNews = done
      })
    }
    this.#onNews = () => undefined
    this.#hasNews = false
  }

  sleep(ms: number): Promise<void> {
    return this.#wait(ms, () => undefined)
  }

  /** Ends this wait and all that follow. */
  wake(): void {
    this.#isWoken = true
    this.#end()
  }

  close(): void {
    this.#watcher?.close()
  }

  async #wait(ms: number, register: (done: () => void) => void): Promise<void> {
    if (this.#isWoken) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#end = resolve
      register(resolve)
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
  }
}

function watched(folder: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent)
    // The folder is gone, or there are too many watches: then it is looked at each second.
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}
