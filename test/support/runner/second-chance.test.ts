import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { useTempDir } from '../temp-dir'
import { flakyLines, type JestReport, secondChances } from './second-chance'

const ROOT = join(__dirname, '../../..')

/** A report in which the files have this status, and those that failed this error. */
function reportOf(
  files: Readonly<Record<string, string>>,
  error = 'Error: boom\n  at x',
): JestReport {
  const testResults = Object.entries(files).map(([name, status]) => {
    const failureMessages = status === 'failed' ? [`\u001b[31m${error}\u001b[39m`] : []
    const assertionResults = [
      { fullName: 'the test before', failureMessages: [] },
      { fullName: 'the test', failureMessages },
    ]
    return { name, status, message: status === 'failed' ? 'whole' : '', assertionResults }
  })
  return { testResults }
}

describe('secondChances', () => {
  it.each([
    ['/a.fault.test.ts', ['/a.fault.test.ts']],
    ['/a.stress.test.ts', ['/a.stress.test.ts']],
    ['/a.crash.test.ts', ['/a.crash.test.ts']],
    ['/a.test.ts', []],
    ['/a.property.test.ts', []],
    ['/fault.test.ts', []],
    ['/a.fault.ts/b.test.ts', []],
  ])('gives %s the chances %j', (name, chances) => {
    expect(secondChances(reportOf({ [name]: 'failed', '/b.test.ts': 'passed' }))).toEqual(chances)
  })

  it('takes all that failed, and leaves what passed or was skipped', () => {
    const report = reportOf({
      '/a.fault.test.ts': 'failed',
      '/b.fault.test.ts': 'passed',
      '/c.crash.test.ts': 'failed',
      '/d.stress.test.ts': 'skipped',
    })
    expect(secondChances(report)).toEqual(['/a.fault.test.ts', '/c.crash.test.ts'])
  })

  it('are none if another file failed, since the run fails anyway', () => {
    expect(
      secondChances(reportOf({ '/a.fault.test.ts': 'failed', '/b.test.ts': 'failed' })),
    ).toEqual([])
  })
})

describe('flakyLines', () => {
  const failed = { '/p/test/a.fault.test.ts': 'failed', '/p/test/b.fault.test.ts': 'failed' }
  const second = reportOf({
    '/p/test/a.fault.test.ts': 'passed',
    '/p/test/b.fault.test.ts': 'failed',
  })

  it('name the file that passed, its first error and the seed printed for it', () => {
    const output = [
      '    seed: SEED=1 npx jest test/b.fault.test.ts',
      '    seed: SEED=22 npx jest test/a.fault.test.ts',
      '    seed: SEED=333 npx jest test/c.fault.test.ts',
    ].join('\n')
    expect(flakyLines(reportOf(failed), second, output, '/p')).toEqual([
      'FLAKY test/a.fault.test.ts: the test: Error: boom (SEED=22)',
    ])
  })

  it('prefer the seed that the error names', () => {
    const error = 'Error: SEED=4 npx jest test/a.fault.test.ts'
    const output = 'SEED=1 npx jest test/a.fault.test.ts\n'
    expect(flakyLines(reportOf(failed, error), second, output, '/p')).toEqual([
      `FLAKY test/a.fault.test.ts: the test: ${error} (SEED=4)`,
    ])
  })

  it('name no seed if there is none, and the file itself if it could not be run', () => {
    const name = '/p/test/a.fault.test.ts'
    const message = '\n  ● Test suite failed to run\n'
    const testResults = [{ name, status: 'failed', message, assertionResults: [] }]
    expect(flakyLines({ testResults }, second, '', '/p')).toEqual([
      'FLAKY test/a.fault.test.ts: ● Test suite failed to run',
    ])
  })
})

