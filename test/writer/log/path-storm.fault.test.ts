import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecAuditOptions } from '../../../src'
import { startLoad, stopLoads } from '../../support/load'
import { openAudit } from '../../support/open-audit'
import { drawSeed } from '../../support/seed'
import { useTempDir } from '../../support/temp-dir'
import { times } from '../../support/times'
import { until } from '../../support/waiting'

const MS = times('STORM_MS', 3_000, 10_000)

describe('a path that others move and delete under load', () => {
  afterEach(stopLoads)
  const dir = useTempDir()

  /** Loads a writer while the storm rages, and then until more has got through; returns all there is. */
  const rage = async (choices: readonly string[], options: ExecAuditOptions = {}) => {
    const [path, archive] = [dir.path('logs/exec.log'), dir.path('archive')]
    mkdirSync(archive)
    const tested = openAudit(path, options)
    const { audit, diagnostics } = tested
    const load = startLoad(tested)
    const script = join(__dirname, '../../support/children/path-storm.js')
    const args = [script, path, archive, String(drawSeed()), String(MS), ...choices]
    const storm = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const closed = once(storm, 'close')
    const [reported] = await once(storm.stdout, 'data')
    const outcomes = await load.stop()
    const settledInStorm = outcomes.length

    const calm = startLoad(tested, outcomes)
    await until('it does not recover', () => audit.stats().events.settled > settledInStorm + 1_000)
    await calm.stop()
    expect(new Set(outcomes.slice(settledInStorm))).toEqual(new Set(['durable']))
    storm.stdin.end()
    expect(await closed).toEqual([0, null])

    const failed = outcomes.filter((outcome) => outcome === 'failed').length
    const { failures, events, file } = audit.stats()
    const { folder, open, write, sync } = failures
    const counts = [events.failed, diagnostics.auditFailures, folder + open + write + sync]
    expect(counts).toEqual([failed, failed, failed])
    const pids = (file: string) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .slice(0, -1)
        .filter((line) => line !== '')
        .map((line): number => JSON.parse(line).pid)
    const files = readdirSync(archive).map((name) => ({ name, pids: pids(join(archive, name)) }))
    const atPath = pids(path)
    const calmPids = Array.from(
      { length: outcomes.length - settledInStorm },
      (_, i) => settledInStorm + i,
    )
    expect(atPath.slice(-calmPids.length)).toEqual(calmPids)
    const operations = Number(String(reported))
    expect(operations).toBeGreaterThan(20)
    process.stdout.write(
      `    ${operations} operations, ${file.opens} opens, ${outcomes.length} events, ${failed} failed\n`,
    )
    return { outcomes, files: [...files, { name: 'exec.log', pids: atPath }], failed }
  }

  it('renamed: each event is in one of the files, once and in order', async () => {
    const { outcomes, files } = await rage(['rename'], { retryForMs: 60_000 })
    expect(new Set(outcomes)).toEqual(new Set(['durable']))
    for (const { pids } of files) expect(pids).toEqual([...pids].sort((a, b) => a - b))
    const all = files.flatMap(({ pids }) => pids).sort((a, b) => a - b)
    expect(all).toEqual(outcomes.map((_, pid) => pid))
  })

  it('deleted, with its folder too: nothing is durable in an unlinked file', async () => {
    const { outcomes, files } = await rage(['rename', 'unlink', 'removeFolder'])
    const isNameless = ({ name }: { name: string }) => name.startsWith('nameless')
    const named = files.filter((file) => !isNameless(file)).flatMap(({ pids }) => pids)
    const kept = new Set(named)
    const lost = outcomes.flatMap((outcome, pid) =>
      outcome === 'durable' && !kept.has(pid) ? [pid] : [],
    )
    expect(lost).toEqual([])
    const nameless = files.filter(isNameless).flatMap(({ pids }) => pids)
    process.stdout.write(
      `    ${nameless.length} went to a file without a name, and again to another\n`,
    )
    for (const { pids } of files) expect(pids).toEqual([...new Set(pids)].sort((a, b) => a - b))
  })

  it('truncated and forbidden as well: the writer recovers, and failed events are counted', async () => {
    const { files } = await rage(['rename', 'unlink', 'removeFolder', 'copytruncate', 'chmod'])
    for (const { pids } of files) expect(pids).toEqual([...new Set(pids)].sort((a, b) => a - b))
  })
})
