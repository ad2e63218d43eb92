import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mutants from './mutants.json'

/*
 * Breaks the writer on purpose, one promise at a time, and checks that a test notices:
 * `npm run test:mutants`. It works on a copy of the tree.
 */

const ROOT = join(__dirname, '../..')
const TESTS = [
  'test/writer/log/syscall-failure.fault.test.ts',
  'test/writer/log/sink.resume.test.ts',
  'test/writer/log/group-journal.test.ts',
  'test/writer/simulator.property.test.ts',
]
const COPIED = ['src', 'test', 'dist', 'package.json', 'tsconfig.json', 'jest.config.ts']
const SIMULATIONS = process.env.SIMULATIONS ?? '5000'

const copy = mkdtempSync(join(tmpdir(), 'exec-audit-mutants-'))

/** The first test that fails. */
function catcher(): string | undefined {
  const env = { ...process.env, AUDIT_SKIP_BUILD: '1', SIMULATIONS }
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js')
  return TESTS.find((test) => spawnSync(jest, [test], { cwd: copy, env }).status !== 0)
}

function check({ name, file, find, replace }: (typeof mutants)[number]): boolean {
  const path = join(copy, 'src', file)
  const original = readFileSync(path, 'utf8')
  if (original.split(find).length !== 2) throw new Error(`${name}: not once in ${file}: ${find}`)
  writeFileSync(
    path,
    original.replace(find, () => replace),
  )
  const caughtBy = catcher()
  writeFileSync(path, original)
  console.log(`${name.padEnd(60)} ${caughtBy ?? 'SURVIVED'}`)
  return caughtBy !== undefined
}

try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  const falseAlarm = catcher()
  if (falseAlarm !== undefined) throw new Error(`${falseAlarm} fails without a mutant`)
  const survivors = mutants.filter((mutant) => !check(mutant))
  if (survivors.length > 0) process.exitCode = 1
} finally {
  rmSync(copy, { recursive: true, force: true })
}
