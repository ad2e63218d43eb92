/*
 * What does a sealer cost that runs beside the writer?
 *
 * `x0x-exec-audit` alone and with `x0x-exec-audit seal` following its log, in a process of its own and once per
 * second, take turns: with 1,024 events in flight, and at 5,000 per second from the intended moment. `percent of
 * alone` compares the throughput of a repeat. Where there is no core to spare the sealer takes its share of one.
 *
 * `init` seals a log that is there, `bytes per line` being what the seal takes then, and `start` is a sealer that
 * finds nothing new: it reads the log's end alone. Both are processes of their own, so the figures include their
 * start. verify.ts has what the seal adds to `verify`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { OURS } from '../contenders/built-in'
import { type Benchmark, type Context, rotated } from '../harness/benchmark'
import { achieved, type RateTrial, rateTrial, runRate, withRemark } from '../harness/rate-trial'
import { sumOfFiles } from '../harness/read-back'
import { RowBuilder } from '../harness/row-builder'
import { type Contender, type Trial, trialOf } from '../harness/trial'
import { calls, lineOf } from '../harness/workload'
import type { Result } from '../report/report'

export const seal: Benchmark = {
  name: 'seal',
  question: 'What does a sealer cost that runs beside the writer?',
  run,
}

const MAIN = join(__dirname, '../../dist/cli/main.js')
const IN_FLIGHT = 1_024
const RATE = 5_000
const LINES = 500_000
const QUICK_LINES = 4_000
const QUICK_RATE = 500

/** The writer, with a sealer that follows its log for as long as it is open. */
const SEALED: Contender = {
  ...OURS,
  name: `${OURS.name}, sealed`,
  open(path) {
    const options = newSeal(dirname(path), path)
    const writer = OURS.open(path)
    const sealer = spawn(process.execPath, [MAIN, 'seal', ...options], { stdio: 'ignore' })
    // A benchmark that fails leaves none behind.
    const kill = () => sealer.kill('SIGKILL')
    process.on('exit', kill)
    return {
      append: (call) => writer.append(call),
      async close() {
        await writer.close()
        await endOf(sealer)
        process.off('exit', kill)
      },
    }
  },
}

/** SIGTERM has it seal what has come. Throws if it had ended before. */
async function endOf(sealer: ChildProcess): Promise<void> {
  const ended = once(sealer, 'exit')
  if (sealer.exitCode !== null) throw new Error(`the sealer ended with ${sealer.exitCode}`)
  sealer.kill('SIGTERM')
  await ended
}

/** Makes a key and the log's seal in a folder, and returns the options of a command for them. */
function newSeal(folder: string, log: string): readonly string[] {
  const key = join(folder, 'key.pem')
  sealCommand('keygen', '--origin', 'bench.example/exec', '--out', key)
  const options = ['--log', log, '--seal', join(folder, 'seal'), '--key', key]
  sealCommand('init', ...options)
  return options
}

/** Runs it to its end; returns how long that took. */
function sealCommand(...args: readonly string[]): number {
  const startMs = performance.now()
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'seal', ...args])
  if (status !== 0) throw new Error(`seal ${args[0]}: exit code ${status}: ${stderr}`)
  return (performance.now() - startMs) / 1_000
}

async function run(context: Context): Promise<Result> {
  const rate = context.isQuick ? QUICK_RATE : RATE
  const contenders = [OURS, SEALED]
  const full = contenders.map((contender) =>
    trialOf(contender, calls, IN_FLIGHT, `1,024 in flight, ${contender.name}`, { point: 'full' }),
  )
  const rated = contenders.map((contender) => {
    const kneeRow = new RowBuilder(contender.name, {})
    const entrant = { contender, saturation: 20 * rate, kneeRow }
    const name = `${rate.toLocaleString('en-US')}/s`
    return rateTrial(entrant, rate, name, { point: 'rate' }, false)
  })
  const init = new RowBuilder('seal init', { contender: 'seal init' })
  const start = new RowBuilder('seal --once, nothing new', { contender: 'seal --once' })
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    await runFull(full, repeat, context)
    await runRated(rated, repeat, context)
    context.progress(`repeat ${repeat + 1} of ${context.repeats}: seal init`)
    sealLog(context, init, start)
  }
  return {
    rows: [...full.map(({ row }) => row), ...rated.map(withRemark), init, start].map((row) =>
      row.build(),
    ),
    files: [
      ...full.map(({ files }) => files),
      ...rated.map(({ row, files }) => sumOfFiles(row.name, files)),
    ],
  }
}

async function runFull(trials: readonly Trial[], repeat: number, context: Context): Promise<void> {
  const rates = new Map<Trial, ReturnType<typeof achieved>>()
  for (const trial of rotated(trials, repeat)) {
    context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${trial.row.name}`)
    rates.set(trial, achieved((await trial.run(context)).measured))
  }
  const [alone] = trials.flatMap((trial) => rates.get(trial) ?? [])
  for (const [{ row }, figures] of rates) {
    const percentOfAlone = (100 * figures.achievedPerSecond) / (alone?.achievedPerSecond ?? 0)
    row.add({ ...figures, percentOfAlone })
  }
}

async function runRated(
  trials: readonly RateTrial[],
  repeat: number,
  context: Context,
): Promise<void> {
  for (const trial of rotated(trials, repeat)) {
    context.progress(`repeat ${repeat + 1} of ${context.repeats}: ${trial.row.name}`)
    await runRate(trial, undefined, context)
  }
}

/** Seals a log that is there, and starts a sealer once more. */
function sealLog({ dir, isQuick }: Context, init: RowBuilder, start: RowBuilder): void {
  const lines = isQuick ? QUICK_LINES : LINES
  const log = join(dir, 'seal.log')
  writeLog(log, lines)
  const key = join(dir, 'key.pem')
  const folder = join(dir, 'seal')
  sealCommand('keygen', '--origin', 'bench.example/exec', '--out', key)
  const options = ['--log', log, '--seal', folder, '--key', key]
  const seconds = sealCommand('init', ...options)
  init.add({ linesPerSecond: lines / seconds, bytesPerLine: bytesIn(folder) / lines })
  start.add({ seconds: sealCommand('--once', ...options) })
  const size = Number(readFileSync(join(folder, 'checkpoint'), 'utf8').split('\n')[1])
  if (size !== lines) throw new Error(`${size} of ${lines} lines are sealed`)
  for (const name of [log, folder, key, join(dir, 'key.vkey'), join(dir, 'key.last')]) {
    rmSync(name, { recursive: true })
  }
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}

/** Writes the workload's lines repeatedly. */
function writeLog(path: string, lines: number): void {
  const texts = calls.map(lineOf)
  const fd = openSync(path, 'wx', 0o600)
  for (let left = lines; left > 0; left -= texts.length) {
    writeSync(fd, texts.slice(0, left).join(''))
  }
  closeSync(fd)
}
