import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Spread } from '../../bench/harness/statistics'
import type { Report, Row } from '../../bench/report/report'
import { useTempDir } from '../support/temp-dir'
import { TOOL_ENV } from '../support/tool'
import { elementsOf } from '../support/xml'

const ROOT = join(__dirname, '../..')
const RUN = ['-r', 'esbuild-register', join('bench', 'run.ts')]
const temp = useTempDir()

/** The peers and tools that the benchmarks use if they are installed, and otherwise say are missing. */
const hasPeers = existsSync(join(ROOT, 'bench/peers/node_modules'))
const hasCompiler = isThere('cc', '--version')
const hasJq = isThere('jq', '--version')
const hasNats = isThere('nats-server', '--version')
const hasRedis = isThere('redis-server', '--version')
const hasStrace = isThere('strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', 'true')

function isThere(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore', env: TOOL_ENV }).status === 0
}

test('every benchmark runs at quick sizes, and its files hold the acknowledged events', () => {
  const json = temp.path('report.json')
  const plots = temp.path('plots')
  const args = [
    ...RUN,
    '--quick',
    '--repeats',
    '1',
    '--dir',
    temp.path(''),
    '--json',
    json,
    '--plots',
    plots,
  ]
  const printed = execFileSync(process.execPath, args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const report: Report = JSON.parse(readFileSync(json, 'utf8'))

  const counts = report.benchmarks.map(({ name, rows }) => [name, rows.filter(isSure).length])
  expect(counts).toEqual([
    ['call-cost', hasPeers ? 35 : 14],
    ['idle-call', hasPeers ? 8 : 6],
    ['ack-latency', 3 + (hasPeers ? 3 : 0) + (hasCompiler ? 2 : 0)],
    ['throughput', hasPeers ? 26 : 14],
    ['open-loop', hasPeers ? 17 : 8],
    ['slow-disk', hasStrace ? (hasPeers ? 5 : 2) : 0],
    ['stages', 10],
    ['cold-start', 2],
    ['idle-writer', 1],
    ['memory', 2],
    ['handoff', 10],
    ['gateway', hasPeers ? 10 : 6],
    ['verify', hasJq ? 6 : 5],
    ['seal', 6],
    ['ship', (hasNats ? 3 : 0) + (hasRedis ? 4 : 0)],
  ])
  const odd = report.benchmarks.flatMap(({ name, rows }) =>
    rows.filter(({ figures }) => !areAbove(FLOORS.get(name) ?? 0, Object.values(figures))),
  )
  expect(odd).toEqual([])
  const files = report.benchmarks.flatMap((benchmark) => benchmark.files)
  expect(files.filter(({ lines, acknowledged }) => !(lines > 0 && lines === acknowledged))).toEqual(
    [],
  )
  expect(files.length).toBeGreaterThan(0)
  expect(readdirSync(temp.path('')).sort()).toEqual(['plots', 'report.json'])
  const shown = readdirSync(plots).sort()
  expect(shown).toEqual([
    'ack-latency-ecdf.svg',
    'idle-call-call.svg',
    'idle-call-durable.svg',
    'open-loop-p50.svg',
    'open-loop-p99.svg',
    'open-loop-percentiles.svg',
    ...(hasStrace ? ['slow-disk-64-in-flight.svg'] : []),
    'stages-group-of-1.svg',
    'stages-group-of-1024.svg',
    'throughput-150-bytes.svg',
    'throughput-350-bytes.svg',
  ])
  const svgs = shown.map((name) => readFileSync(join(plots, name), 'utf8'))
  expect(svgs.filter((svg) => /NaN|Infinity|undefined/.test(svg))).toEqual([])
  expect(svgs.map((svg) => elementsOf(svg)[0])).toEqual(svgs.map(() => 'svg'))
  expect(printed).toContain('\np99 until durable, at constant rates\n')
  expect(printed.includes('are not installed: npm run bench:peers')).toBe(!hasPeers)
}, 600_000)

test('an unknown benchmark is refused with a list of the known ones', () => {
  const { status, stderr } = spawnSync(process.execPath, [...RUN, 'ack-latncy'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  expect(stderr).toBe(
    'bench: no benchmark is called "ack-latncy"; there are call-cost, idle-call, ack-latency, throughput, open-loop, slow-disk, stages, cold-start, idle-writer, memory, handoff, gateway, verify, seal, ship (--help shows the usage)\n',
  )
  expect(status).toBe(2)
})

/** A machine so busy that it holds no rate has no knee to show. */
function isSure({ labels }: Row): boolean {
  return labels.point !== 'knee'
}

/** Memory is the difference of two resident sets, from which the kernel may have taken pages in between. */
const FLOORS = new Map([
  ['memory', Number.NEGATIVE_INFINITY],
  ['idle-writer', Number.NEGATIVE_INFINITY],
])

function areAbove(floor: number, spreads: readonly Spread[]) {
  const values = spreads.flatMap(({ median, min, max }) => [median, min, max])
  return values.length > 0 && values.every((value) => Number.isFinite(value) && value > floor)
}
