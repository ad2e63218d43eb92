import { RecentLines } from '../../../src/cli/shared/recent-lines'
import { randomFrom } from '../../support/random'

const KEPT = 8_192

/** The last lines, as simply as can be. */
class SimpleLines {
  readonly #lines: string[] = []

  add(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > KEPT) this.#lines.shift()
  }

  has(line: string): boolean {
    return this.#lines.includes(line)
  }
}

describe('the recent lines', () => {
  it('are those that a simple list knows, whenever one is asked for', () => {
    const [recent, simple] = [new RecentLines(), new SimpleLines()]
    const random = randomFrom(1)
    const anyLine = () => `line ${Math.floor(random() * 12_000)}`
    const wrong: string[] = []
    for (let i = 0; i < 60_000; i++) {
      const line = anyLine()
      recent.add(line)
      simple.add(line)
      // Long times without a question, and times of many.
      const isAsked = i % 30_000 > 25_000 && random() < 0.2
      const asked = anyLine()
      if (isAsked && recent.has(asked) !== simple.has(asked)) wrong.push(`${i}: ${asked}`)
    }
    expect(wrong).toEqual([])
  })

  it.each([
    ['never', () => false, 0],
    ['after each', () => true, 4],
    ['after as many as are kept', (i: number) => i % (KEPT + 2) === 0, 4],
    ['rarely', (i: number) => i % 50_000 === 0, 1],
  ])('take a few steps per line if one is asked for %s', (_, isAsked, stepsMax) => {
    const recent = new RecentLines()
    const lines = 200_000
    for (let i = 0; i < lines; i++) {
      const line = `line ${i}`
      if (isAsked(i)) recent.has(line)
      recent.add(line)
    }
    expect(recent.steps / lines).toBeLessThanOrEqual(stepsMax)
  })
})
