import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Report, Spread } from '../bench/harness'
import { useTempDir } from './helpers/temp-dir'

const ROOT = join(__dirname, '..')
const RUN = ['-r', 'esbuild-register', join('bench', 'run.ts')]
const temp = useTempDir()

test('every benchmark runs small, and its files hold what was acknowledged', () => {
  const json = temp.path('report.json')
  const args = [...RUN, '--quick', '--dir', temp.path(''), '--json', json]
  execFileSync(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
  const report: Report = JSON.parse(readFileSync(json, 'utf8'))

  expect(report.benchmarks.map(({ name, rows }) => [name, rows.length])).toEqual([
    ['call-cost', 6],
    ['ack-latency', 5],
    ['handoff', 10],
  ])
  const rows = report.benchmarks.flatMap((benchmark) => benchmark.rows)
  expect(rows.filter(({ figures }) => !areFinitePositive(Object.values(figures)))).toEqual([])
  const files = report.benchmarks.flatMap((benchmark) => benchmark.files)
  expect(files.filter(({ lines, acknowledged }) => !(lines > 0 && lines === acknowledged))).toEqual(
    [],
  )
  expect(files.length).toBeGreaterThan(0)
  expect(readdirSync(temp.path(''))).toEqual(['report.json'])
}, 30_000)

test('a name that no benchmark has is refused with the names there are', () => {
  const { status, stderr } = spawnSync(process.execPath, [...RUN, 'ack-latncy'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  expect(stderr).toBe(
    'bench: no benchmark is called "ack-latncy"; there are call-cost, ack-latency, handoff (--help shows the usage)\n',
  )
  expect(status).toBe(2)
})

function areFinitePositive(spreads: readonly Spread[]) {
  const values = spreads.flatMap(({ median, min, max }) => [median, min, max])
  return values.length > 0 && values.every((value) => Number.isFinite(value) && value > 0)
}
