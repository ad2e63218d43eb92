/*
 * How much memory does a writer take, and does it grow?
 *
 * A process of its own records five million short events with 1,024 in flight, and watches its resident set:
 * its peak above that before the writer was made (`above idle`), and the peaks in the second and the last
 * fifth of the events, which should be alike.
 *
 * Another process awaits the same number of promises, as many of them at a time, without a writer, because V8
 * lets the young objects of any busy program grow. `own` is the writer's share beyond that.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { Benchmark, Context } from '../harness/benchmark'
import { sumOfFiles } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import type { FileCheck, Result } from '../report/report'

export const memory: Benchmark = {
  name: 'memory',
  question: 'How much memory does a writer take, and does it grow?',
  run,
}

const CHILD = join(__dirname, 'memory-child.ts')
const EVENTS = 5_000_000
const QUICK_EVENTS = 20_000

/** The child's answer. */
export interface MemoryAnswer {
  readonly idleBytes: number
  /** The peak of each fifth of the events. */
  readonly peakBytes: readonly number[]
  /** None if there was no writer. */
  readonly file?: FileCheck
}

async function run(context: Context): Promise<Result> {
  const events = context.isQuick ? QUICK_EVENTS : EVENTS
  const name = `${events.toLocaleString('en-US')} events`
  const ours = new RowBuilder(name, { contender: 'x0x-exec-audit' })
  const alone = new RowBuilder(`${name}, no writer`, { contender: 'promises alone' })
  const files: FileCheck[] = []
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    context.progress(`memory: repeat ${repeat + 1} of ${context.repeats}`)
    const without = measure('-', events)
    const { file, ...found } = measure(join(context.dir, 'memory.jsonl'), events)
    alone.add(without.figures)
    ours.add({ ...found.figures, ownMb: found.figures.aboveIdleMb - without.figures.aboveIdleMb })
    if (file !== undefined) files.push(file)
  }
  return { rows: [ours.build(), alone.build()], files: [sumOfFiles(name, files)] }
}

function measure(path: string, events: number) {
  const args = ['-r', 'esbuild-register', CHILD, path, String(events)]
  const text = execFileSync(process.execPath, args, { encoding: 'utf8' })
  const { idleBytes, peakBytes, file }: MemoryAnswer = JSON.parse(text)
  const aboveIdleMb = peakBytes.map((bytes) => (bytes - idleBytes) / 1e6)
  const figures = {
    aboveIdleMb: Math.max(...aboveIdleMb),
    secondFifthMb: aboveIdleMb[1] ?? Number.NaN,
    lastFifthMb: aboveIdleMb.at(-1) ?? Number.NaN,
  }
  return { figures, file }
}
