import { relative } from 'node:path'
import type fc from 'fast-check'
import { randomFrom } from './random'

/**
 * The seed of a file's random tests: `SEED=n` replays one, else it is drawn. Printed with the command
 * that replays it, which the runner also prints for a file that failed only once.
 */
export function drawSeed(): number {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  process.stdout.write(`    seed: ${replayOf(seed)}\n`)
  return seed
}

/** The command that replays this test file with a seed. */
export function replayOf(seed: number): string {
  const file = relative(process.cwd(), expect.getState().testPath ?? '')
  return `SEED=${seed} npx jest ${file}`
}

/** A small generator of numbers from 0 up to 1, from {@link drawSeed}. */
export function seededRandom(): () => number {
  return randomFrom(drawSeed())
}

/** The parameters of a property that is tried `runs` times, from {@link drawSeed}. */
export function seeded(runs: number): fc.Parameters<unknown> & { seed: number } {
  return { seed: drawSeed(), numRuns: runs }
}
