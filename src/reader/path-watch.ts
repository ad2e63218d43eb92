import { type FSWatcher, watch } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { clearInterval, clearTimeout, setInterval, setTimeout } from '../base/timers'

/**
 * A change at the path that is followed:
 * - `missing`: nothing stands there now;
 * - `rotated`: another file stands there, and is read next;
 * - `truncated`: the file has become shorter, and is read from its start again.
 */
export type PathChange = 'missing' | 'rotated' | 'truncated'

/** A file that was found at the path. */
export interface FoundFile {
  readonly handle: FileHandle
  readonly device: bigint
  readonly inode: bigint
}

/**
 * Watches a path, and opens each file that comes to stand there, even while nobody asks for it. So none
 * is missed that a rotation has renamed before its reader came to it. Woken by the kernel if it reports
 * changes, and by a timer in any case, since some file systems never do.
 */
export class PathWatch {
  readonly #path: string
  readonly #pollMs: number
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #found: FoundFile[] = []
  #last: FoundFile | undefined
  #isLooking = false
  #isEnded = false
  #error: unknown
  #isMissing = false
  #wake: () => void = () => undefined
  #isWoken = false

  constructor(path: string, pollMs: number) {
    this.#path = path
    this.#pollMs = pollMs
  }

  /** Whether nothing stands at the path now, as far as is known. */
  get isMissing(): boolean {
    return this.#isMissing
  }

  /** Whether a file waits that comes after the one taken last. */
  get hasNext(): boolean {
    return this.#found.length > 0
  }

  /** Looks for the first time, and goes on to do so. */
  async start(): Promise<void> {
    await this.#look()
    // It keeps no process alive; waiting for a change does, see `change`.
    this.#timer = setInterval(() => void this.#look(), this.#pollMs).unref()
  }

  /** Takes the next file in the order in which they came to the path; its handle is the caller's. */
  take(): FoundFile | undefined {
    return this.#found.shift()
  }

  /**
   * Resolves when something may have changed, at the latest after the poll time. Keeps the process
   * alive meanwhile. Rejects when the path cannot be opened.
   */
  async change(): Promise<void> {
    if (this.#error !== undefined) throw this.#error
    if (this.#isWoken || this.#isEnded) {
      this.#isWoken = false
      return
    }
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, this.#pollMs)
    })
    clearTimeout(timer)
    this.#isWoken = false
    await this.#look()
    if (this.#error !== undefined) throw this.#error
  }

  /** Stops watching, wakes the waiting reader, and closes the files that nobody has taken. */
  async end(): Promise<void> {
    this.#isEnded = true
    clearInterval(this.#timer)
    this.#watcher?.close()
    this.#wake()
    await Promise.all(this.#found.splice(0).map(({ handle }) => handle.close()))
  }

  #rouse(): void {
    this.#isWoken = true
    this.#wake()
  }

  async #look(): Promise<void> {
    if (this.#isLooking || this.#isEnded || this.#error !== undefined) return
    this.#isLooking = true
    try {
      this.#watch()
      await this.#openNew()
    } catch (thrown) {
      this.#error = thrown
      this.#rouse()
    } finally {
      this.#isLooking = false
    }
  }

  async #openNew(): Promise<void> {
    const stats = await stat(this.#path, { bigint: true }).catch(ignoreMissing)
    this.#isMissing = stats === undefined
    if (stats === undefined || this.#isLast(stats)) return
    const handle = await open(this.#path).catch(ignoreMissing)
    if (handle === undefined) return
    const { dev: device, ino: inode } = await handle.stat({ bigint: true })
    // Another one may have come between the two looks.
    if (this.#isEnded || this.#isLast({ dev: device, ino: inode })) return handle.close()
    this.#last = { handle, device, inode }
    this.#found.push(this.#last)
    this.#rouse()
  }

  /**
   * A number names one file only while that is open: the last one taken stays so until the next one
   * is, see FollowedFile.
   */
  #isLast({ dev, ino }: { dev: bigint; ino: bigint }): boolean {
    return this.#last !== undefined && this.#last.device === dev && this.#last.inode === ino
  }

  #watch(): void {
    if (this.#watcher !== undefined) return
    const name = basename(this.#path)
    try {
      const watcher = watch(dirname(this.#path), { persistent: false }, (type, changed) => {
        if (changed !== null && changed !== name) return
        if (type === 'rename') void this.#look()
        this.#rouse()
      })
      watcher.on('error', () => this.#unwatch(watcher))
      this.#watcher = watcher
    } catch {
      // No folder yet, or no more watches to be had: the timer looks.
    }
  }

  #unwatch(watcher: FSWatcher): void {
    watcher.close()
    if (this.#watcher === watcher) this.#watcher = undefined
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error
}
