import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endsWithin } from '../waiting'
import { flakyLines, type JestReport, secondChances } from './second-chance'

const JEST = join(__dirname, '../../../node_modules/jest/bin/jest.js')
/** With one of these the caller reads the report, or stays: there is no second run. */
const OWN_USE = /^--(json|outputFile|watch|watchAll)\b/
const IN_BAND = '--runInBand'
/** How long jest may take to end once it has written its report, in milliseconds. */
const ENDING_MS_MAX = 60_000
const LOOK_MS = 1_000

/** How the tests are run. */
export interface TestRun {
  /** The jest arguments of the command line. */
  readonly args: readonly string[]
  /** The folder of the project. */
  readonly folder: string
  /** The binary of Node.js. */
  readonly node?: string
  readonly env?: NodeJS.ProcessEnv
  /** Whether files of some kinds are run once more if they fail: see second-chance.ts. */
  readonly isRetrying: boolean
  /** How long jest may take to end after its report, in milliseconds; then it is killed, and the run has failed. */
  readonly endingMsMax?: number
}

/** One run of jest. */
interface JestRun {
  readonly code: number
  /** Whether it had to be killed, since something that a test has left kept it from ending. */
  readonly isStuck: boolean
  /** Its standard output; it reports on standard error. */
  readonly output: string
}

/** Runs the tests; resolves with jest's exit code. */
export async function runTests(run: TestRun): Promise<number> {
  if (!run.isRetrying || run.args.some((arg) => OWN_USE.test(arg))) {
    return (await runJest(run, run.args, 'inherit')).code
  }
  const temporary = mkdtempSync(join(tmpdir(), 'exec-audit-run-'))
  try {
    return await runWithSecondChance(run, temporary)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

async function runWithSecondChance(run: TestRun, temporary: string): Promise<number> {
  const first = await runJest(run, run.args, 'pipe', join(temporary, 'first.json'))
  const firstReport = readReport(join(temporary, 'first.json'))
  if (first.code === 0 || first.isStuck || firstReport === undefined) return first.code
  const again = secondChances(firstReport)
  if (firstReport.testResults.every(({ status }) => status !== 'failed')) {
    console.error(
      `\njest has ended with code ${first.code}, though every test has passed: what ran after the end of ` +
        'its test file is named above, at a ReferenceError.',
    )
  }
  if (again.length === 0) return first.code

  console.log(`\nFailed, and run once more, alone:\n${again.join('\n')}\n`)
  // A filter leaves the other arguments, a test's name among them, as they are.
  const filter = join(temporary, 'filter.js')
  const list = JSON.stringify(again)
  writeFileSync(
    filter,
    `module.exports = (paths) => ({ filtered: paths.filter((path) => ${list}.includes(path)) })`,
  )
  const inBand = run.args.includes(IN_BAND) || run.args.includes('-i') ? [] : [IN_BAND]
  // Of a half's few files each is to be run, and not one half of them.
  const whole = run.args.filter((arg) => !arg.startsWith('--shard'))
  const args = [...whole, ...inBand, '--filter', filter]
  const second = await runJest(run, args, 'pipe', join(temporary, 'second.json'))
  const secondReport = readReport(join(temporary, 'second.json'))
  if (secondReport === undefined) return second.code || 1
  for (const line of flakyLines(firstReport, secondReport, first.output, run.folder)) {
    console.log(line)
  }
  return second.code
}

async function runJest(
  { folder, node = process.execPath, env = process.env, endingMsMax = ENDING_MS_MAX }: TestRun,
  args: readonly string[],
  stdout: 'inherit' | 'pipe',
  report?: string,
): Promise<JestRun> {
  const reporting = report === undefined ? [] : ['--json', '--outputFile', report]
  const child = spawn(node, [JEST, '--detectOpenHandles', ...args, ...reporting], {
    cwd: folder,
    env,
    stdio: ['inherit', stdout, 'inherit'],
  })
  // The terminal sends it to both; jest ends, and its code is returned.
  const ignore = () => undefined
  process.on('SIGINT', ignore)
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
    process.stdout.write(text)
  })
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const isStuck = report !== undefined && (await killIfStuck(child, closed, report, endingMsMax))
  const code = await closed
  process.off('SIGINT', ignore)
  return { code: code ?? 1, isStuck, output }
}

/** Kills a jest that has written its report and does not end; resolves with whether it did so. */
async function killIfStuck(
  child: ChildProcess,
  closed: Promise<unknown>,
  report: string,
  endingMsMax: number,
): Promise<boolean> {
  while (!existsSync(report)) {
    if ((await endsWithin(closed, LOOK_MS)) === 'ended') return false
  }
  if ((await endsWithin(closed, endingMsMax)) === 'ended') return false
  console.error(
    '\njest has not ended after its report: a test has left running what is named above.',
  )
  child.kill('SIGKILL')
  return true
}

function readReport(file: string): JestReport | undefined {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}
