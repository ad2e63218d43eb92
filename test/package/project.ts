import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the checks of the packed tarball share: an empty project with it, and how to use it there. */

export const ROOT = join(__dirname, '../..')

/** Names every user knows, and a program that records an event and says what came of it. */
export const NAMES = 'ExecAudit, ExecDiagnostics, WARNING_KINDS, DENIAL_REASONS, AuditError'
export const RECORD = `
const requestId = '00'.repeat(16)
const record = async (options) => {
  const audit = new ExecAudit({ enabled: true, auditLogPath: './logs/exec.log' }, new ExecDiagnostics(), options)
  const outcome = await audit.started({ requestId, pid: process.pid })
  const known = [WARNING_KINDS.length, DENIAL_REASONS.length, typeof AuditError]
  const { drainer } = audit.stats().worker
  await audit.close()
  console.log(outcome, drainer, known.join(' '))
}
`
/** What it says when all is well. */
export const RECORDED = 'durable worker 8 12 function\n'

/** The manifest's parts that are checked. */
interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>
}

export function run(folder: string, command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8' })
}

export function ok(what: string): void {
  console.log(`ok  ${what}`)
}

export function expectSame(what: string, got: unknown, wanted: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) {
    throw new Error(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`)
  }
  ok(what)
}

/** Makes a project in which nothing but the tarball is installed. */
export function makeProject(folder: string, tarball: string): string {
  const project = join(folder, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true }')
  run(project, 'npm', 'install', '--silent', '--no-audit', '--no-fund', tarball)
  writeFileSync(
    join(project, 'required.cjs'),
    `const { ${NAMES} } = require('x0x-exec-audit')\n${RECORD}record()\n`,
  )
  writeFileSync(
    join(project, 'imported.mjs'),
    `import { ${NAMES} } from 'x0x-exec-audit'\n${RECORD}record()\n`,
  )
  return project
}

/** The package's manifest. */
function manifest(): Manifest {
  const { exports }: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return { exports }
}

/** How each entry point that is code is imported, such as `x0x-exec-audit/metrics`. */
export function entryPoints(): string[] {
  const { exports } = manifest()
  const keys = Object.keys(exports).filter((key) => !key.endsWith('.json'))
  return keys.map((key) => `x0x-exec-audit${key.slice(1)}`)
}
