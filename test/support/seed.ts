import { relative } from 'node:path'
import type fc from 'fast-check'

/**
 * The seed of a file's random tests: `SEED=n` replays one, else it is drawn. Printed, so that a red
 * run can be repeated.
 */
export function seeded(runs: number): fc.Parameters<unknown> & { seed: number } {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  process.stdout.write(
    `    seed: SEED=${seed} npx jest ${relative(process.cwd(), expect.getState().testPath ?? '')}\n`,
  )
  return { seed, numRuns: runs }
}