describe('npm test', () => {
  const dir = useTempDir()
  const countOf = (name: string) => readFileSync(dir.path(`${name}.runs`), 'utf8').length

  /** Writes a test file of two tests that counts its runs; `passes` says in which runs it passes. */
  const writeTest = (name: string, passes: string) => {
    const script = `
      const fs = require('node:fs')
      test('passes', () => undefined)
      test('sometimes', () => {
        process.stdout.write('seed: SEED=7 npx jest ${name}.test.js\\n')
        const file = ${JSON.stringify(dir.path(`${name}.runs`))}
        fs.appendFileSync(file, 'x')
        const runs = fs.readFileSync(file).length
        if (!(${passes})) throw new Error('not in run ' + runs)
      })`
    writeFileSync(dir.path(`${name}.test.js`), script)
  }

  /** Runs the tests of the folder as npm test does those of this project. */
  const run = (
    args: readonly string[] = [],
    env: NodeJS.ProcessEnv = { CI: 'true' },
    endingMsMax?: number,
  ) => {
    writeFileSync(dir.path('jest.config.js'), 'module.exports = { transform: {} }')
    const script = `
      const { runTests } = require(${JSON.stringify(join(__dirname, 'run-tests.ts'))})
      const [folder, ...args] = process.argv.slice(1)
      const run = { args, folder, isRetrying: Boolean(process.env.CI), endingMsMax: ${endingMsMax} }
      runTests(run).then((code) => process.exit(code))`
    const command = ['-r', 'esbuild-register', '-e', script, '--', dir.path('.'), ...args]
    const { CI: _, ...others } = process.env
    const { status, stdout } = spawnSync(process.execPath, command, {
      cwd: ROOT,
      env: { ...others, ...env },
      encoding: 'utf8',
    })
    return { status, flaky: stdout.match(/^FLAKY .*$/gm) ?? [] }
  }

  it('runs a fault test once more in CI, and says that it passed then', () => {
    writeTest('a.fault', 'runs === 2')
    writeTest('b.crash', 'runs === 2')
    writeTest('c', 'runs === 1')
    expect(run()).toEqual({
      status: 0,
      flaky: expect.arrayContaining([
        'FLAKY a.fault.test.js: sometimes: Error: not in run 1 (SEED=7)',
        'FLAKY b.crash.test.js: sometimes: Error: not in run 1 (SEED=7)',
      ]),
    })
    expect(['a.fault', 'b.crash', 'c'].map(countOf)).toEqual([2, 2, 1])
  })

  it('fails if a fault test fails twice, and says which one did not', () => {
    writeTest('a.fault', 'false')
    writeTest('b.stress', 'runs === 2')
    expect(run()).toEqual({
      status: 1,
      flaky: ['FLAKY b.stress.test.js: sometimes: Error: not in run 1 (SEED=7)'],
    })
    expect(['a.fault', 'b.stress'].map(countOf)).toEqual([2, 2])
  })

  it('gives no other test a second chance, nor a fault test beside it', () => {
    writeTest('a.fault', 'runs === 2')
    writeTest('b', 'runs === 2')
    expect(run()).toEqual({ status: 1, flaky: [] })
    expect(['a.fault', 'b'].map(countOf)).toEqual([1, 1])
  })

  it('gives none outside of CI', () => {
    writeTest('a.fault', 'runs === 2')
    expect(run([], {})).toEqual({ status: 1, flaky: [] })
    expect(countOf('a.fault')).toBe(1)
  })

  it('keeps the paths and flags of the command line, in both runs', () => {
    writeTest('a.fault', 'runs === 2')
    writeTest('b.fault', 'false')
    expect(run(['-t', 'sometimes', 'a.fault']).status).toBe(0)
    expect(countOf('a.fault')).toBe(2)
    expect(run(['-t', 'passes']).status).toBe(0)
  })

  it('runs each file of a half once more', () => {
    for (const name of ['a', 'b', 'c', 'd']) writeTest(`${name}.fault`, 'runs === 2')
    const { status, flaky } = run(['--shard=1/2'])
    expect(status).toBe(0)
    expect(flaky.length).toBe(2)
  })

  it('fails if jest does not end, since a test has left something running', () => {
    writeTest('a.fault', 'runs === 2')
    const leak = `test('leaves a server', () => { require('node:net').createServer().listen(0) })`
    writeFileSync(dir.path('b.test.js'), leak)
    expect(run([], { CI: 'true' }, 1_000)).toEqual({ status: 1, flaky: [] })
    expect(countOf('a.fault')).toBe(1)
  })
})
