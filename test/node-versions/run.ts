import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import build from '../support/build'
import { MAJORS, nodeOf } from '../support/node-binaries'

/*
 * Runs the tests under the other versions of Node.js: `npm run test:node`, or `npm run test:node -- 24`
 * for one. Without --all it leaves out the long ones whose subject is the disk, the algorithm, a tool or
 * a text, since those do not change with the version.
 */

const ROOT = join(__dirname, '../..')
const LEFT_OUT = [
  'architecture',
  'bench/.*',
  'cli/(?!exec/).*',
  'docs/(api-reference|documents|rsyslog|shipping-[a-z]+)',
  'rotation/.*',
  'toolkit/(plot|width)',
  '.*\\.property',
  'writer/caller/ack-order.fault',
  'writer/drain/slow-disk.fault',
  'writer/log/(?!group-journal|hostile-files|sink).*',
  'writer/record/(bad-input|field-mistakes)',
  'writer/ring/ring-corruption.fault',
  'writer/several-writers.stress',
  'writer/worker/(hand-over|random-death).fault',
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
function passes(major: string): boolean {
  const node = nodeOf(major)
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`
  const left = isWhole
    ? []
    : ['--testPathIgnorePatterns', ...LEFT_OUT.map((name) => `/test/${name}\\.test`)]
  const jest = [join(ROOT, 'node_modules/jest/bin/jest.js'), '--detectOpenHandles', ...left]
  const env = { ...process.env, PATH: path, AUDIT_SKIP_BUILD: '1' }
  const start = performance.now()
  const { status } = spawnSync(node, jest, { cwd: ROOT, env, stdio: 'inherit' })
  const seconds = Math.round((performance.now() - start) / 1000)
  console.log(`${status === 0 ? 'ok ' : 'FAILED'} Node ${major}, ${seconds} s`)
  return status === 0
}

build()
const failed = majors.filter((major) => !passes(major))
if (failed.length > 0) process.exitCode = 1
