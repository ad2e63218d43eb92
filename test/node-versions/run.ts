import { delimiter, dirname, join } from 'node:path'
import build from '../support/build'
import { MAJORS, nodeOf } from '../support/node-binaries'
import { runApart } from '../support/runner/run-apart'
import { runTests } from '../support/runner/run-tests'

/*
 * Runs the tests under the other versions of Node.js: `npm run test:node`, or `npm run test:node -- 24`
 * for one. Without --all it leaves out the long tests whose subject is the disk, an algorithm, a tool or a
 * text, since those do not change with the version, and long ones of whose kind a shorter one is left.
 */

const ROOT = join(__dirname, '../..')
const LEFT_OUT = [
  'architecture',
  'bench/.*',
  'cli/(?!exec/exec\\.).*',
  'docs/(examples/.*|api-reference|documents|incidents|rsyslog|seal|shipping-[a-z]+)',
  'mutants/.*',
  'rotation/.*',
  'runner/runner(-stop|\\.fault)',
  'seal/(sealer|tree)/.*',
  'seal/verify/(?!verify-seal).*',
  'ship/(?!stream/stream\\.).*',
  'support/runner/.*',
  'toolkit/(early-end|plot|width)',
  '.*\\.property',
  'writer/caller/(ack-order.fault|back-pressure|memory.stress)',
  'writer/drain/slow-disk.fault',
  'writer/log/(?!group-journal|hostile-files|sink).*',
  'writer/record/(bad-input|event-size|field-mistakes)',
  'writer/ring/ring-corruption.fault',
  'writer/(several-writers.stress|standstill.fault)',
  'writer/worker/(hand-over|lying-worker|random-death|worker-return).fault',
]

const { majors, isWhole } = choose(process.argv.slice(2))

function choose(args: readonly string[]): { majors: readonly string[]; isWhole: boolean } {
  const named = args.filter((arg) => arg !== '--all')
  const unknown = named.filter((arg) => !MAJORS.includes(arg))
  if (unknown.length > 0) {
    throw new RangeError(
      `expected --all and some of ${MAJORS.join(', ')}, got ${unknown.join(' ')}`,
    )
  }
  const others = MAJORS.filter((major) => !process.versions.node.startsWith(`${major}.`))
  return { majors: named.length > 0 ? named : others, isWhole: args.includes('--all') }
}

/** Whether the tests pass under a version. */
async function passes(major: string): Promise<boolean> {
  const node = nodeOf(major)
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`
  const ignored = LEFT_OUT.map((name) => `/test/${name}\\.test`)
  const start = performance.now()
  const code = await runTests({
    node,
    args: isWhole ? [] : ['--testPathIgnorePatterns', ...ignored],
    folder: ROOT,
    env: { ...process.env, PATH: path, AUDIT_SKIP_BUILD: '1' },
    isRetrying: Boolean(process.env.CI),
  })
  const seconds = Math.round((performance.now() - start) / 1000)
  console.log(`${code === 0 ? 'ok' : 'FAILED'} Node ${major}, ${seconds} s`)
  return code === 0
}

async function main(): Promise<void> {
  const [first] = majors
  if (majors.length === 1 && first !== undefined) {
    build()
    if (!(await passes(first))) process.exitCode = 1
    return
  }
  build()
  // At once, since tests mostly wait for children and disks.
  const all = isWhole ? ['--all'] : []
  const passed = await Promise.all(
    majors.map((major) => runApart(`Node ${major}`, __filename, [major, ...all])),
  )
  if (passed.includes(false)) process.exitCode = 1
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
