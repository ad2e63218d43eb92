/*
 * How soon does a new writer have its first event on disk?
 *
 * Each sample is a process of its own, with all modules loaded: from `new ExecAudit` to the first `'durable'`,
 * on a file that does not exist yet; and, as the floor that starting a worker sets, from `new Piscina` to
 * the end of its first, empty task.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Benchmark, type Context, rotated } from '../harness/benchmark'
import { checkLines, linesOf } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import { median } from '../harness/statistics'
import type { Result } from '../report/report'

export const coldStart: Benchmark = {
  name: 'cold-start',
  question: 'How soon does a new writer have its first event on disk?',
  run,
}

const ROOT = join(__dirname, '../..')
/** Processes per repeat. */
const PROCESSES = 5
const QUICK_PROCESSES = 1

const AUDIT = 'x0x-exec-audit'
const PISCINA = 'piscina'

const SCRIPTS = new Map([
  [
    AUDIT,
    `const { ExecAudit, ExecDiagnostics } = require('./dist')
     const startedAt = performance.now()
     const policy = { enabled: true, auditLogPath: process.argv[1] }
     const audit = new ExecAudit(policy, new ExecDiagnostics(), { failureMode: 'closed' })
     audit.started({ requestId: '0'.repeat(32), pid: 1 }).then(() => {
       console.log(performance.now() - startedAt)
       return audit.close()
     })`,
  ],
  [
    PISCINA,
    `const { Piscina } = require('piscina')
     const startedAt = performance.now()
     const options = { filename: require.resolve('./bench/benchmarks/empty-task.js'), minThreads: 1, maxThreads: 1 }
     const pool = new Piscina(options)
     pool.run(undefined).then(() => {
       console.log(performance.now() - startedAt)
       return pool.destroy()
     })`,
  ],
])

async function run(context: Context): Promise<Result> {
  const contenders = [...SCRIPTS].map(([name, script]) => {
    return { script, row: new RowBuilder(name, { contender: name }) }
  })
  const folder = join(context.dir, 'cold-start')
  mkdirSync(folder)
  const samples = context.isQuick ? QUICK_PROCESSES : PROCESSES
  let files = 0
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    context.progress(`cold-start: repeat ${repeat + 1} of ${context.repeats}`)
    const found = new Map<string, number[]>()
    for (let sample = 0; sample < samples; sample++) {
      for (const { script, row } of rotated(contenders, sample)) {
        const ms = startedMs(script, join(folder, `${files}`))
        found.set(row.name, [...(found.get(row.name) ?? []), ms])
      }
      checkFile(join(folder, `${files++}`))
    }
    const floorMs = median(found.get(PISCINA) ?? [])
    for (const { row } of contenders) {
      const firstMs = median(found.get(row.name) ?? [])
      row.add({ firstMs, timesPiscina: firstMs / floorMs })
    }
  }
  rmSync(folder, { recursive: true })
  const checks = [{ name: AUDIT, acknowledged: files, lines: files }]
  return { rows: contenders.map(({ row }) => row.build()), files: checks }
}

function startedMs(script: string, path: string): number {
  const args = ['-e', script, '--', path]
  return Number(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' }))
}

/** Throws unless the file holds the one event. */
function checkFile(path: string): void {
  checkLines(AUDIT, linesOf(path), { acknowledged: 1, calls: undefined, isOrdered: true })
}
