import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { flakyLines, type JestReport, secondChances } from './second-chance'

const JEST = join(__dirname, '../../../node_modules/jest/bin/jest.js')
/** With one of these the caller reads the report, or stays: there is no second run. */
const OWN_USE = /^--(json|outputFile|watch|watchAll)\b/
const IN_BAND = '--runInBand'

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
}

/** One run of jest. */
interface JestRun {
  readonly code: number
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
  const reportTo = (name: string) => ['--json', '--outputFile', join(temporary, name)]
  const first = await runJest(run, [...run.args, ...reportTo('first.json')], 'pipe')
  const firstReport = readReport(join(temporary, 'first.json'))
  if (first.code === 0 || firstReport === undefined) return first.code
  const again = secondChances(firstReport)
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
  const args = [...run.args, ...inBand, '--filter', filter, ...reportTo('second.json')]
  const second = await runJest(run, args, 'pipe')
  const secondReport = readReport(join(temporary, 'second.json'))
  if (secondReport === undefined) return second.code || 1
  for (const line of flakyLines(firstReport, secondReport, first.output, run.folder)) {
    console.log(line)
  }
  return second.code
}

function runJest(
  { folder, node = process.execPath, env = process.env }: TestRun,
  args: readonly string[],
  stdout: 'inherit' | 'pipe',
): Promise<JestRun> {
  const child = spawn(node, [JEST, '--detectOpenHandles', ...args], {
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
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      process.off('SIGINT', ignore)
      resolve({ code: code ?? 1, output })
    })
  })
}

function readReport(file: string): JestReport | undefined {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}
