import { write as fsWrite } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { codeOf } from '../../base/describe'
import { messageOf } from '../shared/errors'

const write = promisify(fsWrite)

const RETRY_MS = 5

/**
 * Passes output on as it is. It does not use process.stdout: a pipe that nobody reads would block this
 * thread there, and with it the time limit.
 */
export class PassOn {
  readonly #fd: number
  readonly #onBroken: () => void
  readonly #onError: (message: string) => void
  #isOver = false
  #hasFailed = false

  /**
   * @param onBroken called once nobody takes the output any more
   * @param onError called with why it cannot be written, for any other reason
   */
  constructor(fd: number, onBroken: () => void, onError: (message: string) => void) {
    this.#fd = fd
    this.#onBroken = onBroken
    this.#onError = onError
  }

  /** Whether output was lost for another reason than a reader that has gone. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  async take(chunk: Buffer): Promise<void> {
    let rest = chunk
    while (rest.length > 0 && !this.#isOver) {
      try {
        const { bytesWritten } = await write(this.#fd, rest)
        rest = rest.subarray(bytesWritten)
      } catch (thrown) {
        if (codeOf(thrown) === 'EAGAIN') await sleep(RETRY_MS)
        else this.#give(thrown)
      }
    }
  }

  #give(thrown: unknown): void {
    this.#isOver = true
    if (codeOf(thrown) === 'EPIPE') {
      this.#onBroken()
      return
    }
    this.#hasFailed = true
    this.#onError(messageOf(thrown))
  }
}
