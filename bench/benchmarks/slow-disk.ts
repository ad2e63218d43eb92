/*
 * What does group commit save on a slow disk?
 *
 * Each contender runs in a child process under strace, which delays the return of every fdatasync and
 * fsync by 0.5, 2 or 10 ms. That delay binds a contender that syncs for each event alone; in one that shares
 * its syncs, an event waits for the rest of the sync under way and for its own. `percent of two syncs`
 * compares with the rate that this makes: all events in flight once per two delays. It exceeds 100 if all of them share
 * one sync. The time of the disk itself and of the tracing comes on top.
 *
 * It also shows which contender is honest: none may acknowledge an event sooner than one delayed sync takes.
 */
import { execFile, execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { OURS, REFERENCE } from '../contenders/built-in'
import { arePeersInstalled, PEERS, PEERS_NOTE } from '../contenders/peers'
import { type Benchmark, type Context, type Plot, rotated } from '../harness/benchmark'
import { sumOfFiles } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import type { Contender, Measured } from '../harness/trial'
import { rateAxis, seriesBy, usAxis } from '../report/charts'
import type { FileCheck, Result, Row } from '../report/report'

export const slowDisk: Benchmark = {
  name: 'slow-disk',
  question: 'What does group commit save on a slow disk? (fdatasync delayed)',
  run,
  plots,
}

const CHILD = join(__dirname, 'slow-disk-child.ts')
const STRACE_NOTE = 'strace is missing or may not trace here, so slow-disk was left out.'
const DELAYS_MS = [0.5, 2, 10]
const IN_FLIGHT = [1, 64, 1_024]
const QUICK_DELAYS_MS = [2]
const QUICK_IN_FLIGHT = [64]
const README_IN_FLIGHT = 1_024
/** A child's task and its answer. */
export interface ChildTask {
  readonly contender: string
  readonly inFlight: number
  readonly ms: number
  readonly isQuick: boolean
  readonly dir: string
}

export interface ChildAnswer {
  readonly measured: Measured
  /** The shortest latency. */
  readonly minUs: number
  readonly file: FileCheck
}

/** The contenders, which the child finds by their names. */
export const SLOW_DISK_CONTENDERS: readonly Contender[] = [OURS, REFERENCE, ...PEERS]

interface Trial {
  readonly contender: Contender
  readonly delayMs: number
  readonly inFlight: number
  readonly row: RowBuilder
  readonly files: FileCheck[]
}

async function run(context: Context): Promise<Result> {
  if (!isStraceUsable()) return { rows: [], files: [], notes: [STRACE_NOTE] }
  const trials = allTrials(context.isQuick)
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    for (const trial of rotated(trials, repeat)) {
      context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${trial.row.name}`)
      await runTrial(trial, context)
    }
  }
  return {
    rows: trials.map(({ row }) => row.build()),
    files: trials.map(({ row, files }) => sumOfFiles(row.name, files)),
    notes: arePeersInstalled ? [] : [PEERS_NOTE],
  }
}

function allTrials(isQuick: boolean): Trial[] {
  const counts = isQuick ? QUICK_IN_FLIGHT : IN_FLIGHT
  return (isQuick ? QUICK_DELAYS_MS : DELAYS_MS).flatMap((delayMs) =>
    counts.flatMap((inFlight) =>
      SLOW_DISK_CONTENDERS.map((contender) => {
        const name = `${delayMs} ms, ${inFlight.toLocaleString('en-US')} in flight, ${contender.name}`
        const row = new RowBuilder(name, { contender: contender.name, inFlight, delayMs })
        return { contender, delayMs, inFlight, row, files: [] }
      }),
    ),
  )
}

async function runTrial({ contender, delayMs, inFlight, row, files }: Trial, context: Context) {
  const { dir, ms, isQuick } = context
  const task: ChildTask = { contender: contender.name, inFlight, ms, isQuick, dir }
  const { measured, minUs, file } = await runSlowed(delayMs, task)
  if (minUs < delayMs * 1_000) {
    throw new Error(
      `${row.name}: an event was acknowledged after ${minUs} us, before any sync ended`,
    )
  }
  const { p50Us, p99Us, eventsPerSecond } = measured
  const percentOfTwoSyncs = (100 * eventsPerSecond) / ((inFlight * 1_000) / (2 * delayMs))
  row.add({ eventsPerSecond, p50Us, p99Us, percentOfTwoSyncs })
  files.push(file)
}

async function runSlowed(delayMs: number, task: ChildTask): Promise<ChildAnswer> {
  const child = [process.execPath, '-r', 'esbuild-register', CHILD, JSON.stringify(task)]
  // strace does not even look at other system calls, so that they cost the usual time.
  const options = ['-f', '-qq', '-o', '/dev/null', '--seccomp-bpf', '-e', 'trace=fdatasync,fsync']
  const delay = `inject=fdatasync,fsync:delay_exit=${delayMs * 1_000}`
  const { stdout } = await promisify(execFile)('strace', [...options, '-e', delay, ...child])
  return JSON.parse(stdout)
}

function isStraceUsable(): boolean {
  try {
    const options = ['-f', '-qq', '-o', '/dev/null', '--seccomp-bpf', '-e', 'trace=fdatasync']
    execFileSync('strace', [...options, 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** One for each number of events in flight. */
function plots(rows: readonly Row[]): readonly Plot[] {
  const counts = [...new Set(rows.map(({ labels }) => Number(labels.inFlight)))]
  return counts.map((inFlight) => {
    const count = inFlight.toLocaleString('en-US')
    const chart = {
      title: `Durable events per second on a slow disk, ${count} in flight`,
      x: { ...usAxis('added to each sync'), format: (ms: number) => `${ms} ms` },
      y: rateAxis('events per second'),
      series: seriesBy(
        rows.filter(({ labels }) => labels.inFlight === inFlight),
        'contender',
        'delayMs',
        'eventsPerSecond',
      ),
    }
    return { name: `${inFlight}-in-flight`, chart, isForReadme: inFlight === README_IN_FLIGHT }
  })
}
