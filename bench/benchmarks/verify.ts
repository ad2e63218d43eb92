/*
 * How fast is a log verified?
 *
 * `x0x-exec-audit verify`, `stats`, `jq` (which only parses the lines) and `wc -l` (which only reads
 * them) take turns on one file of the workload's lines, each in a process of its own, so that the figures
 * include its start. The file is in the page cache. Each must find all lines, and nothing wrong with
 * them.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type Benchmark, type Context, rotated } from '../harness/benchmark'
import { RowBuilder } from '../harness/row-builder'
import { calls, hex, lineOf } from '../harness/workload'
import type { Result } from '../report/report'

export const verify: Benchmark = {
  name: 'verify',
  question: 'How fast is a log verified?',
  run,
}

const FILE_BYTES = 256e6
const QUICK_FILE_BYTES = 4e6
const MB = 1e6
const MAIN = join(__dirname, '../../dist/cli/main.js')
const JQ_NOTE = 'jq is not installed, so verify is not compared with it: apt-get install jq'
const ID_DIGITS_CHANGED = 8

/** A command that reads the file, and its output for the number of lines. */
interface Contender {
  readonly name: string
  readonly command: readonly string[]
  readonly isRight: (stdout: string, lines: number) => boolean
}

const OURS: Contender = {
  name: 'x0x-exec-audit verify',
  command: [process.execPath, MAIN, 'verify', '--json'],
  isRight: (stdout, lines) => {
    const report: { verdict: string; lines: number } = JSON.parse(stdout)
    return report.verdict === 'good' && report.lines === lines
  },
}
const STATS: Contender = {
  name: 'x0x-exec-audit stats',
  command: [process.execPath, MAIN, 'stats', '--json'],
  isRight: (stdout, lines) => {
    const { events }: { events: readonly { count: number }[] } = JSON.parse(stdout)
    return events.reduce((sum, { count }) => sum + count, 0) === lines
  },
}
const JQ: Contender = {
  name: 'jq',
  command: ['jq', '-n', 'reduce inputs as $line (0; . + 1)'],
  isRight: (stdout, lines) => Number(stdout) === lines,
}
const WC: Contender = {
  name: 'wc -l',
  command: ['wc', '-l'],
  isRight: (stdout, lines) => Number.parseInt(stdout, 10) === lines,
}

async function run(context: Context): Promise<Result> {
  const hasJq = spawnSync('jq', ['--version']).status === 0
  const contenders = [OURS, STATS, ...(hasJq ? [JQ] : []), WC].map((contender) => {
    return { contender, row: new RowBuilder(contender.name, { contender: contender.name }) }
  })
  const path = join(context.dir, 'verify.log')
  const lines = writeLog(path, context.isQuick ? QUICK_FILE_BYTES : FILE_BYTES)
  const bytes = statSync(path).size
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    context.progress(`verify: repeat ${repeat + 1} of ${context.repeats}`)
    const rates = new Map<Contender, number>()
    for (const { contender } of rotated(contenders, repeat)) {
      rates.set(contender, bytes / MB / secondsOf(contender, path, lines))
    }
    for (const { contender, row } of contenders) row.add(figuresOf(contender, rates))
  }
  rmSync(path)
  const files = [{ name: 'verify', acknowledged: lines, lines }]
  const rows = contenders.map(({ row }) => row.build())
  return { rows, files, notes: hasJq ? [] : [JQ_NOTE] }
}

function figuresOf(contender: Contender, rates: ReadonlyMap<Contender, number>) {
  const megabytesPerSecond = rates.get(contender) ?? Number.NaN
  const jq = rates.get(JQ)
  return {
    megabytesPerSecond,
    ...(jq === undefined ? {} : { timesJq: megabytesPerSecond / jq }),
  }
}

/** Runs it on the file. Throws unless its output is as expected. */
function secondsOf({ name, command, isRight }: Contender, path: string, lines: number): number {
  const [file = '', ...args] = command
  const startMs = performance.now()
  const { stdout, stderr, status } = spawnSync(file, [...args, path], { encoding: 'utf8' })
  const seconds = (performance.now() - startMs) / 1_000
  if (status === 0 && isRight(stdout, lines)) return seconds
  throw new Error(`${name}: exit code ${status}: ${stderr}${stdout.slice(0, 1_000)}`)
}

/** Writes the workload repeatedly, with new request ids each time; returns the number of lines. */
function writeLog(path: string, bytes: number): number {
  const texts = calls.map((call) => ({ id: hex(call.event.requestId), text: lineOf(call) }))
  const fd = openSync(path, 'wx', 0o600)
  let written = 0
  let lines = 0
  for (let round = 0; written < bytes; round++) {
    const digits = round.toString(16).padStart(ID_DIGITS_CHANGED, '0')
    const renamed = texts.map(({ id, text }) =>
      text.replace(id, digits + id.slice(ID_DIGITS_CHANGED)),
    )
    written += writeSync(fd, renamed.join(''))
    lines += renamed.length
  }
  closeSync(fd)
  return lines
}
