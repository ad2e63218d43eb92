/*
 * What does an idle writer cost?
 *
 * A process with many idle writers, each of which has recorded an event, against one with none: threads, resident
 * memory, and the processor's time in one second, per writer.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { Benchmark, Context } from '../harness/benchmark'
import { RowBuilder } from '../harness/row-builder'
import type { Result } from '../report/report'

export const idleWriter: Benchmark = {
  name: 'idle-writer',
  question: 'What does an idle writer cost?',
  run,
}

const CHILD = join(__dirname, 'idle-writer-child.ts')
/** Enough writers that the modules which the first one loads hardly count. */
const WRITERS = 8
const QUICK_WRITERS = 2

/** The child's answer: threads, resident memory, and the time that the processor took in a second. */
export interface IdleAnswer {
  readonly threads: number
  readonly bytes: number
  readonly cpuUs: number
}

async function run({ dir, repeats, isQuick, progress }: Context): Promise<Result> {
  const writers = isQuick ? QUICK_WRITERS : WRITERS
  const row = new RowBuilder(`one of ${writers}`, { contender: 'x0x-exec-audit' })
  for (let repeat = 0; repeat < repeats; repeat++) {
    progress(`repeat ${repeat + 1} of ${repeats}`)
    const without = measure(join(dir, 'idle-writer'), 0)
    const found = measure(join(dir, 'idle-writer'), writers)
    row.add({
      threads: (found.threads - without.threads) / writers,
      memoryMb: (found.bytes - without.bytes) / writers / 1e6,
      cpuPercent: percentOf((found.cpuUs - without.cpuUs) / writers),
    })
  }
  return { rows: [row.build()], files: [] }
}

/** Of one processor, to a hundredth: less is the kernel's own work, in either process. */
function percentOf(cpuUs: number): number {
  return Math.max(0, Math.round(cpuUs / 100) / 100)
}

function measure(folder: string, writers: number): IdleAnswer {
  const args = ['-r', 'esbuild-register', CHILD, folder, String(writers)]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}
