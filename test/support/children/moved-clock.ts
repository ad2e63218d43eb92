import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Loaded before a command: `Date` says the time and what stands in a file. Clocks that nobody can set go on. */
const SCRIPT = `
const { readFileSync } = require('node:fs')
const { Date: Untouched } = globalThis
const now = () => Untouched.now() + Number(readFileSync(FILE, 'utf8'))
globalThis.Date = class extends Untouched {
  constructor(...parts) {
    if (parts.length === 0) super(now())
    else super(...parts)
  }
  static now() {
    return now()
  }
}
`

/** The wall clock of child processes, which a test sets while they run. */
export class MovedClock {
  readonly #file: string
  /** Runs a command with this clock. */
  readonly wrapper: readonly string[]

  constructor(folder: string) {
    this.#file = join(folder, 'clock-offset')
    const script = join(folder, 'clock.js')
    writeFileSync(script, SCRIPT.replace('FILE', JSON.stringify(this.#file)))
    this.wrapper = ['env', `NODE_OPTIONS=--require=${script}`]
    this.set(0)
  }

  /** Sets it to this many milliseconds after the true time. */
  set(offsetMs: number): void {
    writeFileSync(`${this.#file}.new`, String(offsetMs))
    renameSync(`${this.#file}.new`, this.#file)
  }
}
