import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { PathChange } from '../../reader/path-watch'
import { DEFAULT_LOG, fileName } from './log-input'

/** Reports on standard error what becomes of a file that is followed, as `tail -F` does. */
export class FollowNotes {
  readonly #file: string
  #wasThere = false
  #isAway = false

  constructor(file: string) {
    this.#file = file
  }

  tell(change: PathChange): void {
    this.#isAway = change === 'missing' || change === 'unreadable'
    this.#write(this.#textOf(change))
  }

  /** Some of it was read. */
  read(): void {
    if (this.#isAway) this.#write('it is there now')
    this.#isAway = false
    this.#wasThere = true
  }

  #textOf(change: PathChange): string {
    switch (change) {
      case 'rotated':
        return 'rotated; going on with the new file'
      case 'truncated':
        return 'truncated; reading it from its start'
      case 'unreadable':
        return 'cannot be read; trying again'
      case 'missing':
        return this.#wasThere ? 'gone; waiting for a new one' : this.#neverThere()
    }
  }

  #neverThere(): string {
    const folder = existsSync(dirname(this.#file)) ? '' : ', nor its folder'
    const hint =
      this.#file === DEFAULT_LOG
        ? 'If there were events, name the log: it is the auditLogPath of the policy'
        : 'If there were events, check the path'
    return `no such file yet${folder}; waiting for it, since the first event makes it. ${hint}`
  }

  #write(text: string): void {
    process.stderr.write(`x0x-exec-audit: ${fileName(this.#file)}: ${text}\n`)
  }
}
