import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import mutants from './mutants.json'

/*
 * Breaks the writer on purpose, one promise at a time, and checks that a test notices:
 * `npm run test:mutants`, or `npm run test:mutants -- sleeps` for those with the word in their names. It works on
 * a copy of the tree, in which the compiled file is changed together with its source.
 */

interface Mutant {
  readonly name: string
  /** Below src. */
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The tests that may notice, in place of {@link TESTS}. */
  readonly tests?: readonly string[]
}

const ROOT = join(__dirname, '../..')
const TESTS = [
  'test/writer/log/syscall-failure.fault.test.ts',
  'test/writer/log/sink.resume.test.ts',
  'test/writer/log/group-journal.test.ts',
  'test/writer/simulator.property.test.ts',
]
const COPIED = ['src', 'test', 'dist', 'package.json', 'tsconfig.json', 'jest.config.ts']
const SIMULATIONS = process.env.SIMULATIONS ?? '5000'
const SCHEDULES = process.env.SCHEDULES ?? '5000'
const COMPILED = {
  module: ts.ModuleKind.CommonJS,
  target: ts.ScriptTarget.ES2023,
  esModuleInterop: true,
}

const copy = mkdtempSync(join(tmpdir(), 'exec-audit-mutants-'))

/** The first test that fails. */
function catcher(tests: readonly string[]): string | undefined {
  const env = { ...process.env, AUDIT_SKIP_BUILD: '1', SIMULATIONS, SCHEDULES }
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js')
  return tests.find((test) => spawnSync(jest, [test], { cwd: copy, env }).status !== 0)
}

/** Puts a source in its place, and in that of its compiled file. */
function write(file: string, source: string): void {
  writeFileSync(join(copy, 'src', file), source)
  const { outputText } = ts.transpileModule(source, { compilerOptions: COMPILED })
  writeFileSync(join(copy, 'dist', file.replace(/\.ts$/, '.js')), outputText)
}

function check({ name, file, find, replace, tests = TESTS }: Mutant): boolean {
  const original = readFileSync(join(copy, 'src', file), 'utf8')
  if (original.split(find).length !== 2) throw new Error(`${name}: not once in ${file}: ${find}`)
  write(
    file,
    original.replace(find, () => replace),
  )
  const caughtBy = catcher(tests)
  write(file, original)
  console.log(`${name.padEnd(70)} ${caughtBy ?? 'SURVIVED'}`)
  return caughtBy !== undefined
}

/** Those that the arguments name, or all. */
function chosen(): readonly Mutant[] {
  const words = process.argv.slice(2)
  const all: readonly Mutant[] = mutants
  if (words.length === 0) return all
  return all.filter(({ name }) => words.some((word) => name.includes(word)))
}

try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  const played = chosen()
  const falseAlarm = catcher([...new Set(played.flatMap(({ tests = TESTS }) => tests))])
  if (falseAlarm !== undefined) throw new Error(`${falseAlarm} fails without a mutant`)
  const survivors = played.filter((mutant) => !check(mutant))
  if (survivors.length > 0) process.exitCode = 1
} finally {
  rmSync(copy, { recursive: true, force: true })
}
