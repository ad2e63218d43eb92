import { join } from 'node:path'
import build from './support/build'
import { runApart } from './support/runner/run-apart'
import { runTests } from './support/runner/run-tests'

/*
 * `npm test`: jest with the arguments given. In CI, tests whose failure may be the machine's fault are run
 * once more, and all tests are run in two halves at once, since they mostly wait for children and disks.
 */

const HALVES = ['--shard=1/2', '--shard=2/2'] as const

const args = process.argv.slice(2)
const isCi = Boolean(process.env.CI)

function run(some: readonly string[]): Promise<number> {
  return runTests({ args: some, folder: join(__dirname, '..'), isRetrying: isCi })
}

async function runHalves(): Promise<number> {
  build()
  process.env.AUDIT_SKIP_BUILD = '1'
  const [one, other] = HALVES
  const [code, isPassed] = await Promise.all([
    run([one]),
    runApart('the other half of the tests', __filename, [other]),
  ])
  return code === 0 && isPassed ? 0 : 1
}

async function main(): Promise<void> {
  process.exitCode = await (isCi && args.length === 0 ? runHalves() : run(args))
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
