/*
 * How fast is a log verified?
 *
 * `x0x-exec-audit verify`, also with the log's seal and of a log whose lines are each well formed and nearly all impossible, `stats`, `jq` (which only parses the lines) and `wc -l` (which only reads
 * them) take turns on one file of the workload's lines, each in a process of its own, so that the figures
 * include its start. The file is in the page cache. Each must find all lines, and nothing wrong with
 * those of the good log.
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
const FIRST_MS = 1_795_381_262_968
/** Rounds of the workload before its ids come again. */
const BAD_ROUNDS = 2

/** A command that reads the file, and its output for the number of lines. */
interface Contender {
  readonly name: string
  readonly command: readonly string[]
  readonly isRight: (stdout: string, lines: number) => boolean
  readonly exitCode?: number
  readonly readsBadLog?: boolean
}

const OURS: Contender = {
  name: 'x0x-exec-audit verify',
  command: [process.execPath, MAIN, 'verify', '--json'],
  isRight: (stdout, lines) => {
    const report: { verdict: string; lines: number } = JSON.parse(stdout)
    return report.verdict === 'good' && report.lines === lines
  },
}
/** The same lines repeatedly: each but the first of its kind stands where it cannot. */
const OURS_OF_BAD_LOG: Contender = {
  ...OURS,
  name: 'x0x-exec-audit verify, impossible lines',
  isRight: (stdout, lines) => {
    const report: { verdict: string; lines: number } = JSON.parse(stdout)
    return report.verdict === 'broken' && report.lines === lines
  },
  exitCode: 1,
  readsBadLog: true,
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

/** The log against its seal: each line is hashed and compared, after it was verified as without one. */
function oursWithSeal(dir: string): Contender {
  const options = ['--seal', join(dir, 'verify-seal'), '--key', join(dir, 'verify-key.vkey')]
  return {
    ...OURS,
    name: 'x0x-exec-audit verify, with its seal',
    command: [...OURS.command, ...options],
    isRight: (stdout, lines) => {
      const { seal }: { seal: { verdict: string; lines: number } } = JSON.parse(stdout)
      return OURS.isRight(stdout, lines) && seal.verdict === 'good' && seal.lines === lines
    },
  }
}

/** Makes the seal that {@link oursWithSeal} verifies. */
function sealLog(dir: string, log: string): void {
  const [key, seal] = [join(dir, 'verify-key.pem'), join(dir, 'verify-seal')]
  const steps = [
    ['keygen', '--origin', 'bench.example/exec', '--out', key],
    ['init', '--log', log, '--seal', seal, '--key', key],
  ]
  for (const step of steps) {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'seal', ...step])
    if (status !== 0) throw new Error(`seal ${step[0]}: exit code ${status}: ${stderr}`)
  }
}

async function run(context: Context): Promise<Result> {
  const hasJq = spawnSync('jq', ['--version']).status === 0
  const withSeal = oursWithSeal(context.dir)
  const contenders = [OURS, withSeal, OURS_OF_BAD_LOG, STATS, ...(hasJq ? [JQ] : []), WC].map(
    (contender) => {
      return { contender, row: new RowBuilder(contender.name, { contender: contender.name }) }
    },
  )
  const path = join(context.dir, 'verify.log')
  const badPath = join(context.dir, 'verify-bad.log')
  const fileBytes = context.isQuick ? QUICK_FILE_BYTES : FILE_BYTES
  const lines = writeLog(path, fileBytes, Number.POSITIVE_INFINITY)
  sealLog(context.dir, path)
  const badLines = writeLog(badPath, fileBytes, BAD_ROUNDS)
  for (let repeat = 0; repeat < context.repeats; repeat++) {
    context.progress(`verify: repeat ${repeat + 1} of ${context.repeats}`)
    const rates = new Map<Contender, number>()
    for (const { contender } of rotated(contenders, repeat)) {
      const [file, expected] = contender.readsBadLog ? [badPath, badLines] : [path, lines]
      const bytes = statSync(file).size
      rates.set(contender, bytes / MB / secondsOf(contender, file, expected))
    }
    for (const { contender, row } of contenders) row.add(figuresOf(contender, rates))
  }
  rmSync(path)
  rmSync(badPath)
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
    timesGoodLog: megabytesPerSecond / (rates.get(OURS) ?? Number.NaN),
  }
}

/** Runs it on the file. Throws unless its output is as expected. */
function secondsOf(
  { name, command, isRight, exitCode = 0 }: Contender,
  path: string,
  lines: number,
): number {
  const [file = '', ...args] = command
  const startMs = performance.now()
  const { stdout, stderr, status } = spawnSync(file, [...args, path], { encoding: 'utf8' })
  const seconds = (performance.now() - startMs) / 1_000
  if (status === exitCode && isRight(stdout, lines)) return seconds
  throw new Error(`${name}: exit code ${status}: ${stderr}${stdout.slice(0, 1_000)}`)
}

/** Writes the workload repeatedly, with new request ids in each of the first rounds; returns the number of lines. */
function writeLog(path: string, bytes: number, freshRounds: number): number {
  const texts = calls.map((call) => ({ id: hex(call.event.requestId), text: lineOf(call) }))
  const fd = openSync(path, 'wx', 0o600)
  let written = 0
  let lines = 0
  for (let round = 0; written < bytes; round++) {
    const digits = (round % freshRounds).toString(16).padStart(ID_DIGITS_CHANGED, '0')
    const renamed = texts.map(({ id, text }) =>
      text
        .replace(id, digits + id.slice(ID_DIGITS_CHANGED))
        // No line is there twice, which would be no fault.
        .replace(/"ts_unix_ms":\d+/, `"ts_unix_ms":${FIRST_MS + round}`),
    )
    written += writeSync(fd, renamed.join(''))
    lines += renamed.length
  }
  closeSync(fd)
  return lines
}
