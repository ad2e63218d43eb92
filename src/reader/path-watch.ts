import { type BigIntStats, constants, type FSWatcher, watch } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { clearInterval, clearTimeout, setInterval, setTimeout } from '../base/timers'

/**
 * A change at the path that is followed:
 * - `missing`: nothing stands there now;
 * - `unreadable`: what stands there cannot be opened, or is no plain file; it is tried again;
 * - `rotated`: another file stands there, and is read next;
 * - `truncated`: the file has become shorter, and is read from its start again.
 */
export type PathChange = 'missing' | 'unreadable' | 'rotated' | 'truncated'

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
  #hasLooked = false
  #absence: 'missing' | 'unreadable' | undefined
  #wake: () => void = () => undefined
  #isWoken = false

  constructor(path: string, pollMs: number) {
    this.#path = path
    this.#pollMs = pollMs
  }

  /** Why no file can be opened at the path now, as far as is known; undefined if one can. */
  get absence(): 'missing' | 'unreadable' | undefined {
    return this.#absence
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
   * alive meanwhile. Rejects if the path could not be opened when it was looked at for the first time.
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
      this.#fail(thrown)
    } finally {
      this.#isLooking = false
      this.#hasLooked = true
    }
  }

  /**
   * A caller that names a file that cannot be read has to know. Later that may pass: a rotation gives a file its
   * mode and its owner when it stands at the path already, and a descriptor may be free again.
   */
  #fail(thrown: unknown): void {
    if (this.#hasLooked) {
      this.#absence = 'unreadable'
      return
    }
    this.#error = thrown
    this.#rouse()
  }

  async #openNew(): Promise<void> {
    const stats = await stat(this.#path, { bigint: true }).catch(ignoreMissing)
    if (stats === undefined) {
      this.#absence = 'missing'
      return
    }
    if (!this.#isLast(stats)) {
      // What is refused when the following begins is opened for a moment: that lets go of a FIFO's writer.
      if (this.#hasLooked) checkPlain(stats, this.#path)
      // Without O_NONBLOCK a FIFO that came between the two looks would wait for a writer.
      const flags = constants.O_RDONLY | constants.O_NONBLOCK
      const handle = await open(this.#path, flags).catch(ignoreMissing)
      if (handle === undefined) return
      await this.#add(handle)
    }
    this.#absence = undefined
  }

  async #add(handle: FileHandle): Promise<void> {
    let stats: BigIntStats
    try {
      stats = await handle.stat({ bigint: true })
      checkPlain(stats, this.#path)
    } catch (thrown) {
      await handle.close()
      throw thrown
    }
    // Another one may have come between the two looks.
    if (this.#isEnded || this.#isLast(stats)) return handle.close()
    this.#last = { handle, device: stats.dev, inode: stats.ino }
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

/** Throws for what has no end that could grow: a folder, a FIFO, a socket or a device. */
function checkPlain(stats: BigIntStats, path: string): void {
  if (stats.isFile()) return
  const [code, kind] = stats.isDirectory()
    ? ['EISDIR', 'a folder']
    : ['EINVAL', stats.isFIFO() ? 'a FIFO' : stats.isSocket() ? 'a socket' : 'a device']
  throw Object.assign(new Error(`${code}: ${kind} cannot be followed, open '${path}'`), { code })
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error
}
