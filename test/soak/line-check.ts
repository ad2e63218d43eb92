import { readSync } from 'node:fs'
import { startedLine } from '../support/events'

const CHUNK_BYTES = 256 * 1024
const PROBLEMS_MAX = 10

/** How the next file may differ after a fault in the one before. */
export interface Excuse {
  /** It may begin with lines that also stand in the file before, which was deleted. */
  readonly mayRepeat: boolean
  /** It may begin at a later event up to this one: those between were cut off with the file. */
  readonly mayBeginBefore: number
}

export const NO_EXCUSE: Excuse = { mayRepeat: false, mayBeginBefore: 0 }

/** Checks that the files, one after another, hold each event's line once, in order, byte for byte. */
export class LineCheck {
  readonly problems: string[] = []
  lines = 0
  repeated = 0
  excused = 0
  #next = 0
  #excuse = NO_EXCUSE
  readonly #chunk = Buffer.alloc(CHUNK_BYTES)

  /** Reads a file to its end. `excuse` is for the file after it. */
  read(fd: number, name: string, excuse: Excuse = NO_EXCUSE): void {
    let rest = ''
    for (let offset = 0; ; ) {
      const bytes = readSync(fd, this.#chunk, 0, CHUNK_BYTES, offset)
      if (bytes === 0) break
      offset += bytes
      const lines = (rest + this.#chunk.toString('latin1', 0, bytes)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#take(`${line}\n`, name)
    }
    // A copy of a file that is being written may end within a line.
    if (rest !== '' && excuse.mayBeginBefore === 0) this.#report(`${name} ends with '${rest}'`)
    // What was excused by a file before is still to come if this one holds no line.
    this.#excuse = {
      mayRepeat: this.#excuse.mayRepeat || excuse.mayRepeat,
      mayBeginBefore: Math.max(this.#excuse.mayBeginBefore, excuse.mayBeginBefore),
    }
  }

  /** After the last file: `events` were recorded, and the excuse that is left may cover the last of them. */
  end(events: number): void {
    const isExcused = this.#next < events && events <= this.#excuse.mayBeginBefore
    if (isExcused) this.excused += events - this.#next
    else if (this.#next !== events) {
      this.#report(`the files end before event ${this.#next} of ${events}`)
    }
  }

  #take(line: string, name: string): void {
    this.lines++
    if (line !== startedLine(this.#next)) this.#begin(line, name)
    this.#excuse = NO_EXCUSE
    this.#next++
  }

  /** A line that is not the next: the first of a file with an excuse, or wrong. */
  #begin(line: string, name: string): void {
    const { mayRepeat, mayBeginBefore } = this.#excuse
    const event = Number(/"pid":(\d+)}\n$/.exec(line)?.[1] ?? Number.NaN)
    const isRepeated = mayRepeat && event < this.#next
    const isLater = event > this.#next && event <= mayBeginBefore
    if (isRepeated) this.repeated += this.#next - event
    if (isLater) this.excused += event - this.#next
    if (!(isRepeated || isLater) || line !== startedLine(event)) {
      this.#report(`${name}: event ${this.#next} was expected, found '${line.trimEnd()}'`)
    }
    if (Number.isInteger(event)) this.#next = event
  }

  #report(problem: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(problem)
  }
}
