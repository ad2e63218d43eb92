import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Report, Spread } from '../bench/report'
import { useTempDir } from './helpers/temp-dir'

const ROOT = join(__dirname, '..')
const RUN = ['-r', 'esbuild-register', join('bench', 'run.ts')]
const temp = useTempDir()

/** What the benchmarks compare with where it is there, and say is missing where it is not. */
const hasPeers = existsSync(join(ROOT, 'bench/peers/node_modules'))
const hasCompiler = isThere('cc', '--version')
const hasJq = isThere('jq', '--version')
const hasStrace = isThere('strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', 'true')

function isThere(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

test('every benchmark runs small, and its files hold what was acknowledged', () => {
  const json = temp.path('report.json')
  const args = [...RUN, '--quick', '--dir', temp.path(''), '--json', json]
  const printed = execFileSync(process.execPath, args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const report: Report = JSON.parse(readFileSync(json, 'utf8'))

  expect(report.benchmarks.map(({ name, rows }) => [name, rows.length])).toEqual([
    ['call-cost', hasPeers ? 30 : 12],
    ['ack-latency', 3 + (hasPeers ? 3 : 0) + (hasCompiler ? 1 : 0)],
    ['throughput', hasPeers ? 26 : 14],
    ['slow-disk', hasStrace ? (hasPeers ? 5 : 2) : 0],
    ['stages', 10],
    ['cold-start', 2],
    ['memory', 1],
    ['handoff', 10],
    ['verify', hasJq ? 4 : 3],
  ])
  const rows = report.benchmarks.flatMap((benchmark) => benchmark.rows)
  expect(rows.filter(({ figures }) => !areFinitePositive(Object.values(figures)))).toEqual([])
  const files = report.benchmarks.flatMap((benchmark) => benchmark.files)
  expect(files.filter(({ lines, acknowledged }) => !(lines > 0 && lines === acknowledged))).toEqual(
    [],
  )
  expect(files.length).toBeGreaterThan(0)
  expect(readdirSync(temp.path(''))).toEqual(['report.json'])
  expect(printed.includes('are not installed: npm run bench:peers')).toBe(!hasPeers)
}, 600_000)

test('a name that no benchmark has is refused with the names there are', () => {
  const { status, stderr } = spawnSync(process.execPath, [...RUN, 'ack-latncy'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  expect(stderr).toBe(
    'bench: no benchmark is called "ack-latncy"; there are call-cost, ack-latency, throughput, slow-disk, stages, cold-start, memory, handoff, verify (--help shows the usage)\n',
  )
  expect(status).toBe(2)
})

function areFinitePositive(spreads: readonly Spread[]) {
  const values = spreads.flatMap(({ median, min, max }) => [median, min, max])
  return values.length > 0 && values.every((value) => Number.isFinite(value) && value > 0)
}
