import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

/*
 * Which test files are run once more after a failure in CI, and what is said of those that pass then.
 *
 * Only tests of the kinds .fault, .stress and .crash get a second chance: they kill, fill and freeze
 * things, and a machine that stands still for a second may be no fault of the writer's. A pass counts,
 * but never silently.
 */

/** The parts of jest's `--json` report that are read here. */
export interface JestReport {
  readonly testResults: readonly FileResult[]
}

interface FileResult {
  /** The file's absolute path. */
  readonly name: string
  readonly status: string
  /** Why the file failed as a whole, if it did. */
  readonly message: string
  readonly assertionResults: readonly {
    readonly fullName: string
    readonly failureMessages: readonly string[] | null
  }[]
}

const KINDS = /\.(fault|stress|crash)\.test\.[jt]s$/

/** The files to run once more: all that failed, or none if one of them gets no second chance. */
export function secondChances({ testResults }: JestReport): readonly string[] {
  const failed = testResults.filter(isFailed).map(({ name }) => name)
  return failed.every((name) => KINDS.test(name)) ? failed : []
}

/**
 * A line for each file that has failed in the first run and passed in the second.
 * @param output what the tests of the first run have printed, their seeds among it
 */
export function flakyLines(
  first: JestReport,
  second: JestReport,
  output: string,
  folder: string,
): readonly string[] {
  const passed = new Set(
    second.testResults.filter((result) => !isFailed(result)).map(({ name }) => name),
  )
  return first.testResults
    .filter((result) => isFailed(result) && passed.has(result.name))
    .map((result) => {
      const file = relative(folder, result.name)
      const seed = seedOf(file, `${output}\n${textOf(result)}`)
      return `FLAKY ${file}: ${firstErrorOf(result)}${seed === undefined ? '' : ` (SEED=${seed})`}`
    })
}

function isFailed({ status }: FileResult): boolean {
  return status === 'failed'
}

function textOf({ message, assertionResults }: FileResult): string {
  const failures = assertionResults.flatMap(({ failureMessages }) => failureMessages ?? [])
  return stripVTControlCharacters([...failures, message].join('\n'))
}

function firstErrorOf(result: FileResult): string {
  const test = result.assertionResults.find(({ failureMessages }) => failureMessages?.length)
  const lines = textOf(result)
    .split('\n')
    .map((line) => line.trim())
  const error = lines.find((line) => line !== '') ?? 'no error is known'
  return test === undefined ? error : `${test.fullName}: ${error}`
}

/** The last seed printed for the file: that of the failure, if it names one. */
function seedOf(file: string, text: string): string | undefined {
  const seeds = [...text.matchAll(/SEED=(\d+) npx jest (\S+)/g)]
  return seeds.findLast(([, , named]) => named === file)?.[1]
}
