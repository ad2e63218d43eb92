import { join } from 'node:path'
import { runTests } from './support/runner/run-tests'

/*
 * `npm test`: jest with the arguments given. In CI, tests whose failure may be the machine's fault are run
 * once more.
 */

const run = {
  args: process.argv.slice(2),
  folder: join(__dirname, '..'),
  isRetrying: Boolean(process.env.CI),
}
runTests(run).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    console.error(error)
    process.exitCode = 1
  },
)
